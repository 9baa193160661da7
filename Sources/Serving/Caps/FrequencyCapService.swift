package import Logging
import Metrics
package import RecommendationCore

/// Keeps lists within the frequency caps of their policy, for the whole fleet: what is under a cap is shown only if the counters
/// have reserved it.
///
/// A reservation is one script in Redis. It counts at once, and no more after ten minutes unless the showing is confirmed, by an
/// impression or by feedback with the token. What it refuses is replaced by the final stage, twice at most; then what is still
/// refused is left out. Where the counters cannot be asked, all that is under a cap is left out.
package struct FrequencyCapService: Sendable {
    /// Replacements of what is refused.
    private static let rounds = 2
    /// What clocks of nodes and of Redis may be apart when counters are made anew of stored impressions.
    private static let slack = Duration.seconds(60)

    private let counters: any FrequencyCounters
    private let impressions: any ImpressionRepository
    private let control: ControlState
    private let clock: StageClock
    private let log: Logger
    private let metrics = CapMetrics()

    package init(
        counters: any FrequencyCounters,
        impressions: any ImpressionRepository,
        control: ControlState,
        clock: StageClock = StageClock(),
        log: Logger
    ) {
        self.counters = counters
        self.impressions = impressions
        self.control = control
        self.clock = clock
        self.log = log
    }

    /// A list within its caps, and what it had to do without.
    ///
    /// - Parameter draw: The final stage, with a gate for what is under caps; nil: it has nothing to draw from.
    func slate(
        _ subject: CapSubject,
        _ filter: SlateFilter,
        _ draw: (SlateFilter) -> SlateDraft?
    ) async -> (slate: SlateBuilder.Slate, degraded: [Degradation])? {
        func drawn(_ gate: CapGate) -> SlateDraft? {
            var filter = filter
            filter.gate = gate
            return draw(filter)
        }
        guard var draft = drawn(.open) else { return nil }
        var standing = Standing()
        var capped = subject.capped(draft, filter)
        for round in 0...Self.rounds where !capped.chosen.isEmpty || !standing.reserved.isEmpty {
            let refused: Set<Item.Number>
            do {
                refused = try await self.reserve(capped, subject, &standing)
            } catch {
                self.metrics.failed.increment()
                self.log.debug("no frequency caps", metadata: ["error": "\(error)"])
                standing.degraded.note(.frequencyCap)
                // What is chosen again is not among what this call may have given back.
                let reserved = standing.reserved.intersection(capped.chosen.map(\.number))
                return drawn(.reserved(reserved, subject.caps)).map { ($0.slate, standing.degraded) }
            }
            if refused.isEmpty { return (draft.slate, standing.degraded) }
            let isShort = round == 1 && StageBudget.current?.isShort(for: .replacement) ?? false
            if isShort { standing.degraded.note(.replacement) }
            let isLast = isShort || round == Self.rounds
            let gate: CapGate = isLast ? .reserved(standing.reserved, subject.caps) : .shut(standing.full)
            guard let next = drawn(gate) else { return nil }
            draft = next
            capped = subject.capped(draft, filter)
            if isLast { break }
        }
        if !standing.reserved.isSubset(of: capped.chosen.map(\.number)) {
            // What was reserved and has no place after all is free at once, or else a while later by itself.
            do {
                _ = try await self.reserve(capped, subject, &standing)
            } catch {
                self.log.debug("reservations are not given back", metadata: ["error": "\(error)"])
            }
        }
        return (draft.slate, standing.degraded)
    }

    /// Those of some items that may not be shown now; nil: the counters cannot be asked. Nothing is reserved.
    func full(
        among items: [Item.Number],
        _ subject: CapSubject,
        _ filter: SlateFilter,
        labels: [UserLabel]
    ) async -> Set<Item.Number>? {
        let empty = SlateBuilder.Slate(items: [], filtered: FilteredCounts())
        let capped = subject.capped(SlateDraft(slate: empty, candidates: items, labels: labels), filter)
        guard !capped.others.isEmpty else { return [] }
        var standing = Standing()
        do {
            _ = try await self.reserve(capped, subject, &standing)
            return standing.full
        } catch {
            self.metrics.failed.increment()
            return nil
        }
    }

    /// How far the reservations of one list have come.
    private struct Standing {
        var reserved: Set<Item.Number> = []
        /// What is known to be refused.
        var full: Set<Item.Number> = []
        var degraded: [Degradation] = []
        /// Whether the counters need not be all there are: they are, or cannot be.
        var mayBePartial = false
    }

    /// Reserves what is chosen, and gives back what is not any more; what is refused.
    private func reserve(
        _ capped: (chosen: [CappedItem], others: [CappedItem]),
        _ subject: CapSubject,
        _ standing: inout Standing
    ) async throws(RepositoryError) -> Set<Item.Number> {
        let chosen = Set(capped.chosen.map(\.number))
        var reservation = CapReservation(
            id: subject.id.bytes,
            user: subject.user,
            surface: subject.surface,
            caps: subject.caps.counted,
            chosen: capped.chosen,
            others: capped.others,
            released: standing.reserved.subtracting(chosen).sorted(),
            isWhole: !standing.mayBePartial
        )
        var outcome = try await self.outcome(of: reservation, subject)
        standing.mayBePartial = true
        if outcome == .incomplete {
            if !(try await self.complete(subject, covering: reservation.longest)) {
                standing.degraded.note(.postgres)
            }
            reservation.isWhole = false
            outcome = try await self.outcome(of: reservation, subject)
        }
        guard case .reserved(let refused, let full) = outcome else {
            throw .failed("counters that may be partial are refused")
        }
        standing.reserved = chosen.subtracting(refused)
        standing.full.formUnion(refused)
        standing.full.formUnion(full)
        self.metrics.reserved.increment(by: standing.reserved.count)
        self.metrics.refused.increment(by: refused.count)
        return refused
    }

    private func outcome(
        of reservation: CapReservation,
        _ subject: CapSubject
    ) async throws(RepositoryError) -> CapOutcome {
        let (counters, tenant) = (self.counters, subject.state.tenant)
        return try await self.timed { () async throws(RepositoryError) in
            try await counters.reserve(reservation, tenant: tenant)
        }
    }

    /// What the stores say in time.
    private func timed<Value: Sendable>(
        by end: ContinuousClock.Instant? = StageBudget.current?.caps,
        _ work: @escaping @Sendable () async throws(RepositoryError) -> Value
    ) async throws(RepositoryError) -> Value {
        try await self.clock.value(by: end, orThrow: RepositoryError.late, work)
    }

    /// Makes counters that Redis does not have, or has lost, of the impressions that are stored; false: they cannot be read,
    /// and what Redis has counts alone.
    private func complete(_ subject: CapSubject, covering window: Duration) async throws(RepositoryError) -> Bool {
        let back = (window + Self.slack).components.seconds * 1_000
        let (user, tenant) = (subject.user, subject.state.tenant)
        let shown: [ShownItem]
        do {
            let since = Timestamp(microseconds: (subject.id.milliseconds - back) * 1_000)
            let impressions = self.impressions
            // The counters are asked once more after it.
            shown = try await self.timed(by: StageBudget.current?.halfOfCaps) { () async throws(RepositoryError) in
                try await impressions.shown(to: user, since: since, tenant: tenant)
            }
        } catch {
            self.log.debug("impressions cannot be read", metadata: ["error": "\(error)"])
            return false
        }
        let (counters, known) = (self.counters, shown)
        try await self.timed { () async throws(RepositoryError) in
            try await counters.complete(known, of: user, covering: window, tenant: tenant)
        }
        self.metrics.completed.increment()
        return true
    }

    /// Counts what was really shown; whether it is counted. Where no policy that serves has caps, counters
    /// that there may be are only told that they are not whole.
    func confirm(_ shown: [User.ID: [ShownItem]], tenant: Tenant.ID) async -> Bool {
        guard !shown.isEmpty else { return true }
        guard let window = self.control.state(of: tenant)?.longestCapWindow else {
            // Counters of caps that held before, and may hold again, are not whole any more.
            return await self.doubt(shown.keys.sorted(), tenant: tenant)
        }
        do {
            try await self.counters.confirm(shown, keeping: window, tenant: tenant)
            self.metrics.confirmed.increment(by: shown.values.reduce(0) { $0 + $1.count })
            return true
        } catch {
            self.metrics.unconfirmed.increment(by: shown.values.reduce(0) { $0 + $1.count })
            self.log.debug("showings are not counted", metadata: ["error": "\(error)"])
            return false
        }
    }

    private func doubt(_ users: [User.ID], tenant: Tenant.ID) async -> Bool {
        do {
            try await self.counters.doubt(users, tenant: tenant)
            return true
        } catch {
            self.log.debug("counters that are not whole are not marked", metadata: ["error": "\(error)"])
            return false
        }
    }

    /// Forgets what was shown to a user, as far as Redis can be reached; what is stored of it is not touched.
    func forget(_ user: User.ID, tenant: Tenant.ID) async {
        do {
            try await self.counters.forget(user, tenant: tenant)
        } catch {
            self.log.warning("the counters of a user are not forgotten", metadata: ["error": "\(error)"])
        }
    }
}

extension ServingContext {
    /// A slate within the caps that hold for it.
    func slate(
        _ subject: CapSubject?,
        _ filter: SlateFilter,
        _ draw: (SlateFilter) -> SlateDraft?
    ) async -> (slate: SlateBuilder.Slate, degraded: [Degradation])? {
        guard let subject else { return draw(filter).map { ($0.slate, []) } }
        guard let caps else {
            // Nobody counts here.
            var filter = filter
            filter.gate = .reserved([], subject.caps)
            return draw(filter).map { ($0.slate, [.frequencyCap]) }
        }
        return await caps.slate(subject, filter, draw)
    }
}

private struct CapMetrics: Sendable {
    let reserved = CapMetrics.counter("reserved")
    let refused = CapMetrics.counter("refused")
    let confirmed = CapMetrics.counter("confirmed")
    let unconfirmed = CapMetrics.counter("unconfirmed")
    /// Lists, not items.
    let failed = Counter(label: "vireo_frequency_cap_failures_total")
    let completed = Counter(label: "vireo_frequency_cap_rebuilds_total")

    private static func counter(_ result: String) -> Counter {
        Counter(label: "vireo_frequency_cap_items_total", dimensions: [("result", result)])
    }
}

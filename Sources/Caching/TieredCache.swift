public import Logging
import Metrics
public import ServiceLifecycle

/// L1 in front of L2 in front of a computation, with the rules of coherence between them.
///
/// A request looks (``CacheLookup``), and where nothing may be served it flies (``CacheFlight``) or joins who flies:
/// - What is fresh is served. Near its expiry one of its requests refreshes it in the background (``EarlyRefresh``).
/// - What is past its soft expiry is refreshed in the background, too, and the request waits for that, but not longer than
///   `refreshPatience`: a refresh that is as quick as ever gives a fresh answer, one that fails or is slow a copy marked
///   stale. What was invalidated meanwhile is never that copy.
/// - What is missing is computed from a snapshot opened after the request began, or after the flight began that the request
///   may join.
///
/// Refreshes are children of ``run()``, which also verifies L1 in bulk when a new session has begun.
public final class TieredCache: Service, Sendable {
    let keeper: CoherenceKeeper
    let lookup: CacheLookup
    let flight: CacheFlight
    let renewals: LeaseRenewals
    let reverification: Reverification
    let settings: CoherenceSettings
    let flights: FlightTable
    var shared: any SharedCache { self.lookup.shared }
    let refreshes: RefreshQueue
    let metrics: PoolMetrics
    private let sleep: @Sendable (Duration) async throws -> Void
    private let draw: @Sendable () -> Double

    /// A cache over the node's keeper and L2.
    ///
    /// - Parameters:
    ///   - versions: Decides while L2 cannot be asked or believed.
    ///   - sleep: Waits out the patience with a refresh.
    ///   - pause: Waits between two looks at what another node computes.
    ///   - draw: A number in 0..<1, for early refreshes.
    public init(
        keeper: CoherenceKeeper,
        shared: any SharedCache,
        versions: any VersionSource,
        settings: CoherenceSettings,
        log: Logger,
        sleep: @escaping @Sendable (Duration) async throws -> Void = { try await Task.sleep(for: $0) },
        pause: @escaping @Sendable (Duration) async throws -> Void = { try await Task.sleep(for: $0) },
        draw: @escaping @Sendable () -> Double = { .random(in: 0..<1) }
    ) {
        self.keeper = keeper
        self.flights = FlightTable(faults: settings.faults)
        self.settings = settings
        self.sleep = sleep
        self.draw = draw
        self.metrics = PoolMetrics()
        self.refreshes = RefreshQueue(maximum: settings.refreshesAtOnce)
        self.lookup = CacheLookup(
            keeper: keeper,
            shared: shared,
            versions: TickBatcher(name: "version", maximumSize: 256, width: 2, cancelled: .unavailable) {
                keys async throws(VersionSourceError) in
                try await versions.versions(of: keys)
            },
            bulkVersions: versions,
            coldOwners: ColdOwners(maximum: settings.coldOwners),
            metrics: self.metrics
        )
        self.renewals = LeaseRenewals(shared: shared, settings: settings, metrics: self.metrics, log: log)
        self.flight = CacheFlight(
            lookup: self.lookup,
            settings: settings,
            renewals: self.renewals,
            log: log,
            pause: pause
        )
        self.reverification = Reverification(
            keeper: keeper,
            shared: shared,
            versions: versions,
            metrics: self.metrics
        )
    }

    // MARK: Asking

    /// The entry of a key and field, from the nearest tier that may serve it.
    ///
    /// - Parameters:
    ///   - lifetimes: Of an entry that is computed now.
    ///   - minVersion: An entry of an older version is not found. A computation may still give an older one, if the store holds
    ///     no newer.
    ///   - servesStale: Whether a stale copy may be the answer: while another computes, and where `compute` throws.
    ///   - cold: The value that owners without one of their own share; asks no store.
    ///   - compute: Opens its snapshot when it is called, not before. It may outlive the request.
    /// - Throws: What `compute` throws, where no stale copy may be served instead.
    public func entry<Failure: Error>(
        for key: CacheKey,
        _ field: CacheField,
        lifetimes: Lifetimes,
        minVersion: Int64 = 0,
        servesStale: Bool = true,
        cold: @Sendable () -> [UInt8],
        compute: @escaping @Sendable () async throws(Failure) -> Computation
    ) async throws(Failure) -> CacheAnswer {
        let request = Request(key: key, field: field, lifetimes: lifetimes, minVersion: minVersion, compute: compute)
        var watch = Watch()
        let (note, isLive) = self.lookup.note(key)
        switch await self.lookup.look(key, field, note: note, isLive: isLive, minVersion: minVersion) {
        case .fresh(let entry, let tier, let asked):
            if EarlyRefresh.isDue(entry, at: self.keeper.milliseconds(), draw: self.draw) {
                self.refreshEarly(request, held: entry)
            }
            return watch.answer(entry, tier, withoutShared: !asked)
        case .cold(let version):
            return watch.answer(self.coldEntry(version, cold()), .local)
        case .stale(let entry, let asked):
            watch.looked()
            guard servesStale else {
                return try await self.flown(request, stale: nil, withoutShared: !asked, cold: cold, watch)
            }
            guard asked, self.refreshes.isOpen else {
                return try await self.flown(request, stale: (entry, note), withoutShared: !asked, cold: cold, watch)
            }
            if let answer = await self.refreshed(request, stale: entry, note: note, watch) { return answer }
            return try await self.flown(request, stale: nil, withoutShared: false, cold: cold, watch)
        case .missing:
            watch.looked()
            return try await self.flown(request, stale: nil, withoutShared: false, cold: cold, watch)
        case .unavailable:
            watch.looked()
            return try await self.flown(request, stale: nil, withoutShared: true, cold: cold, watch)
        }
    }

    private func coldEntry(_ version: Int64, _ payload: [UInt8]) -> CacheEntry {
        let now = self.keeper.milliseconds()
        return CacheEntry(
            version: version,
            computedAt: now,
            softExpiry: now,
            hardExpiry: now,
            cost: 0,
            payload: payload
        )
    }

    // MARK: Flying for a request

    private func flown<Failure: Error>(
        _ request: Request<Failure>,
        stale: (entry: CacheEntry, note: LocalCache.Note)?,
        withoutShared: Bool,
        cold: () -> [UInt8],
        _ watch: Watch
    ) async throws(Failure) -> CacheAnswer {
        let (key, field) = (request.key, request.field)
        var hasJoined = false
        while true {
            let (note, isLive) = self.lookup.note(key)
            if hasJoined, isLive,
                let version = self.lookup.coldOwners.version(key, field, note: note, at: self.keeper.milliseconds()),
                version >= request.minVersion
            {
                return watch.answer(self.coldEntry(version, cold()), .computed)
            }
            // Who is cancelled cannot wait for another, and would ask again and again.
            switch self.flights.enter(request.name, note: note, isLive: isLive && !Task.isCancelled) {
            case .join(let ticket):
                hasJoined = true
                if case .filled(let entry) = await self.flights.landing(of: ticket),
                    entry.version >= request.minVersion
                {
                    self.metrics.joined.increment()
                    return watch.answer(entry, .computed)
                }
                self.metrics.joinsRejected.increment()
            case .fly(let ticket):
                do throws(Failure) {
                    let flown = try await self.flight.fly(
                        key,
                        field,
                        note: note,
                        stale: stale?.entry,
                        lifetimes: request.lifetimes,
                        minVersion: request.minVersion,
                        hasWaited: hasJoined,
                        compute: request.compute
                    )
                    self.land(ticket, flown.landing)
                    if flown.tier == .stale, let stale {
                        if await self.lookup.mayStillServe(stale.entry, key, field, note: stale.note) {
                            self.metrics.stale.increment()
                            return watch.answer(flown.entry, .stale, withoutShared: withoutShared)
                        }
                        return try await self.flown(
                            request,
                            stale: nil,
                            withoutShared: withoutShared,
                            cold: cold,
                            watch
                        )
                    }
                    let isWithout = withoutShared || flown.withoutShared
                    return watch.answer(flown.entry, flown.tier, withoutShared: isWithout)
                } catch {
                    self.land(ticket, .failed)
                    guard let stale, await self.lookup.mayStillServe(stale.entry, key, field, note: stale.note) else {
                        throw error
                    }
                    self.metrics.stale.increment()
                    return watch.answer(stale.entry, .stale, withoutShared: withoutShared)
                }
            }
        }
    }

    /// The entry of a key and field, if L1 may answer by itself: it is fresh, covered by a live lease, and not about to expire.
    ///
    /// It never waits. A hit counts like one of ``entry(for:_:lifetimes:minVersion:cold:compute:)``; nil counts nothing, as the
    /// caller goes there next. That one draws for an early refresh, near the expiry.
    public func localEntry(for key: CacheKey, _ field: CacheField, at moment: Moment) -> CacheEntry? {
        guard moment.isLive, let session = moment.session, let hit = self.keeper.local.find(key, field),
            hit.session == session, moment.milliseconds < hit.entry.softExpiry,
            !EarlyRefresh.isNear(hit.entry, at: moment.milliseconds)
        else { return nil }
        self.metrics.localHits.increment()
        return hit.entry
    }

    /// The entry that an owner shares who is known, under a live lease, to have none of its own. It never waits. Nil counts
    /// nothing.
    ///
    /// - Parameter payload: The value that such owners share; asks no store.
    public func localColdEntry(
        for key: CacheKey,
        _ field: CacheField,
        at moment: Moment,
        payload: () -> [UInt8]
    ) -> CacheEntry? {
        let note = LocalCache.Note(session: moment.session, stripe: self.keeper.local.stripe(of: key))
        guard moment.isLive,
            let version = self.lookup.coldOwners.version(key, field, note: note, at: moment.milliseconds)
        else { return nil }
        self.metrics.negative.hits.increment()
        return self.coldEntry(version, payload())
    }

    /// The entry of a key and field where a tier holds one that may be served, fresh or stale; nothing is computed.
    public func held(for key: CacheKey, _ field: CacheField) async -> CacheAnswer? {
        var watch = Watch()
        let (note, isLive) = self.lookup.note(key)
        let look = await self.lookup.look(key, field, note: note, isLive: isLive, minVersion: 0)
        watch.looked()
        switch look {
        case .fresh(let entry, let tier, let asked):
            return watch.answer(entry, tier, withoutShared: !asked)
        case .stale(let entry, let asked):
            self.metrics.stale.increment()
            return watch.answer(entry, .stale, withoutShared: !asked)
        case .cold, .missing, .unavailable:
            return nil
        }
    }

    private func land(_ ticket: FlightTable.Ticket, _ landing: FlightTable.Landing) {
        self.metrics.waiters.record(self.flights.land(ticket, landing))
    }

    // MARK: Refreshing in the background

    /// Waits for a refresh as long as the patience lasts; then the stale copy. Nil: that may not be served any more.
    private func refreshed<Failure: Error>(
        _ request: Request<Failure>,
        stale: CacheEntry,
        note: LocalCache.Note,
        _ watch: Watch
    ) async -> CacheAnswer? {
        let landing: FlightTable.Landing
        let standing = self.lookup.note(request.key)
        switch self.flights.enter(request.name, note: standing.note, isLive: standing.isLive) {
        case .join(let ticket):
            landing = await self.wait(for: ticket) {}
        case .fly(let ticket):
            landing = await self.wait(for: ticket) {
                self.submit(request, held: stale, note: standing.note, ticket)
            }
        }
        switch landing {
        case .filled(let entry) where entry.version >= max(request.minVersion, stale.version):
            return watch.answer(entry, .computed)
        case .filled, .refused:
            self.metrics.staleRefused.increment()
            return nil
        case .failed, .busy, .gone:
            guard await self.lookup.mayStillServe(stale, request.key, request.field, note: note) else { return nil }
            self.metrics.stale.increment()
            return watch.answer(stale, .stale)
        }
    }

    /// A landing, or `gone` when the patience is at its end.
    private func wait(
        for ticket: FlightTable.Ticket,
        onWaiting: @escaping @Sendable () -> Void
    ) async -> FlightTable.Landing {
        await withTaskGroup(of: FlightTable.Landing.self) { group in
            group.addTask { await self.flights.landing(of: ticket, onWaiting: onWaiting) }
            group.addTask {
                // Cancelled with the request, or when the landing came first.
                try? await self.sleep(self.settings.refreshPatience)
                return .gone
            }
            let first = await group.next() ?? .gone
            group.cancelAll()
            return first
        }
    }

    private func refreshEarly<Failure: Error>(_ request: Request<Failure>, held: CacheEntry) {
        guard !self.flights.isFlying(request.name) else { return }
        let (note, isLive) = self.lookup.note(request.key)
        guard case .fly(let ticket) = self.flights.enter(request.name, note: note, isLive: isLive) else { return }
        self.metrics.refreshedEarly.increment()
        self.submit(request, held: held, note: note, ticket)
    }

    private func submit<Failure: Error>(
        _ request: Request<Failure>,
        held: CacheEntry,
        note: LocalCache.Note,
        _ ticket: FlightTable.Ticket
    ) {
        let job = RefreshQueue.Job(
            run: {
                let landing = await self.flight.refresh(
                    request.key,
                    request.field,
                    note: note,
                    held: held,
                    lifetimes: request.lifetimes,
                    compute: request.compute
                )
                self.land(ticket, landing)
            },
            abandon: { self.land(ticket, .failed) }
        )
        guard !self.refreshes.submit(job) else { return }
        self.metrics.refreshesShed.increment()
        self.land(ticket, .failed)
    }

    // MARK: Running

    var isRunning: Bool { self.refreshes.isOpen && self.lookup.versions.isRunning }

    /// Refreshes, reads in batches, verifies after a new session and publishes gauges until the service is shut down.
    public func run() async throws {
        await cancelWhenGracefulShutdown {
            await withDiscardingTaskGroup { group in
                group.addTask { await self.refreshes.run() }
                group.addTask { try? await self.lookup.versions.run() }
                group.addTask {
                    for await session in self.keeper.sessions { await self.reverification.run(session: session) }
                }
                group.addTask {
                    while (try? await Task.sleep(for: self.renewals.interval)) != nil { await self.renewals.renew() }
                }
                group.addTask {
                    while (try? await Task.sleep(for: .seconds(5))) != nil {
                        self.metrics.publish(self.keeper.local.takeStatistics())
                    }
                }
            }
        }
    }
}

/// What is asked, as flights need it.
private struct Request<Failure: Error>: Sendable {
    let key: CacheKey
    let field: CacheField
    let lifetimes: Lifetimes
    let minVersion: Int64
    let compute: @Sendable () async throws(Failure) -> Computation

    var name: FlightTable.Name { FlightTable.Name(key: self.key, field: self.field) }
}

/// Splits the time of a request into looking and computing.
private struct Watch {
    private let start = ContinuousClock.now
    private var end: ContinuousClock.Instant?

    mutating func looked() { self.end = .now }

    func answer(_ entry: CacheEntry, _ tier: CacheTier, withoutShared: Bool = false) -> CacheAnswer {
        let now = ContinuousClock.now
        let looked = self.end ?? now
        return CacheAnswer(
            entry: entry,
            tier: tier,
            withoutShared: withoutShared,
            lookup: looked - self.start,
            compute: now - looked
        )
    }
}

import Logging
import Metrics

/// Computes an entry under the fleet's compute lease and fills both tiers.
struct CacheFlight: Sendable {
    let lookup: CacheLookup
    let settings: CoherenceSettings
    let renewals: LeaseRenewals
    let log: Logger
    let pause: @Sendable (Duration) async throws -> Void

    /// What a flight gave.
    struct Flown: Sendable {
        let entry: CacheEntry
        let tier: CacheTier
        /// For those who joined.
        let landing: FlightTable.Landing
        let withoutShared: Bool
    }

    private var shared: any SharedCache { self.lookup.shared }
    private var metrics: PoolMetrics { self.lookup.metrics }

    /// Flies for a caller that waits: without a stale copy until the entry is there.
    ///
    /// - Parameter hasWaited: Whether time has passed since the caller looked, in which somebody may have filled.
    func fly<Failure: Error>(
        _ key: CacheKey,
        _ field: CacheField,
        note: LocalCache.Note,
        stale: CacheEntry?,
        lifetimes: Lifetimes,
        minVersion: Int64,
        hasWaited: Bool,
        compute: @Sendable () async throws(Failure) -> Computation
    ) async throws(Failure) -> Flown {
        var lease: ComputeLease?
        var withoutShared = false
        waiting: do {
            let deadline = ContinuousClock.now.advanced(by: self.settings.foreignComputeLimit)
            var hasWaited = hasWaited
            while true {
                switch try await self.shared.acquireLease(on: key, for: self.settings.computeLease) {
                case .granted(let granted):
                    // What was waited for may have been filled between the last look and the grant.
                    if hasWaited, let entry = await self.filledMeanwhile(key, field, note, minVersion, nil) {
                        await self.release(granted, key)
                        return Flown(entry: entry, tier: .shared, landing: .filled(entry), withoutShared: false)
                    }
                    lease = granted
                    break waiting
                case .held(let remaining):
                    // Another node computes: a stale copy will do meanwhile; without one its entry is awaited, for a while.
                    if let stale {
                        return Flown(entry: stale, tier: .stale, landing: .busy, withoutShared: false)
                    }
                    let pause = min(remaining, self.settings.foreignComputePoll)
                    guard ContinuousClock.now < deadline, (try? await self.pause(pause)) != nil else {
                        break waiting
                    }
                    hasWaited = true
                    self.metrics.foreignWaits.increment()
                    let (note, isLive) = self.lookup.note(key)
                    let look = await self.lookup.look(key, field, note: note, isLive: isLive, minVersion: minVersion)
                    if case .fresh(let entry, _, _) = look {
                        return Flown(entry: entry, tier: .shared, landing: .filled(entry), withoutShared: false)
                    }
                }
            }
        } catch {
            self.metrics.sharedErrors.increment()
            withoutShared = true
        }
        return try await self.fill(
            key,
            field,
            note: note,
            lease: lease,
            withoutShared: withoutShared,
            lifetimes: lifetimes,
            compute: compute
        )
    }

    /// Refreshes an entry that is held, for nobody in particular: only under the lease, and only if nobody else has done it.
    func refresh<Failure: Error>(
        _ key: CacheKey,
        _ field: CacheField,
        note: LocalCache.Note,
        held: CacheEntry,
        lifetimes: Lifetimes,
        compute: @Sendable () async throws(Failure) -> Computation
    ) async -> FlightTable.Landing {
        var lease: ComputeLease?
        do {
            guard
                case .granted(let granted) = try await self.shared.acquireLease(
                    on: key,
                    for: self.settings.computeLease
                )
            else { return .busy }
            lease = granted
        } catch {
            self.metrics.sharedErrors.increment()
            guard self.lookup.keeper.isFollowingJournal else {
                self.metrics.refreshFailures.increment()
                return .failed
            }
        }
        if let lease, let entry = await self.filledMeanwhile(key, field, note, held.version, held.computedAt) {
            await self.release(lease, key)
            return .filled(entry)
        }
        do {
            let flown = try await self.fill(
                key,
                field,
                note: note,
                lease: lease,
                withoutShared: lease == nil,
                lifetimes: lifetimes,
                compute: compute
            )
            if case .filled = flown.landing { self.metrics.refreshed.increment() }
            return flown.landing
        } catch {
            self.metrics.refreshFailures.increment()
            return .failed
        }
    }

    /// A fresh entry of L2, later than one that is held.
    private func filledMeanwhile(
        _ key: CacheKey,
        _ field: CacheField,
        _ note: LocalCache.Note,
        _ minVersion: Int64,
        _ computedAt: Int64?
    ) async -> CacheEntry? {
        let look = await self.lookup.lookShared(key, field, note: note, minVersion: minVersion)
        guard case .fresh(let entry, _, _) = look, entry.computedAt > computedAt ?? -1 else { return nil }
        return entry
    }

    private func fill<Failure: Error>(
        _ key: CacheKey,
        _ field: CacheField,
        note: LocalCache.Note,
        lease: ComputeLease?,
        withoutShared: Bool,
        lifetimes: Lifetimes,
        compute: @Sendable () async throws(Failure) -> Computation
    ) async throws(Failure) -> Flown {
        let start = ContinuousClock.now
        if let lease { self.renewals.hold(lease, on: key) }
        defer { if let lease { self.renewals.drop(lease) } }
        let computation: Computation
        do throws(Failure) {
            computation = try await compute()
        } catch {
            if let lease { await self.release(lease, key) }
            self.metrics.loadErrors.increment()
            throw error
        }
        let cost = ContinuousClock.now - start
        let now = self.lookup.keeper.milliseconds()
        let entry = CacheEntry(
            version: computation.version,
            computedAt: now,
            softExpiry: now + lifetimes.soft(of: computation).milliseconds,
            hardExpiry: now + lifetimes.hard.milliseconds,
            cost: UInt32(clamping: cost.nanoseconds / 1_000),
            payload: computation.payload
        )
        self.metrics.computed(entry, cost)
        guard computation.isCacheable else {
            if let lease { await self.release(lease, key) }
            if !computation.isTransient { self.remember(key, field, version: computation.version, note: note) }
            return Flown(entry: entry, tier: .computed, landing: .refused, withoutShared: withoutShared)
        }
        guard let lease else {
            let isHeld = withoutShared && self.holdAlone(entry, key, field, note)
            let landing: FlightTable.Landing = isHeld ? .filled(entry) : .failed
            return Flown(entry: entry, tier: .computed, landing: landing, withoutShared: withoutShared)
        }
        do {
            let outcome = try await self.shared.fill(
                CacheFill(
                    place: CachePlace(key: key, field: field),
                    entry: entry.encoded(key: key, field: field),
                    version: entry.version,
                    lease: lease,
                    keepFor: lifetimes.hard
                )
            )
            guard outcome == .stored else {
                self.metrics.refused(outcome)
                // What L2 refuses to hold is not held here either, though no message has said so yet.
                if outcome == .belowFloor { self.lookup.keeper.local.drop(key, below: entry.version + 1) }
                let isTaken = self.lookup.keeper.faults.has(.joinOldFlight)
                let landing = isTaken ? FlightTable.Landing.filled(entry) : .refused
                return Flown(entry: entry, tier: .computed, landing: landing, withoutShared: false)
            }
        } catch {
            self.metrics.fillErrors.increment()
            // Of a task that was cancelled nothing was sent: others need not wait for the lease to end.
            if Task.isCancelled { await self.release(lease, key) }
            let isHeld = self.holdAlone(entry, key, field, note)
            let landing: FlightTable.Landing = isHeld ? .filled(entry) : .refused
            return Flown(entry: entry, tier: .computed, landing: landing, withoutShared: true)
        }
        self.lookup.promote(entry, key, field, note)
        return Flown(entry: entry, tier: .computed, landing: .filled(entry), withoutShared: false)
    }

    /// Writes to L1 what L2 could not be asked about, while this node follows the journal itself: what is committed after the
    /// snapshot of the entry moves its stripe or drops it.
    func holdAlone(_ entry: CacheEntry, _ key: CacheKey, _ field: CacheField, _ note: LocalCache.Note) -> Bool {
        self.lookup.keeper.isFollowingJournal && self.lookup.promote(entry, key, field, note)
    }

    /// Remembers that an owner had no value of its own when the store was read after `note` was taken.
    func remember(_ key: CacheKey, _ field: CacheField, version: Int64, note: LocalCache.Note) {
        self.metrics.negative.misses.increment()
        self.lookup.coldOwners.remember(
            key,
            field,
            version: version,
            note: note,
            until: self.lookup.keeper.milliseconds() + self.settings.coldOwnerLifetime.milliseconds
        )
    }

    func release(_ lease: ComputeLease, _ key: CacheKey) async {
        do {
            try await self.shared.release(lease, on: key)
        } catch {
            // It ends by itself after its duration.
            self.log.debug("compute lease not released", metadata: ["error": "\(error)"])
        }
    }
}

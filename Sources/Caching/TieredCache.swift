public import Logging
import Metrics

/// What a computation gives.
public struct Computation: Sendable {
    /// The version of the owner in the snapshot the value was computed from.
    public let version: Int64
    /// The value.
    public let payload: [UInt8]
    /// False: the value is answered, and stored nowhere (an owner nobody knows).
    public let isCacheable: Bool

    /// A computed value.
    public init(version: Int64, payload: [UInt8], isCacheable: Bool) {
        self.version = version
        self.payload = payload
        self.isCacheable = isCacheable
    }
}

/// Where an answer came from.
public enum CacheTier: Sendable, Equatable {
    case local, shared, stale, computed
}

/// An entry and where it came from.
public struct CacheAnswer: Sendable {
    /// The entry.
    public let entry: CacheEntry
    /// Where it came from.
    public let tier: CacheTier
    /// Redis could not be used.
    public let withoutShared: Bool
    /// Time spent looking in L1 and L2.
    public let lookup: Duration
    /// Time spent computing, or waiting for who computes.
    public let compute: Duration
}

/// How long entries are fresh and how long they may be served.
public struct Lifetimes: Sendable, Equatable {
    /// From computation to stale.
    public let soft: Duration
    /// From computation to unservable.
    public let hard: Duration

    /// Lifetimes; `jitter` in 0...1 takes up to 10 % off both, so that entries filled together do not expire together.
    public init(soft: Duration, hard: Duration, jitter: Double = 0) {
        let factor = 1 - 0.1 * min(max(jitter, 0), 1)
        self.soft = soft * factor
        self.hard = hard * factor
    }
}

/// L1 in front of L2 in front of a computation, with the rules of coherence between them.
///
/// Every way an entry can be served:
/// - L1, lease live, stamped in the current session: no hop.
/// - L1 otherwise: verified against L2's floor first, and stamped anew.
/// - L2: `version >= floor`, the floor known; promoted to L1.
/// - Computed from a snapshot opened after the request began, or after the flight began that the request may join.
/// - Stale: past its soft expiry, when the refresh failed or another's refresh is under way. Never what was invalidated.
///
/// While L2 is not trusted each of the middle two is checked against the version in PostgreSQL as well.
public final class TieredCache: Sendable {
    let keeper: CoherenceKeeper
    let shared: any SharedCache
    let settings: CoherenceSettings
    let flights = FlightTable()
    let metrics = TieredCacheMetrics()
    private let log: Logger

    /// A cache over the node's keeper and L2.
    public init(keeper: CoherenceKeeper, shared: any SharedCache, settings: CoherenceSettings, log: Logger) {
        self.keeper = keeper
        self.shared = shared
        self.settings = settings
        self.log = log
    }

    /// The entry of a key and field, from the nearest tier that may serve it.
    ///
    /// - Parameters:
    ///   - lifetimes: Of an entry that is computed now.
    ///   - servesStale: Whether a stale copy may be the answer: while another computes, and where `compute` throws.
    ///   - primaryVersion: Reads the owner's version where it is written; used while L2 cannot be trusted.
    ///   - compute: Opens its snapshot when it is called, not before.
    /// - Throws: What `compute` throws, where no stale copy may be served instead.
    public func entry<Failure: Error>(
        for key: CacheKey,
        _ field: CacheField,
        lifetimes: Lifetimes,
        servesStale: Bool = true,
        primaryVersion: @Sendable () async throws -> Int64,
        compute: () async throws(Failure) -> Computation
    ) async throws(Failure) -> CacheAnswer {
        let clock = ContinuousClock()
        let start = clock.now
        var stale: CacheEntry?
        var withoutShared = false
        switch await self.look(key, field, primaryVersion: primaryVersion) {
        case .fresh(let entry, let tier, let asked):
            return CacheAnswer(
                entry: entry,
                tier: tier,
                withoutShared: !asked,
                lookup: clock.now - start,
                compute: .zero
            )
        case .stale(let entry, let asked):
            if servesStale { stale = entry }
            withoutShared = !asked
        case .missing: break
        case .unavailable:
            withoutShared = true
        }
        let found = clock.now
        let name = FlightTable.Name(key: key, field: field)
        while true {
            let standing = self.keeper.standing()
            let note = LocalCache.Note(session: standing.session, stripe: self.keeper.local.stripe(of: key))
            switch await self.flights.enter(name, note: note, isLive: standing.isLive) {
            case .joined(.filled(let entry)):
                self.metrics.joined.increment()
                return CacheAnswer(
                    entry: entry,
                    tier: .computed,
                    withoutShared: false,
                    lookup: found - start,
                    compute: clock.now - found
                )
            case .joined(.rejected):
                self.metrics.joinsRejected.increment()
                continue
            case .fly(let id):
                do throws(Failure) {
                    let flown = try await self.fly(
                        key,
                        field,
                        note: note,
                        stale: stale,
                        lifetimes: lifetimes,
                        primaryVersion: primaryVersion,
                        compute: compute
                    )
                    self.flights.land(id, name, flown.accepted ? .filled(flown.entry) : .rejected)
                    return CacheAnswer(
                        entry: flown.entry,
                        tier: flown.tier,
                        withoutShared: withoutShared || flown.withoutShared,
                        lookup: found - start,
                        compute: clock.now - found
                    )
                } catch {
                    self.flights.land(id, name, .rejected)
                    guard let stale else { throw error }
                    self.metrics.stale.increment()
                    return CacheAnswer(
                        entry: stale,
                        tier: .stale,
                        withoutShared: withoutShared,
                        lookup: found - start,
                        compute: clock.now - found
                    )
                }
            }
        }
    }

    /// The entry of a key and field where a tier holds one that may be served, fresh or stale; nothing is computed.
    public func held(
        for key: CacheKey,
        _ field: CacheField,
        primaryVersion: @Sendable () async throws -> Int64
    ) async -> CacheAnswer? {
        let clock = ContinuousClock()
        let start = clock.now
        let found: (entry: CacheEntry, tier: CacheTier, asked: Bool)
        switch await self.look(key, field, primaryVersion: primaryVersion) {
        case .fresh(let entry, let tier, let asked): found = (entry, tier, asked)
        case .stale(let entry, let asked):
            self.metrics.stale.increment()
            found = (entry, .stale, asked)
        case .missing, .unavailable: return nil
        }
        return CacheAnswer(
            entry: found.entry,
            tier: found.tier,
            withoutShared: !found.asked,
            lookup: clock.now - start,
            compute: .zero
        )
    }

    // MARK: Looking

    private enum Look {
        /// `asked`: L2 was asked, or need not be.
        case fresh(CacheEntry, CacheTier, asked: Bool)
        /// Valid, past its soft expiry.
        case stale(CacheEntry, asked: Bool)
        case missing
        /// L2 could not be asked.
        case unavailable
    }

    private func look(
        _ key: CacheKey,
        _ field: CacheField,
        primaryVersion: @Sendable () async throws -> Int64
    ) async -> Look {
        let now = self.keeper.milliseconds()
        let standing = self.keeper.standing()
        let note = LocalCache.Note(session: standing.session, stripe: self.keeper.local.stripe(of: key))
        if let hit = self.keeper.local.find(key, field) {
            if now >= hit.entry.hardExpiry {
                self.metrics.localExpired.increment()
            } else if standing.isLive, hit.session == standing.session {
                self.metrics.localHits.increment()
                return now < hit.entry.softExpiry
                    ? .fresh(hit.entry, .local, asked: true) : .stale(hit.entry, asked: true)
            } else if let asked = await self.verify(hit.entry, key, field, note, primaryVersion) {
                self.metrics.localVerified.increment()
                return now < hit.entry.softExpiry
                    ? .fresh(hit.entry, .local, asked: asked) : .stale(hit.entry, asked: asked)
            } else {
                self.metrics.localVoid.increment()
            }
        }
        do {
            let read = try await self.shared.read(key, field)
            guard let bytes = read.entry, let floor = read.floor else {
                self.metrics.misses.increment()
                return .missing
            }
            let entry = try CacheEntry(decoding: bytes, key: key, field: field)
            guard entry.version >= floor, now < entry.hardExpiry else {
                self.metrics.misses.increment()
                return .missing
            }
            if !self.keeper.isSharedTrusted {
                guard let version = try? await primaryVersion(), entry.version >= version else {
                    self.metrics.untrusted.increment()
                    return .missing
                }
            }
            self.promote(entry, key, field, note)
            self.metrics.sharedHits.increment()
            return now < entry.softExpiry ? .fresh(entry, .shared, asked: true) : .stale(entry, asked: true)
        } catch let error as CacheEntryError {
            self.metrics.undecodable(error)
            return .missing
        } catch {
            self.metrics.sharedErrors.increment()
            return .unavailable
        }
    }

    /// Whether an entry of L1 may be served although no lease covers it: by L2's floor, or, where that cannot be asked or
    /// believed, by the version in PostgreSQL. Nil: it may not; otherwise whether L2 answered.
    private func verify(
        _ entry: CacheEntry,
        _ key: CacheKey,
        _ field: CacheField,
        _ note: LocalCache.Note,
        _ primaryVersion: @Sendable () async throws -> Int64
    ) async -> Bool? {
        let known: Bool
        var asked = true
        do {
            let floor = try await self.shared.floor(of: key)
            guard let floor, entry.version >= floor else {
                self.keeper.local.drop(key, below: floor ?? .max)
                return nil
            }
            known = self.keeper.isSharedTrusted
        } catch {
            self.metrics.sharedErrors.increment()
            known = false
            asked = false
        }
        if !known {
            guard let version = try? await primaryVersion() else { return nil }
            guard entry.version >= version else {
                self.keeper.local.drop(key, below: version)
                return nil
            }
        }
        self.promote(entry, key, field, note)
        return asked
    }

    /// Writes L1 with the session noted before the first command was sent, if neither session nor stripe has moved since.
    func promote(_ entry: CacheEntry, _ key: CacheKey, _ field: CacheField, _ note: LocalCache.Note) {
        guard let session = note.session, self.keeper.standing().session == session else { return }
        if !self.keeper.local.write(entry, key, field, note: note, session: session) {
            self.metrics.localWritesRefused.increment()
        }
    }

    // MARK: Flying

    private struct Flown {
        let entry: CacheEntry
        let tier: CacheTier
        /// L2 accepted it: those who joined may have it.
        let accepted: Bool
        let withoutShared: Bool
    }

    private func fly<Failure: Error>(
        _ key: CacheKey,
        _ field: CacheField,
        note: LocalCache.Note,
        stale: CacheEntry?,
        lifetimes: Lifetimes,
        primaryVersion: @Sendable () async throws -> Int64,
        compute: () async throws(Failure) -> Computation
    ) async throws(Failure) -> Flown {
        var lease: ComputeLease?
        var withoutShared = false
        waiting: do {
            let deadline = ContinuousClock.now.advanced(by: self.settings.foreignComputeLimit)
            while true {
                switch try await self.shared.acquireLease(on: key, for: self.settings.computeLease) {
                case .granted(let granted):
                    lease = granted
                    break waiting
                case .held(let remaining):
                    // Another node computes: a stale copy will do meanwhile; without one its entry is awaited, for a while.
                    if let stale {
                        self.metrics.stale.increment()
                        return Flown(entry: stale, tier: .stale, accepted: false, withoutShared: false)
                    }
                    let pause = min(remaining, self.settings.foreignComputePoll)
                    guard ContinuousClock.now < deadline, (try? await Task.sleep(for: pause)) != nil else {
                        break waiting
                    }
                    self.metrics.foreignWaits.increment()
                    if case .fresh(let entry, _, _) = await self.look(key, field, primaryVersion: primaryVersion) {
                        return Flown(entry: entry, tier: .shared, accepted: true, withoutShared: false)
                    }
                }
            }
        } catch {
            self.metrics.sharedErrors.increment()
            withoutShared = true
        }

        let start = ContinuousClock.now
        let computation: Computation
        do throws(Failure) {
            computation = try await compute()
        } catch {
            if let lease { await self.release(lease, key) }
            throw error
        }
        let cost = ContinuousClock.now - start
        let now = self.keeper.milliseconds()
        let entry = CacheEntry(
            version: computation.version,
            computedAt: now,
            softExpiry: now + lifetimes.soft.milliseconds,
            hardExpiry: now + lifetimes.hard.milliseconds,
            cost: UInt32(clamping: cost.nanoseconds / 1_000),
            payload: computation.payload
        )
        self.metrics.computed.increment()
        self.metrics.computeTime.recordNanoseconds(cost.nanoseconds)
        guard let lease else {
            return Flown(entry: entry, tier: .computed, accepted: false, withoutShared: withoutShared)
        }
        guard computation.isCacheable else {
            await self.release(lease, key)
            return Flown(entry: entry, tier: .computed, accepted: false, withoutShared: false)
        }
        do {
            let outcome = try await self.shared.fill(
                key,
                field,
                entry: entry.encoded(key: key, field: field),
                version: entry.version,
                lease: lease,
                keepFor: lifetimes.hard
            )
            guard outcome == .stored else {
                self.metrics.refused(outcome)
                return Flown(entry: entry, tier: .computed, accepted: false, withoutShared: false)
            }
        } catch {
            self.metrics.fillErrors.increment()
            return Flown(entry: entry, tier: .computed, accepted: false, withoutShared: true)
        }
        self.promote(entry, key, field, note)
        return Flown(entry: entry, tier: .computed, accepted: true, withoutShared: false)
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

/// What the cache counts. `result` tells what one look at a tier came to.
struct TieredCacheMetrics: Sendable {
    private static func result(_ tier: String, _ result: String) -> Counter {
        Counter(label: "vireo_cache_results_total", dimensions: [("tier", tier), ("result", result)])
    }

    let localHits = result("l1", "hit")
    let localVerified = result("l1", "verified")
    let localVoid = result("l1", "void")
    let localExpired = result("l1", "expired")
    let sharedHits = result("l2", "hit")
    let misses = result("l2", "miss")
    let untrusted = result("l2", "untrusted")
    let sharedErrors = result("l2", "error")
    let stale = result("l2", "stale_served")
    let computed = Counter(label: "vireo_computations_total")
    let computeTime = Metrics.Timer(label: "vireo_compute_seconds")
    let joined = Counter(label: "vireo_flights_joined_total")
    let joinsRejected = Counter(label: "vireo_flight_joins_rejected_total")
    let foreignWaits = Counter(label: "vireo_foreign_compute_waits_total")
    let localWritesRefused = Counter(label: "vireo_l1_writes_refused_total")
    let fillErrors = Counter(label: "vireo_fills_refused_total", dimensions: [("reason", "error")])
    private let refusals: [FillOutcome: Counter] = Dictionary(
        uniqueKeysWithValues: FillOutcome.allCases.map {
            ($0, Counter(label: "vireo_fills_refused_total", dimensions: [("reason", $0.rawValue)]))
        }
    )
    private let undecodables: [CacheEntryError: Counter] = Dictionary(
        uniqueKeysWithValues: CacheEntryError.allCases.map {
            ($0, Counter(label: "vireo_l2_undecodable_total", dimensions: [("reason", $0.rawValue)]))
        }
    )

    func refused(_ outcome: FillOutcome) { self.refusals[outcome]?.increment() }
    func undecodable(_ error: CacheEntryError) { self.undecodables[error]?.increment() }
}

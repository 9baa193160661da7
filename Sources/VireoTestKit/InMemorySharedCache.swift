package import Caching
import Synchronization

/// L2 and bus in memory, with the semantics of the scripts, for tests: every step can be held, refused or seen.
package final class InMemorySharedCache: SharedCache, InvalidationBus, RelayProgress {
    private struct Hash {
        var floor: Int64?
        var lease: (id: String, ends: ContinuousClock.Instant)?
        var entries: [CacheField: [UInt8]] = [:]
    }

    private struct State {
        var hashes: [CacheKey: Hash] = [:]
        var connection: UInt64 = 1
        var nextLease = 0
        var relayed: JournalPosition?
        var history: DataHistory?
        var controlHead: Int64?
        var isDown = false
        var refusesWrites = false
        var isLeftByRelay = false
        var passes = 0
        var published: [BusMessage] = []
        var heartbeats: [Heartbeat] = []
        var calls: [String] = []
        var listener: AsyncStream<BusEvent>.Continuation?

        mutating func lease(_ key: CacheKey, now: ContinuousClock.Instant, _ duration: Duration) -> LeaseGrant {
            if let lease = self.hashes[key]?.lease, lease.ends > now { return .held(lease.ends - now) }
            self.nextLease += 1
            let id = "lease-\(self.nextLease)"
            self.hashes[key, default: Hash()].lease = (id, now.advanced(by: duration))
            return .granted(ComputeLease(id: id, connection: self.connection))
        }

        mutating func fill(_ fill: CacheFill) throws(SharedCacheError) -> FillOutcome {
            let key = fill.place.key
            guard fill.lease.connection == self.connection else { throw .connectionChanged }
            guard self.hashes[key]?.lease?.id == fill.lease.id else { return .leaseLost }
            self.hashes[key]!.lease = nil
            if let floor = self.hashes[key]!.floor, fill.version < floor { return .belowFloor }
            self.hashes[key]!.floor = fill.version
            self.hashes[key]!.entries[fill.place.field] = fill.entry
            return .stored
        }
    }

    private let state = Mutex(State())
    private let clock: ManualClock

    package init(clock: ManualClock) {
        self.clock = clock
    }

    // MARK: What a test does

    package var isDown: Bool {
        get { self.state.withLock { $0.isDown } }
        set {
            self.state.withLock { state in
                state.isDown = newValue
                state.connection += 1
            }
        }
    }

    /// What a demoted or fenced primary does.
    package var refusesWrites: Bool {
        get { self.state.withLock { $0.refusesWrites } }
        set { self.state.withLock { $0.refusesWrites = newValue } }
    }

    /// What a primary sees that the rest of the fleet has left: the relay does not pass there any more.
    package var isLeftByRelay: Bool {
        get { self.state.withLock { $0.isLeftByRelay } }
        set { self.state.withLock { $0.isLeftByRelay = newValue } }
    }

    /// What FLUSHALL, eviction or expiry do.
    package func lose(_ key: CacheKey) { self.state.withLock { $0.hashes[key] = nil } }

    package func setEntry(_ bytes: [UInt8], floor: Int64?, key: CacheKey, field: CacheField) {
        self.state.withLock { state in
            state.hashes[key, default: Hash()].entries[field] = bytes
            state.hashes[key]?.floor = floor
        }
    }

    package func floorNow(_ key: CacheKey) -> Int64? { self.state.withLock { $0.hashes[key]?.floor } }

    package func entryNow(_ key: CacheKey, _ field: CacheField) -> [UInt8]? {
        self.state.withLock { $0.hashes[key]?.entries[field] }
    }

    package var published: [BusMessage] { self.state.withLock { $0.published } }
    package var heartbeats: [Heartbeat] { self.state.withLock { $0.heartbeats } }
    /// The names of the calls so far, in order.
    package var calls: [String] { self.state.withLock { $0.calls } }

    package func setRelayedNow(_ xmax: UInt64?) {
        self.state.withLock { $0.relayed = xmax.flatMap { JournalPosition("\($0):\($0):") } }
    }

    package func setHistoryNow(_ history: DataHistory?) { self.state.withLock { $0.history = history } }

    package func setControlHeadNow(_ head: Int64?) { self.state.withLock { $0.controlHead = head } }

    // MARK: SharedCache

    private func enter<Result>(
        _ name: String,
        _ body: (inout State) throws(SharedCacheError) -> Result
    ) throws(SharedCacheError) -> Result {
        let outcome: Swift.Result<Result, SharedCacheError> = self.state.withLock { state in
            state.calls.append(name)
            if state.isDown { return .failure(.unavailable) }
            if state.refusesWrites, !["read", "reads", "floor", "floors", "relayed"].contains(name) {
                return .failure(.refused("READONLY"))
            }
            do throws(SharedCacheError) { return .success(try body(&state)) } catch { return .failure(error) }
        }
        return try outcome.get()
    }

    package func read(_ key: CacheKey, _ field: CacheField) async throws(SharedCacheError) -> SharedRead {
        try self.enter("read") { state in
            SharedRead(floor: state.hashes[key]?.floor, entry: state.hashes[key]?.entries[field])
        }
    }

    package func read(_ places: [CachePlace]) async throws(SharedCacheError) -> [SharedRead] {
        try self.enter("reads") { state in
            places.map {
                SharedRead(floor: state.hashes[$0.key]?.floor, entry: state.hashes[$0.key]?.entries[$0.field])
            }
        }
    }

    package func floor(of key: CacheKey) async throws(SharedCacheError) -> Int64? {
        try self.enter("floor") { $0.hashes[key]?.floor }
    }

    package func floors(of keys: [CacheKey]) async throws(SharedCacheError) -> [Int64?] {
        try self.enter("floors") { state in keys.map { state.hashes[$0]?.floor } }
    }

    package func acquireLease(on key: CacheKey, for duration: Duration) async throws(SharedCacheError) -> LeaseGrant {
        let now = self.clock.now
        return try self.enter("lease") { state in state.lease(key, now: now, duration) }
    }

    package func acquireLeases(
        on keys: [CacheKey],
        for duration: Duration
    ) async throws(SharedCacheError) -> [LeaseGrant] {
        let now = self.clock.now
        return try self.enter("leases") { state in keys.map { state.lease($0, now: now, duration) } }
    }

    package func fill(_ fill: CacheFill) async throws(SharedCacheError) -> FillOutcome {
        try self.enter("fill") { state throws(SharedCacheError) in try state.fill(fill) }
    }

    package func fill(_ fills: [CacheFill]) async throws(SharedCacheError) -> [FillOutcome] {
        try self.enter("fills") { state throws(SharedCacheError) in
            var outcomes: [FillOutcome] = []
            for fill in fills { outcomes.append(try state.fill(fill)) }
            return outcomes
        }
    }

    package func renew(
        _ leases: [(lease: ComputeLease, key: CacheKey)],
        for duration: Duration
    ) async throws(SharedCacheError) -> [Bool] {
        let now = self.clock.now
        return try self.enter("renew") { state throws(SharedCacheError) in
            guard leases.allSatisfy({ $0.lease.connection == state.connection }) else { throw .connectionChanged }
            return leases.map { lease, key in
                guard state.hashes[key]?.lease?.id == lease.id else { return false }
                state.hashes[key]!.lease!.ends = now.advanced(by: duration)
                return true
            }
        }
    }

    package func release(_ lease: ComputeLease, on key: CacheKey) async throws(SharedCacheError) {
        try self.enter("release") { state in
            if state.hashes[key]?.lease?.id == lease.id { state.hashes[key]!.lease = nil }
        }
    }

    package func raiseFloors(
        _ invalidations: [Invalidation],
        on connection: UInt64?
    ) async throws(SharedCacheError) {
        try self.enter("raise") { state throws(SharedCacheError) in
            if let connection, connection != state.connection { throw .connectionChanged }
            for invalidation in invalidations {
                guard let hash = state.hashes[invalidation.key], (hash.floor ?? .min) < invalidation.version else {
                    continue
                }
                state.hashes[invalidation.key]!.floor = invalidation.version
                state.hashes[invalidation.key]!.lease = nil
            }
        }
    }

    // MARK: InvalidationBus and RelayProgress

    package func publish(_ messages: [BusMessage], on connection: UInt64?) async throws(SharedCacheError) {
        try self.enter("publish") { $0.published += messages }
    }

    package func send(_ heartbeat: Heartbeat) async throws(SharedCacheError) -> HeartbeatReply {
        let milliseconds = self.clock.milliseconds
        return try self.enter("heartbeat") { state in
            state.heartbeats.append(heartbeat)
            // As a relay that is more than twice as frequent.
            if !state.isLeftByRelay { state.passes += 2 }
            return HeartbeatReply(
                relayed: state.relayed,
                controlHead: state.controlHead,
                milliseconds: milliseconds,
                history: state.history,
                pass: RelayPass(relay: "r", count: UInt64(state.passes))
            )
        }
    }

    package func listen(_ apply: (BusEvent) -> Void) async {}

    package func restartSession() { self.state.withLock { $0.calls.append("restart") } }

    package func relayed() async throws(SharedCacheError) -> (position: JournalPosition?, connection: UInt64) {
        try self.enter("relayed") { ($0.relayed, $0.connection) }
    }

    package func setRelayed(
        _ position: JournalPosition,
        controlHead: Int64,
        on connection: UInt64
    ) async throws(SharedCacheError) {
        try self.enter("setRelayed") { state throws(SharedCacheError) in
            guard connection == state.connection else { throw .connectionChanged }
            state.relayed = position
            state.controlHead = controlHead
        }
    }
}

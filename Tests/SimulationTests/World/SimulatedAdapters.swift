@testable import Caching

/// What a node's real code calls, carried over the node's simulated connections.
final class SimulatedAdapters: SharedCache, InvalidationBus, RelayProgress, Journal, JournalTail, ControlFeed,
    VersionSource, @unchecked Sendable
{
    private unowned let node: SimulatedNode
    private var passed: (connection: UInt64, pass: RelayPass)?
    private var world: World { self.node.world }
    private var redis: SimulatedRedis { self.node.world.redis(of: self.node.index) }

    init(node: SimulatedNode) {
        self.node = node
    }

    // MARK: Redis

    /// Carries out steps in Redis over the node's connection; each gets the value that the caller gets in the end.
    private func call<Value>(
        writing isWrite: Bool = false,
        on connection: UInt64? = nil,
        _ initial: Value,
        _ steps: [(inout Value) -> Void]
    ) async throws(SharedCacheError) -> Value {
        if let connection, connection != self.node.commands.number { throw .connectionChanged }
        let cell = Cell(initial)
        let failure: SharedCacheError? = await self.node.wait(
            { resume in
                self.node.commands.call(
                    steps.map { step in
                        {
                            if isWrite, self.redis.refusesWrites { return .refused("READONLY") }
                            step(&cell.value)
                            return nil
                        }
                    },
                    resume: resume
                )
            },
            otherwise: .unavailable
        )
        if let failure { throw failure }
        return cell.value
    }

    private final class Cell<Value>: @unchecked Sendable {
        var value: Value
        init(_ value: Value) { self.value = value }
    }

    func read(_ key: CacheKey, _ field: CacheField) async throws(SharedCacheError) -> SharedRead {
        try await self.call(SharedRead(floor: nil, entry: nil), [{ $0 = self.redis.read(key, field) }])
    }

    func read(_ places: [CachePlace]) async throws(SharedCacheError) -> [SharedRead] {
        try await self.call([], places.map { place in { $0.append(self.redis.read(place.key, place.field)) } })
    }

    func floor(of key: CacheKey) async throws(SharedCacheError) -> Int64? {
        try await self.call(nil, [{ $0 = self.redis.floor(key) }])
    }

    func floors(of keys: [CacheKey]) async throws(SharedCacheError) -> [Int64?] {
        try await self.call([], keys.map { key in { $0.append(self.redis.floor(key)) } })
    }

    func acquireLease(on key: CacheKey, for duration: Duration) async throws(SharedCacheError) -> LeaseGrant {
        try await self.acquireLeases(on: [key], for: duration)[0]
    }

    func acquireLeases(on keys: [CacheKey], for duration: Duration) async throws(SharedCacheError) -> [LeaseGrant] {
        let number = self.node.commands.number
        return try await self.call(
            writing: true,
            [],
            keys.map { key in
                { $0.append(self.redis.acquireLease(key, for: duration.nanoseconds / 1_000, connection: number)) }
            }
        )
    }

    func fill(_ fill: CacheFill) async throws(SharedCacheError) -> FillOutcome {
        try await self.fill([fill])[0]
    }

    func fill(_ fills: [CacheFill]) async throws(SharedCacheError) -> [FillOutcome] {
        try await self.call(
            writing: true,
            on: fills[0].lease.connection,
            [],
            fills.map { fill in
                { outcomes in
                    outcomes.append(self.redis.fill(fill))
                    self.note("fill of version \(fill.version): \(outcomes.last!)")
                }
            }
        )
    }

    func renew(
        _ leases: [(lease: ComputeLease, key: CacheKey)],
        for duration: Duration
    ) async throws(SharedCacheError) -> [Bool] {
        try await self.call(
            writing: true,
            on: leases[0].lease.connection,
            [],
            leases.map { lease, key in
                { $0.append(self.redis.renew(key, lease.id, for: duration.nanoseconds / 1_000)) }
            }
        )
    }

    func release(_ lease: ComputeLease, on key: CacheKey) async throws(SharedCacheError) {
        try await self.call(writing: true, on: lease.connection, (), [{ _ in self.redis.release(key, lease.id) }])
    }

    func raiseFloors(_ invalidations: [Invalidation], on connection: UInt64?) async throws(SharedCacheError) {
        let raise: (inout Void) -> Void = { _ in
            self.redis.raiseFloors(invalidations)
            self.note("floors raised to \(invalidations.map(\.version))")
        }
        try await self.call(writing: true, on: connection, (), [raise])
    }

    func publish(_ messages: [BusMessage], on connection: UInt64?) async throws(SharedCacheError) {
        let publish: (inout Void) -> Void = { _ in
            self.redis.publish(messages)
            self.note("PUBLISH")
        }
        try await self.call(on: connection, (), [publish])
    }

    func send(_ heartbeat: Heartbeat) async throws(SharedCacheError) -> HeartbeatReply {
        try await self.call(
            writing: true,
            HeartbeatReply(relayed: nil, controlHead: nil, milliseconds: 0),
            [{ $0 = self.redis.heartbeat(heartbeat, from: self.node.subscription) }]
        )
    }

    func listen(_ apply: (BusEvent) -> Void) async {}

    func restartSession() {
        self.world.scheduler.note("node \(self.node.index): begins a new session by itself")
        self.node.subscription.lose()
    }

    func relayed() async throws(SharedCacheError) -> (position: JournalPosition?, connection: UInt64) {
        let number = self.node.commands.number
        return (try await self.call(nil, [{ $0 = self.redis.relayed }]), number)
    }

    func setRelayed(
        _ position: JournalPosition,
        controlHead: Int64,
        on connection: UInt64
    ) async throws(SharedCacheError) {
        // As `RedisSharedCache`.
        let isNext = self.passed?.connection == connection
        let last = self.passed?.pass
        self.passed = nil
        let pass =
            isNext
            ? RelayPass(relay: last!.relay, count: last!.count + 1)
            : RelayPass(relay: "\(self.world.scheduler.draw(0...1_000_000_000))", count: 1)
        let write: (inout Void) -> Void = { _ in
            self.redis.setRelayed(position, controlHead: controlHead, pass: pass)
            self.world.judge.relayed(position, at: self.world.scheduler.now)
        }
        try await self.call(writing: true, on: connection, (), [write])
        self.passed = (connection, pass)
    }

    private func note(_ line: @autoclosure () -> String) {
        self.world.scheduler.note("Redis, of node \(self.node.index): \(line())")
    }

    // MARK: PostgreSQL

    /// Asks PostgreSQL: the body runs when the request is there; nil where it cannot be asked.
    func ask<Value>(_ body: @escaping (SimulatedPostgres) -> Value) async -> Value? {
        await self.node.ask(body)
    }

    func page(from position: JournalPosition?) async throws(JournalError) -> JournalPage {
        guard let page = await self.ask({ $0.page(from: position) }) else { throw .unavailable("") }
        return page
    }

    func poll(from position: JournalPosition?, limit: Int) async throws(JournalError) -> JournalPoll {
        guard let page = await self.ask({ $0.page(from: position ?? $0.position) }) else { throw .unavailable("") }
        return JournalPoll(invalidations: page.invalidations, next: page.next, isWhole: true)
    }

    func head() async throws(JournalError) -> JournalPosition {
        guard let head = await self.ask({ $0.position }) else { throw .unavailable("") }
        return head
    }

    func maintain() async throws(JournalError) {}

    var appliedControl: Int64 { self.node.appliedControl }

    func catchUp() async throws {
        guard let (head, generation) = await self.ask({ ($0.controlHead, $0.generation) }) else {
            throw JournalError.unavailable("")
        }
        self.node.appliedControl = max(self.node.appliedControl, head)
        self.node.generation = max(self.node.generation, generation)
    }

    func versions(of keys: [CacheKey]) async throws(VersionSourceError) -> [Int64] {
        guard let versions = await self.ask({ postgres in keys.map { postgres.version($0) } }) else {
            throw .unavailable
        }
        return versions
    }
}

extension SimulatedNode {
    /// Asks PostgreSQL: the body runs when the request is there; nil where it cannot be asked.
    func ask<Value>(_ body: @escaping (SimulatedPostgres) -> Value) async -> Value? {
        let (scheduler, postgres) = (self.world.scheduler, self.world.postgres)
        return await self.wait(
            { (resume: @escaping (Value?) -> Void) in
                scheduler.after(Transit.draw(scheduler)) {
                    guard !postgres.isDown else { return resume(nil) }
                    let value = body(postgres)
                    scheduler.after(Transit.draw(scheduler)) { resume(value) }
                }
            },
            otherwise: nil
        )
    }
}

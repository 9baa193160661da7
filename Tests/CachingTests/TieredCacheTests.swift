import Logging
import Synchronization
import Testing
import VireoTestKit

@testable import Caching

/// A node over an L2 in memory and a clock that stands still: the schedules of coherence.md, step by step.
struct Node {
    let clock: ManualClock
    let shared: InMemorySharedCache
    let journal = StubJournal()
    let versions = StubVersions()
    let keeper: CoherenceKeeper
    let cache: TieredCache
    let key = CacheKey(namespace: "i", owner: "t", member: "u")
    let field = CacheField(parts: ["home", "m1", "p0", "", "", "0"])

    /// Ends the patience of requests that wait for a refresh.
    let patience = Patience()
    /// What early refreshes draw.
    let draw = Draw()

    /// - Parameter followsJournal: Whether the node reads the journal itself where the bus proves nothing.
    init(
        clock: ManualClock = ManualClock(),
        shared: InMemorySharedCache? = nil,
        isAdmitted: Bool = true,
        followsJournal: Bool = false
    ) {
        let (patience, draw) = (self.patience, self.draw)
        let shared = shared ?? InMemorySharedCache(clock: clock)
        self.clock = clock
        self.shared = shared
        // Whoever waits for another node does so by the real clock, and this machine may be busy.
        let settings = CoherenceSettings(foreignComputePoll: .microseconds(1), foreignComputeLimit: .seconds(60))
        self.keeper = CoherenceKeeper(
            settings: settings,
            bus: shared,
            control: self.journal,
            journal: self.journal,
            tail: followsJournal ? self.journal : nil,
            log: Logger(label: "test"),
            isAdmitted: isAdmitted,
            now: { clock.now },
            wallClock: { clock.milliseconds }
        )
        self.cache = TieredCache(
            keeper: self.keeper,
            shared: shared,
            versions: self.versions,
            settings: settings,
            log: Logger(label: "test"),
            sleep: { _ in await patience.wait() },
            draw: { draw.value }
        )
    }

    /// Brings the node to a live lease in a session, with trust in L2.
    func live(session: UInt64 = 1) async {
        self.keeper.apply(.began(session: session))
        _ = await self.keeper.readControl()
        self.shared.setRelayedNow(100)
        self.journal.headNow = 1
        await self.keeper.restoreTrust()
        await self.beat()
        await self.beat()
    }

    func beat() async {
        let before = self.shared.heartbeats.count
        await self.keeper.beatOnce()
        for heartbeat in self.shared.heartbeats.dropFirst(before) { self.keeper.apply(.heartbeat(heartbeat)) }
    }

    /// Runs the body with the cache's service.
    func running(_ body: () async throws -> Void) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await self.cache.run() }
            while !self.cache.isRunning { await Task.yield() }
            try await body()
            group.cancelAll()
            try await group.waitForAll()
        }
    }

    struct Failed: Error {}

    /// Asks; the value is computed from the version that `primary` holds when the computation runs.
    func ask(
        _ key: CacheKey? = nil,
        primary: Int64,
        minVersion: Int64 = 0,
        during: @escaping @Sendable () async -> Void = {},
        fails: Bool = false,
        servesStale: Bool = true
    ) async throws -> CacheAnswer {
        let key = key ?? self.key
        self.versions[key] = primary
        return try await self.cache.entry(
            for: key,
            self.field,
            lifetimes: Lifetimes(soft: .seconds(300), hard: .seconds(1_800)),
            minVersion: minVersion,
            servesStale: servesStale,
            cold: { [0] },
            compute: { () async throws(Failed) in
                await during()
                if fails { throw Failed() }
                return Computation(version: primary, payload: [UInt8(primary)], isCacheable: primary > 0)
            }
        )
    }
}

@Suite("Tiered cache")
struct TieredCacheTests {
    let node = Node()

    @Test("a caller that is cancelled does not ask for ever whether another has landed", .timeLimit(.minutes(1)))
    func cancelledBesideFlight() async throws {
        await self.node.live()
        let (node, gate) = (self.node, Gate())
        async let first = node.ask(primary: 5, during: { await gate.wait() })
        await gate.untilWaiting()
        let second = Task { try await node.ask(primary: 5) }
        second.cancel()
        // It would join the first; as it cannot wait, it computes for itself, and stores nothing.
        #expect(try await second.value.entry.version == 5)
        await gate.open()
        #expect(try await first.entry.version == 5)
    }

    @Test("many for a caller that is cancelled, beside a flight", .timeLimit(.minutes(1)))
    func cancelledTogetherBesideFlight() async throws {
        await self.node.live()
        let (node, gate) = (self.node, Gate())
        async let first = node.ask(primary: 5, during: { await gate.wait() })
        await gate.untilWaiting()
        let lifetimes = Lifetimes(soft: .seconds(300), hard: .seconds(1_800))
        let second = Task {
            let place = CachePlace(key: node.key, field: node.field)
            return await node.cache.entries(for: [CacheRequest(place: place, lifetimes: lifetimes)]) {
                (indices: [Int]) async throws(Node.Failed) in
                indices.map { _ in Computation(version: 5, payload: [5], isCacheable: true) }
            }
        }
        second.cancel()
        #expect(try await second.value[0].get().entry.version == 5)
        await gate.open()
        _ = try await first
    }

    @Test("computed once, then from L1 without a hop, and from L2 on another node")
    func tiers() async throws {
        await self.node.live()
        #expect(try await self.node.ask(primary: 5).tier == .computed)
        let calls = self.node.shared.calls.count
        #expect(try await self.node.ask(primary: 5).tier == .local)
        #expect(self.node.shared.calls.count == calls, "a hit under a lease asks nobody")
        let other = Node(clock: self.node.clock, shared: self.node.shared)
        await other.live()
        #expect(try await other.ask(primary: 5).tier == .shared)
        #expect(try await other.ask(primary: 5).tier == .local)
    }

    @Test("an invalidation on another node voids L1 as soon as its message is applied")
    func message() async throws {
        await self.node.live()
        _ = try await self.node.ask(primary: 5)
        let invalidation = Invalidation(key: self.node.key, version: 6)
        try await self.node.shared.raiseFloors([invalidation], on: nil)
        self.node.keeper.apply(.message(.invalidation(invalidation)))
        let answer = try await self.node.ask(primary: 6)
        #expect(answer.tier == .computed)
        #expect(answer.entry.version == 6)
    }

    @Test("a lost message is harmless one lease later: L1 is verified against the floor")
    func lostMessage() async throws {
        await self.node.live()
        _ = try await self.node.ask(primary: 5)
        try await self.node.shared.raiseFloors([Invalidation(key: self.node.key, version: 6)], on: nil)
        self.node.clock.advance(by: .milliseconds(999))
        #expect(try await self.node.ask(primary: 6).entry.version == 5, "within the bound")
        self.node.clock.advance(by: .milliseconds(1))
        #expect(try await self.node.ask(primary: 6).entry.version == 6)
    }

    @Test("after a lost session L1 is verified, and stamped anew where it is still good")
    func lostSession() async throws {
        await self.node.live()
        _ = try await self.node.ask(primary: 5)
        self.node.keeper.subscriptionLost(session: 1)
        await self.node.live(session: 2)
        let before = self.node.shared.calls.filter { $0 == "floor" }.count
        #expect(try await self.node.ask(primary: 5).tier == .local)
        #expect(self.node.shared.calls.filter { $0 == "floor" }.count == before + 1)
        #expect(try await self.node.ask(primary: 5).tier == .local)
        #expect(self.node.shared.calls.filter { $0 == "floor" }.count == before + 1)
    }

    @Test("a fill that an invalidation overtook is stored nowhere and joined by nobody")
    func lateFill() async throws {
        await self.node.live()
        let node = self.node
        let answer = try await self.node.ask(primary: 5) {
            let invalidation = Invalidation(key: node.key, version: 6)
            try? await node.shared.raiseFloors([invalidation], on: nil)
            node.keeper.apply(.message(.invalidation(invalidation)))
        }
        #expect(answer.entry.version == 5, "the caller asked before the write was acknowledged")
        #expect(self.node.shared.entryNow(self.node.key, self.node.field) == nil)
        #expect(try await self.node.ask(primary: 6).entry.version == 6)
    }

    @Test("a fill begun before the hash was lost is refused, although no floor is there to refuse it")
    func lostHash() async throws {
        await self.node.live()
        let node = self.node
        _ = try await self.node.ask(primary: 5) {
            node.shared.lose(node.key)
        }
        #expect(self.node.shared.entryNow(self.node.key, self.node.field) == nil)
    }

    @Test("an entry without a floor is a miss: unknown is not zero")
    func missingFloor() async throws {
        await self.node.live()
        let stale = CacheEntry(
            version: 5,
            computedAt: 0,
            softExpiry: 86_400_000,
            hardExpiry: 86_400_000,
            cost: 0,
            payload: [5]
        )
        let bytes = stale.encoded(key: self.node.key, field: self.node.field)
        self.node.shared.setEntry(bytes, floor: nil, key: self.node.key, field: self.node.field)
        #expect(try await self.node.ask(primary: 6).tier == .computed)
    }

    @Test("bytes that are not this user's entry are a miss")
    func foreignBytes() async throws {
        await self.node.live()
        self.node.shared.setEntry([1, 2, 3], floor: 1, key: self.node.key, field: self.node.field)
        #expect(try await self.node.ask(primary: 6).tier == .computed)
    }

    @Test("while L2 is not trusted its entries are checked against PostgreSQL")
    func untrusted() async throws {
        await self.node.live()
        _ = try await self.node.ask(primary: 5)
        let other = Node(clock: self.node.clock, shared: self.node.shared)
        #expect(try await other.ask(primary: 6).entry.version == 6, "the floor went back, the primary did not")
    }

    @Test("with L2 down L1 is served if the primary vouches for it, and computed if not")
    func sharedDown() async throws {
        await self.node.live()
        _ = try await self.node.ask(primary: 5)
        self.node.shared.isDown = true
        self.node.keeper.subscriptionLost(session: 1)
        let vouched = try await self.node.ask(primary: 5)
        #expect(vouched.tier == .local)
        #expect(vouched.withoutShared)
        let answer = try await self.node.ask(primary: 6)
        #expect(answer.tier == .computed)
        #expect(answer.withoutShared)
    }

    @Test("an expired copy is served as stale when the refresh fails, an invalidated one never")
    func staleOnError() async throws {
        await self.node.live()
        _ = try await self.node.ask(primary: 5)
        self.node.clock.advance(by: .seconds(301))
        await self.node.beat()
        let stale = try await self.node.ask(primary: 5, fails: true)
        #expect(stale.tier == .stale)
        try await self.node.shared.raiseFloors([Invalidation(key: self.node.key, version: 6)], on: nil)
        self.node.keeper.apply(.message(.invalidation(Invalidation(key: self.node.key, version: 6))))
        await #expect(throws: Node.Failed.self) { try await self.node.ask(primary: 6, fails: true) }
    }

    @Test("where a stale copy may not be the answer the failure is, and what is held can still be asked for")
    func noStale() async throws {
        await self.node.live()
        _ = try await self.node.ask(primary: 5)
        self.node.clock.advance(by: .seconds(301))
        await self.node.beat()
        await #expect(throws: Node.Failed.self) {
            try await self.node.ask(primary: 5, fails: true, servesStale: false)
        }
        let held = await self.node.cache.held(for: self.node.key, self.node.field)
        #expect(held?.tier == .stale && held?.entry.version == 5)
        // Never what was invalidated, nor what is past its hard expiry, nor what is not there.
        self.node.clock.advance(by: .seconds(1_600))
        await self.node.beat()
        #expect(await self.node.cache.held(for: self.node.key, self.node.field) == nil)
        #expect(try await self.node.ask(primary: 6).tier == .computed)
        #expect(await self.node.cache.held(for: self.node.key, self.node.field)?.tier == .local)
        self.node.keeper.dropLocally(Invalidation(key: self.node.key, version: 7))
        try await self.node.shared.raiseFloors([Invalidation(key: self.node.key, version: 7)], on: nil)
        #expect(await self.node.cache.held(for: self.node.key, self.node.field) == nil)
    }

    @Test("past the hard expiry nothing is served")
    func hardExpiry() async throws {
        await self.node.live()
        _ = try await self.node.ask(primary: 5)
        self.node.clock.advance(by: .seconds(1_801))
        await self.node.beat()
        await #expect(throws: Node.Failed.self) { try await self.node.ask(primary: 5, fails: true) }
    }

    @Test("callers of one cold key share one computation under a lease")
    func singleFlight() async throws {
        await self.node.live()
        let computations = Count()
        let node = self.node
        let gate = Gate()
        try await withThrowingTaskGroup(of: Int64.self) { group in
            for _ in 0..<50 {
                group.addTask {
                    let answer = try await node.ask(primary: 5) {
                        computations.increment()
                        await gate.wait()
                    }
                    return answer.entry.version
                }
            }
            await gate.openWhen { node.cache.flights.count.waiting >= 49 }
            for try await version in group { #expect(version == 5) }
        }
        #expect(computations.value == 1)
    }

    @Test("who asks after an invalidation does not join a flight begun before it")
    func noOldFlight() async throws {
        await self.node.live()
        let node = self.node
        let gate = Gate()
        async let first = node.ask(primary: 5) { await gate.wait() }
        await gate.untilWaiting()
        let invalidation = Invalidation(key: node.key, version: 6)
        try await node.shared.raiseFloors([invalidation], on: nil)
        node.keeper.apply(.message(.invalidation(invalidation)))
        #expect(try await node.ask(primary: 6).entry.version == 6)
        await gate.open()
        #expect(try await first.entry.version == 5)
        #expect(try await node.ask(primary: 6).entry.version == 6, "the old flight left nothing behind")
    }

    @Test("a failed flight sends those who joined it to fly themselves, and leaves no lease")
    func failedFlight() async throws {
        await self.node.live()
        let node = self.node
        await #expect(throws: Node.Failed.self) { try await node.ask(primary: 5, fails: true) }
        #expect(try await node.ask(primary: 5).tier == .computed)
        #expect(node.shared.entryNow(node.key, node.field) != nil)
    }
}

@Suite("Tiered cache beside other nodes")
struct ForeignFlightTests {
    let node = Node()

    @Test("who joined a flight that failed computes nothing that another node has filled meanwhile")
    func filledMeanwhile() async throws {
        await self.node.live()
        let (node, gate) = (self.node, Gate())
        let first = Task { try await node.ask(primary: 5, during: { await gate.wait() }, fails: true) }
        await gate.untilWaiting()
        let second = Task { try await node.ask(primary: 5) }
        while node.cache.flights.count.waiting < 1 { await Task.yield() }
        let now = node.clock.milliseconds
        let entry = CacheEntry(
            version: 5,
            computedAt: now,
            softExpiry: now + 300_000,
            hardExpiry: now + 1_800_000,
            cost: 1,
            payload: [9]
        )
        let bytes = entry.encoded(key: node.key, field: node.field)
        node.shared.setEntry(bytes, floor: 5, key: node.key, field: node.field)
        await gate.open()
        await #expect(throws: Node.Failed.self) { try await first.value }
        let answer = try await second.value
        #expect(answer.tier == .shared)
        #expect(answer.entry.payload == [9])
    }

    @Test("the lease of a node that is gone ends within the patience of those who wait, and the next one fills")
    func holderGone() async throws {
        let settings = CoherenceSettings()
        #expect(settings.computeLease < settings.foreignComputeLimit)
        await self.node.live()
        let node = self.node
        _ = try await node.shared.acquireLease(on: node.key, for: settings.computeLease)
        let waiting = Task { try await node.ask(primary: 5) }
        while node.shared.calls.filter({ $0 == "lease" }).count < 3 { await Task.yield() }
        #expect(node.shared.entryNow(node.key, node.field) == nil)
        node.clock.advance(by: settings.computeLease)
        #expect(try await waiting.value.tier == .computed)
        #expect(node.shared.entryNow(node.key, node.field) != nil, "it has computed under a lease of its own")
    }
}

/// Leases of computations that take long. A lease runs for a second and is renewed every quarter of it.
@Suite("Renewal of compute leases")
struct LeaseRenewalTests {
    let node = Node()

    private func isHeld() async throws -> Bool {
        let grant = try await self.node.shared.acquireLease(on: self.node.key, for: .seconds(1))
        if case .held = grant { return true }
        return false
    }

    /// A quarter of a lease passes.
    private func tick() async {
        self.node.clock.advance(by: .milliseconds(250))
        await self.node.cache.renewals.renew()
    }

    @Test("a computation that takes longer than a lease keeps it, and its fill is taken")
    func slow() async throws {
        await self.node.live()
        let (node, gate) = (self.node, Gate())
        let slow = Task { try await node.ask(primary: 5, during: { await gate.wait() }) }
        await gate.untilWaiting()
        for _ in 0..<7 {
            await self.tick()
            #expect(try await self.isHeld())
        }
        #expect(node.shared.calls.filter { $0 == "renew" }.count == 6)
        await gate.open()
        #expect(try await slow.value.tier == .computed)
        #expect(node.shared.entryNow(node.key, node.field) != nil)
        await self.tick()
        #expect(node.shared.calls.filter { $0 == "renew" }.count == 6, "what has ended is not renewed")
        #expect(try await !self.isHeld())
    }

    @Test("a computation that hangs does not keep it for ever")
    func hanging() async throws {
        await self.node.live()
        let (node, gate) = (self.node, Gate())
        let hanging = Task { try await node.ask(primary: 5, during: { await gate.wait() }) }
        await gate.untilWaiting()
        // Renewed for the two seconds that a request has; then the last one runs out.
        for _ in 0..<14 { await self.tick() }
        #expect(try await !self.isHeld())
        await gate.open()
        _ = try await hanging.value
        #expect(node.shared.entryNow(node.key, node.field) == nil, "another has the lease by now")
    }

    @Test("what an invalidation took back is not renewed, nor asked for again")
    func takenBack() async throws {
        await self.node.live()
        let (node, gate) = (self.node, Gate())
        let slow = Task { try await node.ask(primary: 5, during: { await gate.wait() }) }
        await gate.untilWaiting()
        await self.tick()
        try await node.shared.raiseFloors([Invalidation(key: node.key, version: 6)], on: nil)
        for _ in 0..<3 { await self.tick() }
        #expect(node.shared.calls.filter { $0 == "renew" }.count == 1)
        #expect(try await !self.isHeld())
        await gate.open()
        #expect(try await slow.value.entry.version == 5)
        #expect(node.shared.entryNow(node.key, node.field) == nil)
    }

    @Test("over another connection nothing is renewed: its fill would not be taken either")
    func otherConnection() async throws {
        await self.node.live()
        let (node, gate) = (self.node, Gate())
        let slow = Task { try await node.ask(primary: 5, during: { await gate.wait() }) }
        await gate.untilWaiting()
        await self.tick()
        node.shared.isDown = true
        await self.tick()
        node.shared.isDown = false
        for _ in 0..<4 { await self.tick() }
        #expect(node.shared.calls.filter { $0 == "renew" }.count == 2)
        #expect(try await !self.isHeld())
        await gate.open()
        _ = try await slow.value
    }

    @Test("computations that go together keep their leases together, in one round trip")
    func bulk() async throws {
        await self.node.live()
        let (node, gate) = (self.node, Gate())
        let keys = (0..<3).map { CacheKey(namespace: "i", owner: "t", member: "b\($0)") }
        let lifetimes = Lifetimes(soft: .seconds(300), hard: .seconds(1_800))
        let requests = keys.map { CacheRequest(place: CachePlace(key: $0, field: node.field), lifetimes: lifetimes) }
        let slow = Task {
            await node.cache.computedEntries(for: requests) { indices in
                await gate.wait()
                return indices.map { Computation(version: 5, payload: [UInt8($0)], isCacheable: true) }
            }
        }
        await gate.untilWaiting()
        for _ in 0..<5 { await self.tick() }
        #expect(node.shared.calls.filter { $0 == "renew" }.count == 4)
        await gate.open()
        #expect(await slow.value.compactMap { $0 }.count == 3)
        for key in keys { #expect(node.shared.entryNow(key, node.field) != nil) }
    }
}

@Suite("Keeper")
struct CoherenceKeeperTests {
    @Test("a Redis that answers reads and refuses writes is not believed a lease later")
    func readOnly() async throws {
        let node = Node()
        await node.live()
        _ = try await node.ask(primary: 5)
        // Floors cannot be raised, and heartbeats are not taken; reads go on.
        node.shared.refusesWrites = true
        await node.beat()
        #expect(!node.keeper.isSharedTrusted)
        node.clock.advance(by: .seconds(1))
        #expect(!node.keeper.isSharedReachable)
        #expect(try await node.ask(primary: 6).entry.version == 6)
    }

    @Test("what a writer publishes is propagated once a heartbeat of the same connection has come back, and not before")
    func paired() async throws {
        let node = Node()
        await node.live()
        let invalidator = Invalidator(keeper: node.keeper, shared: node.shared, bus: node.shared)
        func propagates() async -> Bool {
            let invalidation = Invalidation(key: node.key, version: 7)
            return await invalidator.propagate([invalidation], transaction: 1_000, within: .zero)
        }
        #expect(await propagates())
        // Another primary, perhaps, which takes everything and which nobody hears.
        node.clock.advance(by: .milliseconds(1))
        node.keeper.sharedConnectionChanged(isConnected: true)
        #expect(await !propagates())
        await node.keeper.beatOnce()
        #expect(await !propagates(), "the reply alone says nothing of who hears")
        await node.beat()
        #expect(await propagates())
    }

    @Test("a control log that is ahead ends the lease until it is read, although nobody published the change")
    func controlBehind() async throws {
        let node = Node()
        await node.live()
        _ = try await node.ask(primary: 5)
        node.shared.setControlHeadNow(9)
        await node.beat()
        #expect(node.keeper.leaseAge() == nil)
        await node.beat()
        #expect(node.keeper.leaseAge() == nil, "heartbeats alone prove nothing while control is behind")
        node.journal.setApplied(9)
        _ = await node.keeper.readControl()
        await node.beat()
        #expect(node.keeper.leaseAge() != nil)
    }

    @Test("a computation of another node is not waited for with a stale copy in hand")
    func staleWhileForeign() async throws {
        let node = Node()
        await node.live()
        _ = try await node.ask(primary: 5)
        node.clock.advance(by: .seconds(301))
        await node.beat()
        _ = try await node.shared.acquireLease(on: node.key, for: .seconds(2))
        #expect(try await node.ask(primary: 5).tier == .stale)
    }

    @Test("data that went back ends trust and renews the session")
    func wentBack() async {
        let node = Node()
        await node.live()
        #expect(node.keeper.isSharedTrusted)
        node.shared.setRelayedNow(3)
        await node.beat()
        #expect(!node.keeper.isSharedTrusted)
        #expect(node.shared.calls.contains("restart"))
    }

    @Test("keys that are gone from the same Redis end trust and neither session nor lease: L1 answers without a hop")
    func emptied() async throws {
        let node = Node()
        node.shared.setHistoryNow(DataHistory(id: "a", offset: 1))
        await node.live()
        _ = try await node.ask(primary: 5)
        node.shared.lose(node.key)
        node.shared.setRelayedNow(nil)
        node.shared.setHistoryNow(DataHistory(id: "a", offset: 2))
        node.clock.advance(by: .milliseconds(900))
        await node.beat()
        #expect(!node.keeper.isSharedTrusted)
        #expect(!node.shared.calls.contains("restart"))
        node.clock.advance(by: .milliseconds(900))
        let calls = node.shared.calls.count
        #expect(try await node.ask(primary: 5).tier == .local, "the heartbeat after the loss has renewed the lease")
        #expect(node.shared.calls.count == calls)
        // What is published goes on voiding L1, and what L2 does not know is not guessed.
        node.keeper.apply(.message(.invalidation(Invalidation(key: node.key, version: 6))))
        #expect(try await node.ask(primary: 6).entry.version == 6)
        // The relay has replayed the journal.
        await node.keeper.restoreTrust()
        node.shared.setRelayedNow(100)
        await node.beat()
        #expect(node.keeper.isSharedTrusted)
    }

    @Test("keys that are gone from another Redis renew the session")
    func emptyElsewhere() async {
        let node = Node()
        node.shared.setHistoryNow(DataHistory(id: "a", offset: 1))
        await node.live()
        node.shared.setRelayedNow(nil)
        node.shared.setHistoryNow(DataHistory(id: "b", offset: 1))
        await node.beat()
        #expect(!node.keeper.isSharedTrusted)
        #expect(node.shared.calls.contains("restart"))
    }

    @Test("a writer that waits for the relay is answered by the heartbeat that shows it, or at its limit")
    func relayWait() async {
        let node = Node()
        await node.live()
        node.shared.setRelayedNow(500)
        async let waited = node.keeper.relayed(past: 400, within: .seconds(30))
        await node.beat()
        #expect(await waited)
        #expect(await node.keeper.relayed(past: 499, within: .seconds(30)))
        #expect(await node.keeper.relayed(past: 500, within: .milliseconds(1)) == false)
    }

    @Test("without Redis a write is durable and says that it is not propagated")
    func notPropagated() async {
        let node = Node()
        await node.live()
        node.shared.isDown = true
        let invalidator = Invalidator(keeper: node.keeper, shared: node.shared, bus: node.shared)
        let invalidation = Invalidation(key: node.key, version: 9)
        #expect(await invalidator.propagate([invalidation], transaction: 1_000, within: .milliseconds(1)) == false)
        #expect(!node.shared.calls.contains("publish"), "nothing is published before the floor is raised")
    }

    @Test("Redis time is the node's clock plus the offset of the last heartbeat")
    func redisTime() async {
        let node = Node()
        await node.live()
        node.clock.advance(by: .seconds(5))
        #expect(node.keeper.milliseconds() == node.clock.milliseconds)
    }
}

final class Count: Sendable {
    private let count = Mutex(0)
    var value: Int { self.count.withLock { $0 } }
    func increment() { self.count.withLock { $0 += 1 } }
}

/// A sleep that ends when a test says so, or with its task.
final class Patience: Sendable {
    private struct State {
        var isOver = false
        var nextID = 0
        var waiting: [Int: CheckedContinuation<Void, Never>] = [:]
    }

    private let state = Mutex(State())

    func wait() async {
        let id = self.state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = self.state.withLock { state in
                    if state.isOver || Task.isCancelled { return true }
                    state.waiting[id] = continuation
                    return false
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            self.state.withLock { $0.waiting.removeValue(forKey: id) }?.resume()
        }
    }

    func end() {
        let waiting = self.state.withLock { state in
            state.isOver = true
            defer { state.waiting = [:] }
            return state.waiting.values
        }
        for continuation in waiting { continuation.resume() }
    }
}

/// A number that a test sets.
final class Draw: Sendable {
    private let number = Mutex(0.0)
    var value: Double {
        get { self.number.withLock { $0 } }
        set { self.number.withLock { $0 = newValue } }
    }
}

/// Holds callers until a test lets them go.
actor Gate {
    private var isOpen = false
    private var held: [CheckedContinuation<Void, Never>] = []
    private var arrivals: [CheckedContinuation<Void, Never>] = []

    func wait() async {
        if self.isOpen { return }
        await withCheckedContinuation { continuation in
            self.held.append(continuation)
            for arrival in self.arrivals { arrival.resume() }
            self.arrivals = []
        }
    }

    func untilWaiting() async {
        if !self.held.isEmpty { return }
        await withCheckedContinuation { self.arrivals.append($0) }
    }

    func open() {
        self.isOpen = true
        for continuation in self.held { continuation.resume() }
        self.held = []
    }

    func openWhen(_ condition: @Sendable () -> Bool) async {
        while !condition() { await Task.yield() }
        self.open()
    }
}

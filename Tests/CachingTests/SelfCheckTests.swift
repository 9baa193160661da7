import Logging
import Synchronization
import Testing
import VireoTestKit

@testable import Caching

/// Nodes that are asked as over the network.
private final class StubPeers: FleetPeers {
    enum Failure: Error { case told }

    let others: [String: CoherenceKeeper]
    private let state = Mutex<(isListGone: Bool, silent: Set<String>)>((false, []))

    init(_ others: [String: CoherenceKeeper]) {
        self.others = others
    }

    func loseList() { self.state.withLock { $0.isListGone = true } }
    func silence(_ node: String) { _ = self.state.withLock { $0.silent.insert(node) } }

    func names() async throws -> [String] {
        if self.state.withLock({ $0.isListGone }) { throw Failure.told }
        return ["n1"] + self.others.keys
    }

    func ask(_ node: String, _ questions: [HeldQuestion]) async throws -> [HeldAnswer] {
        guard !self.state.withLock({ $0.silent.contains(node) }), let keeper = self.others[node] else {
            throw Failure.told
        }
        return questions.map { keeper.held($0) }
    }
}

@Suite("Self-check")
struct SelfCheckTests {
    private let clock: ManualClock
    private let first: Node
    private let second: Node
    private let peers: StubPeers
    private let check: SelfCheck

    init() {
        let clock = ManualClock()
        self.clock = clock
        let shared = InMemorySharedCache(clock: clock)
        self.first = Node(clock: clock, shared: shared)
        self.second = Node(clock: clock, shared: shared)
        self.peers = StubPeers(["n2": self.second.keeper])
        self.check = SelfCheck(
            interval: .seconds(1),
            node: "n1",
            keeper: self.first.keeper,
            peers: self.peers,
            log: Logger(label: "test"),
            now: { clock.now },
            wallClock: { clock.milliseconds }
        )
    }

    /// Both nodes hold an entry of version 5 under live leases.
    private func live() async throws {
        for node in [self.first, self.second] {
            await node.live()
            _ = try await node.ask(primary: 5)
        }
    }

    /// A second later, under leases that were renewed on the way.
    private func second(later seconds: Int = 1) async {
        for _ in 0..<(2 * seconds) {
            self.clock.advance(by: .milliseconds(500))
            await self.first.beat()
            await self.second.beat()
        }
        await self.check.look()
    }

    private func write(_ version: Int64, toFirst: Bool = true, toSecond: Bool = true) async throws {
        let invalidation = Invalidation(key: self.first.key, version: version)
        try await self.first.shared.raiseFloors([invalidation], on: nil)
        if toFirst { self.first.keeper.apply(.message(.invalidation(invalidation))) }
        if toSecond { self.second.keeper.apply(.message(.invalidation(invalidation))) }
        self.check.acknowledged([invalidation])
    }

    @Test("a node that did not hear of a write is found: which one, what it holds and by what right")
    func suspect() async throws {
        try await self.live()
        try await self.write(6, toSecond: false)
        await self.second()
        let suspect = try #require(self.check.suspects.first)
        #expect(self.check.suspects.count == 1)
        #expect(suspect.node == "n2")
        #expect(suspect.invalidation.version == 6)
        #expect(suspect.after == .seconds(1))
        #expect(suspect.answer.entries.map(\.version) == [5])
        #expect(suspect.answer.proof == "bus" && suspect.answer.session == 1)
        #expect(suspect.answer.leaseAgeMilliseconds == 0)
        #expect(suspect.keyHash.count == 16)
        #expect(self.check.counts[0].stale == 1 && self.check.counts[0].share == 0)
        await self.second(later: 4)
        #expect(self.check.counts[1].stale == 1)
        #expect(self.check.suspects.map(\.after) == [.seconds(5), .seconds(1)])
    }

    @Test("a node that heard of it, one without a lease and one that holds what is newer are consistent")
    func consistent() async throws {
        try await self.live()
        try await self.write(6)
        // What a later write leaves, and what it makes void, are not this write's affair.
        _ = try await self.second.ask(primary: 7)
        await self.second()
        #expect(self.check.counts[0].consistent == 1 && self.check.counts[0].share == 1)
        try await self.write(8, toSecond: false)
        self.second.keeper.subscriptionLost(session: 1)
        self.clock.advance(by: .seconds(1))
        await self.check.look()
        #expect(self.check.counts[0].consistent == 2)
        #expect(self.check.suspects.isEmpty)
    }

    @Test("who does not answer, and a fleet that is not known, are unanswered; this node is asked all the same")
    func unanswered() async throws {
        try await self.live()
        self.peers.silence("n2")
        try await self.write(6)
        await self.second()
        #expect(self.check.counts[0].unanswered == 1 && self.check.counts[0].share == nil)
        self.peers.loseList()
        try await self.write(7)
        await self.second()
        #expect(self.check.counts[0].unanswered == 2)
        _ = try await self.first.ask(primary: 7)
        try await self.write(8, toFirst: false)
        await self.second()
        #expect(self.check.counts[0].stale == 1)
        #expect(self.check.suspects.map(\.node) == ["n1"])
    }

    @Test("a look at what is held does not count as use, asks no store, and leaves expired entries alone")
    func peek() async throws {
        await self.first.live()
        _ = try await self.first.ask(primary: 5)
        let calls = self.first.shared.calls.count
        _ = self.first.keeper.local.takeStatistics()
        let question = HeldQuestion(key: self.first.key, version: 6)
        for _ in 0..<100 { #expect(self.first.keeper.held(question).entries.count == 1) }
        #expect(self.first.keeper.held(HeldQuestion(key: self.first.key, version: 5)).entries.isEmpty)
        #expect(self.first.keeper.local.takeStatistics().hotKeys.requests == 0)
        #expect(self.first.shared.calls.count == calls)
        self.clock.advance(by: .seconds(100_000))
        await self.first.beat()
        #expect(self.first.keeper.standing().isLive)
        #expect(self.first.keeper.held(question).entries.isEmpty)
        #expect(self.first.keeper.local.usage.entries == 1)
    }

    @Test("an invalidator tells of what went out, and of nothing else")
    func told() async throws {
        try await self.live()
        let invalidator = Invalidator(
            keeper: self.first.keeper,
            shared: self.first.shared,
            bus: self.first.shared,
            selfCheck: self.check
        )
        let invalidation = Invalidation(key: self.first.key, version: 6)
        self.first.shared.isDown = true
        #expect(await !invalidator.propagate([invalidation], transaction: 1_000, within: .zero))
        #expect(self.check.pending == 0)
        self.first.shared.isDown = false
        #expect(await invalidator.propagate([invalidation], transaction: 1_000, within: .zero))
        #expect(self.check.pending == 1)
    }
}

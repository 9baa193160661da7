import Logging
import Synchronization
import Testing
import VireoTestKit

@testable import Caching

/// Nodes that are asked as over the network.
private final class StubPeers: FleetPeers {
    enum Failure: Error { case told }

    let others: [String: CoherenceKeeper]
    let denials: [String: StubDenials]
    private let state = Mutex<(isListGone: Bool, silent: Set<String>)>((false, []))

    init(_ others: [String: CoherenceKeeper], denials: [String: StubDenials]) {
        self.others = others
        self.denials = denials
    }

    func loseList() { self.state.withLock { $0.isListGone = true } }
    func silence(_ node: String) { _ = self.state.withLock { $0.silent.insert(node) } }

    func names() async throws -> [String] {
        if self.state.withLock({ $0.isListGone }) { throw Failure.told }
        return ["n1"] + self.others.keys
    }

    func ask(_ node: String, _ questions: [SelfCheckQuestion]) async throws -> [HeldAnswer] {
        guard !self.state.withLock({ $0.silent.contains(node) }), let keeper = self.others[node],
            let denials = self.denials[node]
        else {
            throw Failure.told
        }
        return questions.map { keeper.answer($0, by: denials) }
    }
}

/// What a node denies, and what the store has.
private final class StubDenials: DenialProbe {
    enum Failure: Error { case told }

    private let state = Mutex<(denied: Set<Denial>, gone: Set<Denial>, isStoreGone: Bool)>(([], [], false))

    func deny(_ denial: Denial) { _ = self.state.withLock { $0.denied.insert(denial) } }
    func takeAway(_ denial: Denial) { _ = self.state.withLock { $0.gone.insert(denial) } }
    func loseStore() { self.state.withLock { $0.isStoreGone = true } }

    func denies(_ denial: Denial) -> Bool? { self.state.withLock { $0.denied.contains(denial) } }

    func stands(_ denial: Denial) async throws -> Bool {
        try self.state.withLock { state in
            if state.isStoreGone { throw Failure.told }
            return !state.gone.contains(denial)
        }
    }
}

@Suite("Self-check")
struct SelfCheckTests {
    private let clock: ManualClock
    private let first: Node
    private let second: Node
    private let peers: StubPeers
    /// Of the first node and of the second.
    private let denials = [StubDenials(), StubDenials()]
    private let check: SelfCheck

    init() {
        let clock = ManualClock()
        self.clock = clock
        let shared = InMemorySharedCache(clock: clock)
        self.first = Node(clock: clock, shared: shared)
        self.second = Node(clock: clock, shared: shared)
        self.peers = StubPeers(["n2": self.second.keeper], denials: ["n2": self.denials[1]])
        self.check = SelfCheck(
            interval: .seconds(1),
            node: "n1",
            keeper: self.first.keeper,
            peers: self.peers,
            denials: self.denials[0],
            keyHash: { "hash of \($0.count)" },
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
        #expect(suspect.subject.kind == .write && suspect.subject.version == 6)
        #expect(suspect.after == .seconds(1))
        #expect(suspect.answer.entries.map(\.version) == [5])
        #expect(suspect.answer.proof == "bus" && suspect.answer.session == 1)
        #expect(suspect.answer.leaseAgeMilliseconds == 0)
        #expect(suspect.keyHash == "hash of \(self.first.key.bytes.count)")
        #expect(self.check.counts[0].stale == 1 && self.check.counts[0].share == 0)
        await self.second(later: 4)
        #expect(self.check.counts[1].stale == 1)
        #expect(self.check.suspects.map(\.after) == [.seconds(5), .seconds(1)])
    }

    @Test("who is forgotten is no suspect any more, and is not asked about again; others are")
    func forgotten() async throws {
        try await self.live()
        try await self.write(6, toSecond: false)
        await self.second()
        #expect(self.check.suspects.count == 1 && self.check.pending == 1)
        self.check.forget(CacheKey(namespace: "t", owner: "default", member: "another"))
        #expect(self.check.suspects.count == 1 && self.check.pending == 1)
        self.check.forget(self.first.key)
        #expect(self.check.suspects.isEmpty && self.check.pending == 0)
        await self.second(later: 4)
        #expect(self.check.suspects.isEmpty && self.check.counts[1].stale == 0)
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

    private static let denial = Denial(owner: "t", kind: "item", name: "i1", epoch: 7)

    private func tally(_ kind: SelfCheckKind, _ delay: Int = 0) -> SelfCheckCounts? {
        self.check.counts.filter { $0.kind == kind }[delay]
    }

    @Test("a node that does not deny what is denied is found, and not one that would ask before it answers")
    func denied() async throws {
        try await self.live()
        self.denials[0].deny(Self.denial)
        self.check.denied([Self.denial])
        await self.second()
        let suspect = try #require(self.check.suspects.first)
        #expect(suspect.node == "n2" && suspect.subject == .denial(Self.denial) && suspect.answer.denies == false)
        #expect(suspect.answer.proof == "bus" && suspect.keyHash == "hash of 9")
        #expect(self.tally(.tombstone)?.stale == 1 && self.tally(.write)?.stale == 0)
        self.second.keeper.subscriptionLost(session: 1)
        self.check.denied([Self.denial])
        self.clock.advance(by: .seconds(1))
        await self.check.look()
        #expect(self.tally(.tombstone)?.consistent == 1)
        self.denials[1].deny(Self.denial)
        self.check.denied([Self.denial])
        self.clock.advance(by: .seconds(1))
        await self.check.look()
        #expect(self.tally(.tombstone)?.consistent == 2 && self.check.suspects.count == 1)
    }

    @Test("what was taken away since is not judged, and of what the store does not say nothing is said")
    func takenAway() async throws {
        try await self.live()
        self.check.denied([Self.denial])
        self.denials[0].takeAway(Self.denial)
        await self.second()
        let counts = try #require(self.tally(.tombstone))
        #expect(counts.consistent + counts.stale + counts.unanswered == 0)
        self.denials[0].loseStore()
        self.check.denied([Self.denial])
        await self.second()
        #expect(self.tally(.tombstone)?.unanswered == 1)
        #expect(self.check.suspects.isEmpty)
    }

    @Test("what a pass of the relay brings is checked from its end; one that fails brings nothing")
    func relayed() async throws {
        try await self.live()
        let journal = StubJournal()
        let invalidation = Invalidation(key: self.first.key, version: 6)
        journal.page = JournalPage(
            invalidations: [invalidation],
            next: JournalPosition("111:111:")!,
            controlHead: 0
        )
        let relay = Relay(
            settings: CoherenceSettings(),
            leadership: StubLeadership(leads: true),
            journal: journal,
            shared: self.first.shared,
            bus: self.first.shared,
            progress: self.first.shared,
            selfCheck: self.check,
            log: Logger(label: "test")
        )
        self.first.shared.isDown = true
        await #expect(throws: SharedCacheError.self) { try await relay.pass() }
        #expect(self.check.pending == 0)
        self.first.shared.isDown = false
        try await relay.pass()
        #expect(self.check.pending == 1)
        // Nobody has heard of it.
        await self.second()
        #expect(self.tally(.relay)?.stale == 1 && self.tally(.write)?.stale == 0)
        #expect(self.check.suspects.map(\.node).sorted() == ["n1", "n2"])
        #expect(self.check.suspects.allSatisfy { $0.subject == .relayed(invalidation) })
    }
}

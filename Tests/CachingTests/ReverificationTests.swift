import Testing
import VireoTestKit

@testable import Caching

/// What a new session makes of L1: every entry is looked at, none is thrown away for the session's sake.
@Suite("Reverification")
struct ReverificationTests {
    let node = Node()

    private func key(_ number: Int) -> CacheKey { CacheKey(namespace: "i", owner: "t", member: "u\(number)") }

    /// Fills L1 and L2 with entries of version 5 and gives their owners that version.
    private func fill(_ count: Int) async throws {
        for number in 0..<count {
            self.node.versions[self.key(number)] = 5
            _ = try await self.node.ask(self.key(number), primary: 5)
        }
    }

    private func sweep(session: UInt64) async {
        await Reverification(
            keeper: self.node.keeper,
            shared: self.node.shared,
            versions: self.node.versions,
            metrics: PoolMetrics()
        ).run(session: session)
    }

    @Test("a session's end leaves L1 as it is; in the next one entries are stamped in bulk and served without a hop")
    func stamped() async throws {
        await self.node.live()
        try await self.fill(1_000)
        self.node.keeper.subscriptionLost(session: 1)
        #expect(self.node.keeper.localUsage.entries == 1_000)
        await self.node.live(session: 2)
        #expect(self.node.keeper.localUsage.entries == 1_000)
        await self.sweep(session: 2)
        #expect(self.node.shared.calls.count { $0 == "floors" } == LocalCache.shardCount)
        #expect(self.node.versions.batches == [], "the floors were known and believed")
        let calls = self.node.shared.calls.count
        for number in 0..<1_000 { #expect(try await self.node.ask(self.key(number), primary: 5).tier == .local) }
        #expect(self.node.shared.calls.count == calls)
    }

    @Test("after Redis came back empty the versions in PostgreSQL decide, in few statements")
    func emptied() async throws {
        await self.node.live()
        try await self.fill(1_000)
        for number in 0..<1_000 { self.node.shared.lose(self.key(number)) }
        // Two changed meanwhile, one is gone.
        self.node.versions[self.key(1)] = 6
        self.node.versions[self.key(2)] = 9
        self.node.versions[self.key(3)] = 0
        await self.node.live(session: 2)
        await self.sweep(session: 2)
        #expect(self.node.versions.batches.count == LocalCache.shardCount)
        #expect(self.node.keeper.localUsage.entries == 997)
        for number in [1, 2, 3] { #expect(self.node.keeper.local.find(self.key(number), self.node.field) == nil) }
        let before = self.node.shared.calls.count
        #expect(try await self.node.ask(self.key(4), primary: 5).tier == .local)
        #expect(self.node.shared.calls.count == before)
    }

    @Test("a floor that was raised drops what is below it, trusted or not")
    func floors() async throws {
        await self.node.live()
        try await self.fill(10)
        try await self.node.shared.raiseFloors([Invalidation(key: self.key(1), version: 6)], on: nil)
        await self.node.live(session: 2)
        await self.sweep(session: 2)
        #expect(self.node.keeper.local.find(self.key(1), self.node.field) == nil)
        #expect(self.node.keeper.localUsage.entries == 9)
    }

    @Test("an invalidation that comes while a batch is read wins over what was read")
    func overtaken() async throws {
        await self.node.live()
        try await self.fill(1)
        await self.node.live(session: 2)
        let note = LocalCache.Note(session: 2, stripe: self.node.keeper.local.stripe(of: self.key(0)))
        self.node.keeper.apply(.message(.invalidation(Invalidation(key: self.key(0), version: 5))))
        self.node.keeper.local.verified(self.key(0), atLeast: 5, note: note, session: 2)
        #expect(self.node.keeper.local.find(self.key(0), self.node.field)?.session == 1, "not stamped")
    }

    @Test("a session that ends during the sweep ends it; nothing is stamped with it")
    func ends() async throws {
        await self.node.live()
        try await self.fill(100)
        await self.node.live(session: 2)
        self.node.keeper.subscriptionLost(session: 2)
        await self.sweep(session: 2)
        #expect(self.node.keeper.local.find(self.key(0), self.node.field)?.session == 1)
        #expect(self.node.keeper.localUsage.entries == 100)
    }

    @Test("with neither floors nor versions to be had nothing is stamped and nothing dropped")
    func nobodyAnswers() async throws {
        await self.node.live()
        try await self.fill(100)
        await self.node.live(session: 2)
        self.node.shared.isDown = true
        self.node.versions.isDown = true
        await self.sweep(session: 2)
        #expect(self.node.keeper.localUsage.entries == 100)
        #expect(self.node.keeper.local.find(self.key(0), self.node.field)?.session == 1)
    }

    @Test("64 requests at once for entries that must be verified are few reads of versions")
    func coalesced() async throws {
        await self.node.live()
        try await self.fill(64)
        for number in 0..<64 { self.node.shared.lose(self.key(number)) }
        self.node.keeper.subscriptionLost(session: 1)
        try await self.node.running {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<64 {
                    group.addTask {
                        let answer = try await self.node.ask(self.key(number), primary: 5)
                        #expect(answer.tier == .local)
                    }
                }
                try await group.waitForAll()
            }
        }
        #expect(self.node.versions.batches.reduce(0, +) == 64)
        #expect(self.node.versions.batches.count < 64, "\(self.node.versions.batches.count) statements")
    }
}

@Suite("Keeper's heartbeats")
struct PromptHeartbeatTests {
    @Test("a new session is announced, and a heartbeat is due as soon as the control log is read")
    func prompt() async {
        let node = Node()
        node.keeper.apply(.began(session: 4))
        var sessions = node.keeper.sessions.makeAsyncIterator()
        #expect(await sessions.next() == 4)
        _ = await node.keeper.readControl()
        var beats = node.keeper.beats.makeAsyncIterator()
        #expect(await beats.next() != nil)
    }
}

import Logging
import Testing
import VireoTestKit

@testable import Caching

@Suite("Relay")
struct RelayTests {
    let shared = InMemorySharedCache(clock: ManualClock())
    let journal = StubJournal()
    let key = CacheKey(namespace: "i", owner: "t", member: "u")

    var relay: Relay {
        Relay(
            settings: CoherenceSettings(),
            leadership: StubLeadership(leads: true),
            journal: self.journal,
            shared: self.shared,
            bus: self.shared,
            progress: self.shared,
            log: Logger(label: "test")
        )
    }

    func row(_ id: Int64, xid: UInt64, version: Int64, key: CacheKey? = nil) -> JournalPage.Row {
        JournalPage.Row(
            id: id,
            transaction: xid,
            invalidation: Invalidation(key: key ?? self.key, version: version)
        )
    }

    @Test("floors first, then messages, then the position")
    func order() async throws {
        self.journal.page = JournalPage(rows: [self.row(1, xid: 10, version: 7)], next: 11)
        var memory = RelayMemory()
        try await self.relay.pass(&memory)
        #expect(self.shared.calls == ["relayed", "raise", "publish", "setRelayed"])
        #expect(self.shared.published == [.invalidation(Invalidation(key: self.key, version: 7))])
        #expect(try await self.shared.relayed() == 11)
    }

    @Test("a Redis without a position gets everything that is kept; one with a position what came since")
    func positions() async throws {
        var memory = RelayMemory()
        try await self.relay.pass(&memory)
        try await self.relay.pass(&memory)
        self.shared.setRelayedNow(nil)
        try await self.relay.pass(&memory)
        #expect(self.journal.positions == [nil, 1, nil])
    }

    @Test("rows that come again behind a long transaction are relayed once")
    func longTransaction() async throws {
        var memory = RelayMemory()
        try await self.relay.pass(&memory)
        self.journal.page = JournalPage(rows: [self.row(1, xid: 10, version: 7)], next: 1)
        try await self.relay.pass(&memory)
        self.journal.page = JournalPage(
            rows: [self.row(1, xid: 10, version: 7), self.row(2, xid: 12, version: 8)],
            next: 1
        )
        try await self.relay.pass(&memory)
        #expect(self.shared.published.count == 2)
        // The long one commits: its row has a low transaction id and comes late.
        self.journal.page = JournalPage(
            rows: [self.row(3, xid: 5, version: 9), self.row(1, xid: 10, version: 7)],
            next: 13
        )
        try await self.relay.pass(&memory)
        #expect(self.shared.published.last == .invalidation(Invalidation(key: self.key, version: 9)))
        #expect(self.shared.published.count == 3)
    }

    @Test("a Redis whose position went back gets the rows again")
    func redisWentBack() async throws {
        var memory = RelayMemory()
        try await self.relay.pass(&memory)
        self.journal.page = JournalPage(rows: [self.row(1, xid: 10, version: 7)], next: 1)
        try await self.relay.pass(&memory)
        self.shared.setRelayedNow(0)
        try await self.relay.pass(&memory)
        #expect(self.shared.published.count == 2)
    }

    @Test("of many rows of a key only the highest version is sent")
    func merged() async throws {
        let other = CacheKey(namespace: "i", owner: "t", member: "v")
        self.journal.page = JournalPage(
            rows: [
                self.row(1, xid: 10, version: 9), self.row(2, xid: 11, version: 7),
                self.row(3, xid: 11, version: 3, key: other),
            ],
            next: 12
        )
        var memory = RelayMemory()
        try await self.relay.pass(&memory)
        #expect(
            self.shared.published == [
                .invalidation(Invalidation(key: self.key, version: 9)),
                .invalidation(Invalidation(key: other, version: 3)),
            ]
        )
    }

    @Test("where Redis fails the position stays, so the next pass does it again")
    func failure() async throws {
        var memory = RelayMemory()
        try await self.relay.pass(&memory)
        self.journal.page = JournalPage(rows: [self.row(1, xid: 10, version: 7)], next: 11)
        self.shared.isDown = true
        await #expect(throws: SharedCacheError.unavailable) { try await self.relay.pass(&memory) }
        self.shared.isDown = false
        try await self.relay.pass(&memory)
        #expect(self.shared.published.count == 1)
        #expect(try await self.shared.relayed() == 11)
    }
}

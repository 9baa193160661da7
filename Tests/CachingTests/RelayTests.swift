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

    func page(_ version: Int64?, next: String, controlHead: Int64 = 0) -> JournalPage {
        JournalPage(
            invalidations: version.map { [Invalidation(key: self.key, version: $0)] } ?? [],
            next: JournalPosition(next)!,
            controlHead: controlHead
        )
    }

    @Test("floors first, then messages, then the position with the head of the control log")
    func order() async throws {
        self.journal.page = self.page(7, next: "11:11:", controlHead: 42)
        try await self.relay.pass()
        #expect(self.shared.calls == ["relayed", "raise", "publish", "setRelayed"])
        #expect(self.shared.published == [.invalidation(Invalidation(key: self.key, version: 7))])
        #expect(try await self.shared.relayed().position == JournalPosition("11:11:"))
        #expect(try await self.shared.send(Heartbeat(session: 1, number: 1)).controlHead == 42)
    }

    @Test("a Redis without a position gets everything that is kept; one with a position what came since")
    func positions() async throws {
        self.journal.page = self.page(nil, next: "5:9:6")
        try await self.relay.pass()
        try await self.relay.pass()
        self.shared.setRelayedNow(nil)
        try await self.relay.pass()
        #expect(self.journal.positions == [nil, JournalPosition("5:9:6"), nil])
    }

    @Test(
        "a node that does not hear the Redis its commands reach brings nothing there, and says nothing of how far it is"
    )
    func unpaired() async throws {
        self.journal.page = self.page(7, next: "11:11:")
        let relay = Relay(
            settings: CoherenceSettings(),
            leadership: StubLeadership(leads: true),
            journal: self.journal,
            shared: self.shared,
            bus: self.shared,
            progress: self.shared,
            isPaired: { false },
            log: Logger(label: "test")
        )
        await #expect(throws: SharedCacheError.connectionChanged) { try await relay.pass() }
        #expect(self.shared.calls == ["relayed"])
    }

    @Test("where Redis fails the position stays, so the next pass does it again")
    func failure() async throws {
        self.journal.page = self.page(nil, next: "10:10:")
        try await self.relay.pass()
        self.journal.page = self.page(7, next: "11:11:")
        self.shared.isDown = true
        await #expect(throws: SharedCacheError.unavailable) { try await self.relay.pass() }
        self.shared.isDown = false
        try await self.relay.pass()
        #expect(self.shared.published.count == 1)
        #expect(self.journal.positions.last == JournalPosition("10:10:"))
        #expect(try await self.shared.relayed().position == JournalPosition("11:11:"))
    }

    @Test("a Redis that came back in the middle of a pass is not told of what it never got")
    func reconnectInPass() async throws {
        self.journal.page = self.page(7, next: "11:11:")
        self.journal.onPage = { [shared] in
            // Restarted from an older dump between the read of the position and the write of the next.
            shared.isDown = true
            shared.isDown = false
        }
        await #expect(throws: SharedCacheError.connectionChanged) { try await self.relay.pass() }
        #expect(try await self.shared.relayed().position == nil)
    }
}

import Testing
import VireoTestKit

@testable import Caching

@Suite("Cold owners")
struct ColdOwnersTests {
    private let field = CacheField(parts: ["home", "m1", "p0", "", "", "0"])
    private let note = LocalCache.Note(session: 1, stripe: 3)

    private func key(_ number: Int) -> CacheKey { CacheKey(namespace: "i", owner: "t", member: "u\(number)") }

    @Test("a fact holds for its key and field, in its session, with its stripe, until its time")
    func holds() {
        let owners = ColdOwners(maximum: 1_024)
        owners.remember(self.key(1), self.field, version: 7, note: self.note, until: 100)
        #expect(owners.version(self.key(1), self.field, note: self.note, at: 99) == 7)
        #expect(owners.version(self.key(2), self.field, note: self.note, at: 99) == nil)
        let other = CacheField(parts: ["home", "m1", "p0", "", "", "1"])
        #expect(owners.version(self.key(1), other, note: self.note, at: 99) == nil, "a purge is another generation")
        #expect(owners.version(self.key(1), self.field, note: self.note, at: 100) == nil)
    }

    @Test(
        "any other session or stripe ends a fact for good",
        arguments: [LocalCache.Note(session: 2, stripe: 3), .init(session: 1, stripe: 4)]
    )
    func ends(_ later: LocalCache.Note) {
        let owners = ColdOwners(maximum: 1_024)
        owners.remember(self.key(1), self.field, version: 0, note: self.note, until: 100)
        #expect(owners.version(self.key(1), self.field, note: later, at: 1) == nil)
        #expect(owners.version(self.key(1), self.field, note: self.note, at: 1) == nil)
    }

    @Test("nothing is remembered without a session")
    func noSession() {
        let owners = ColdOwners(maximum: 1_024)
        let note = LocalCache.Note(session: nil, stripe: 3)
        owners.remember(self.key(1), self.field, version: 0, note: note, until: 100)
        #expect(owners.version(self.key(1), self.field, note: note, at: 1) == nil)
    }

    @Test("a hundred thousand invented owners leave as many facts as there are places, the latest of each set")
    func bounded() {
        let owners = ColdOwners(maximum: 1_024)
        for number in 0..<100_000 {
            owners.remember(self.key(number), self.field, version: 0, note: self.note, until: Int64(number) + 1_000_000)
        }
        let held = (0..<100_000).filter { owners.version(self.key($0), self.field, note: self.note, at: 0) != nil }
        #expect(held.count <= 1_024)
        #expect(held.count > 900)
        #expect(held.allSatisfy { $0 > 90_000 })
    }
}

/// What the cache makes of them.
@Suite("Cold owners in the cache")
struct ColdOwnerCacheTests {
    @Test("an unknown owner is asked of the store once, and is stored in no tier")
    func askedOnce() async throws {
        let node = Node()
        await node.live()
        let computations = Count()
        #expect(try await node.ask(primary: 0) { computations.increment() }.tier == .computed)
        let calls = node.shared.calls.count
        let answer = try await node.ask(primary: 0) { computations.increment() }
        #expect(answer.tier == .local)
        #expect(answer.entry.payload == [0], "the value that all of them share")
        #expect(computations.value == 1)
        #expect(node.shared.calls.count == calls, "no hop")
        #expect(node.keeper.localUsage == (0, 0))
        #expect(node.shared.entryNow(node.key, node.field) == nil)
    }

    @Test("the first event of a new owner is seen at once where it was taken, and elsewhere with its message")
    func firstEvent() async throws {
        let node = Node()
        let other = Node(clock: node.clock, shared: node.shared)
        for each in [node, other] {
            await each.live()
            _ = try await each.ask(primary: 0)
        }
        let invalidation = Invalidation(key: node.key, version: 1)
        let invalidator = Invalidator(keeper: node.keeper, shared: node.shared, bus: node.shared)
        #expect(await invalidator.propagate([invalidation], transaction: 1, within: .zero))
        #expect(try await node.ask(primary: 1).entry.version == 1)
        #expect(try await other.ask(primary: 1).entry.version == 0, "within the bound")
        other.keeper.apply(.message(.invalidation(invalidation)))
        #expect(try await other.ask(primary: 1).entry.version == 1)
    }

    @Test("a lost message is harmless one lease later")
    func lostMessage() async throws {
        let node = Node()
        await node.live()
        _ = try await node.ask(primary: 0)
        node.clock.advance(by: .seconds(1))
        #expect(try await node.ask(primary: 1).entry.version == 1)
    }

    @Test("an event that came while the store was read ends what the read found")
    func duringRead() async throws {
        let node = Node()
        await node.live()
        _ = try await node.ask(primary: 0) {
            node.keeper.apply(.message(.invalidation(Invalidation(key: node.key, version: 1))))
        }
        #expect(try await node.ask(primary: 1).entry.version == 1)
    }

    @Test("a reader who has seen a newer version is not answered with the fact")
    func minVersion() async throws {
        let node = Node()
        await node.live()
        _ = try await node.ask(primary: 0)
        #expect(try await node.ask(primary: 4, minVersion: 4).entry.version == 4)
    }

    @Test("many who ask for one invented id at once make one computation")
    func together() async throws {
        let node = Node()
        await node.live()
        let computations = Count()
        let gate = Gate()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<50 {
                group.addTask {
                    let answer = try await node.ask(primary: 0) {
                        computations.increment()
                        await gate.wait()
                    }
                    #expect(answer.entry.version == 0)
                }
            }
            await gate.openWhen { node.cache.flights.count.waiting >= 49 }
            try await group.waitForAll()
        }
        #expect(computations.value == 1)
    }
}

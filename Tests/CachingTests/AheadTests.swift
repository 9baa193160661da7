import Testing
import VireoTestKit

@testable import Caching

/// Looks and computations for callers that leave whatever is not plain to others.
@Suite("Tiered cache, ahead of requests")
struct AheadTests {
    let bulk = BulkTests()
    var node: Node { self.bulk.node }

    struct Failed: Error {}

    private func look(_ members: [String], of node: Node? = nil) async -> [String] {
        await (node ?? self.node).cache.sharedEntries(of: members.map(self.bulk.place)).map { look in
            switch look {
            case .fresh(let entry): "version \(entry.version)"
            case .missing: "missing"
            case .unclear: "unclear"
            }
        }
    }

    private func compute(
        _ members: [String],
        isCacheable: Bool = true,
        during: () async throws -> Void = {}
    ) async -> [Int64?] {
        let requests = members.map {
            CacheRequest(
                place: self.bulk.place($0),
                lifetimes: Lifetimes(soft: .seconds(300), hard: .seconds(1_800))
            )
        }
        return await self.node.cache.computedEntries(for: requests) { (indices) async throws(Failed) in
            do { try await during() } catch { throw Failed() }
            return indices.map { _ in Computation(version: 5, payload: [5], isCacheable: isCacheable) }
        }.map { $0?.version }
    }

    private func stored(_ member: String) -> Bool {
        let place = self.bulk.place(member)
        return self.node.shared.entryNow(place.key, place.field) != nil
    }

    @Test("one read for all; what it finds is in L1 from then on")
    func looks() async {
        await self.node.live()
        let other = Node(clock: self.node.clock, shared: self.node.shared)
        await other.live()
        _ = await self.bulk.ask(["a", "b"], of: other)
        let before = self.node.shared.calls.count
        #expect(await self.look(["a", "c", "b"]) == ["version 5", "missing", "version 5"])
        #expect(self.node.shared.calls.dropFirst(before) == ["reads"])
        #expect(self.bulk.tiers(await self.bulk.ask(["a", "b"])) == [.local, .local])
    }

    @Test("what is void, past its soft expiry, or of an owner known to be cold, is for others to judge")
    func unclear() async throws {
        await self.node.live()
        let other = Node(clock: self.node.clock, shared: self.node.shared)
        await other.live()
        _ = await self.bulk.ask(["a", "b"], of: other)
        try await self.bulk.invalidate("a", to: 6, in: other)
        #expect(await self.look(["a"]) == ["missing"], "below the floor there is nothing")
        #expect(await self.compute(["d"], isCacheable: false) == [5])
        self.node.clock.advance(by: .milliseconds(900))
        await self.node.beat()
        #expect(await self.look(["d"]) == ["unclear"])
        self.node.clock.advance(by: .seconds(301))
        await self.node.beat()
        #expect(await self.look(["b"]) == ["unclear"])
    }

    @Test("without a lease, without trust and without L2 nothing is found, and nothing asked in vain")
    func withoutStanding() async {
        let before = self.node.shared.calls.count
        #expect(await self.look(["a"]) == ["unclear"])
        #expect(await self.compute(["a"]) == [nil])
        #expect(self.node.shared.calls.count == before)
        await self.node.live()
        self.node.shared.isDown = true
        #expect(await self.look(["a"]) == ["unclear"])
        #expect(await self.compute(["a"]) == [nil])
    }

    @Test("what L1 holds after Redis came back empty is verified in one statement, not computed anew")
    func emptied() async throws {
        await self.node.live()
        #expect(await self.compute(["a", "b", "c"]) == [5, 5, 5])
        for member in ["a", "b", "c"] { self.node.shared.lose(self.bulk.place(member).key) }
        self.node.versions[self.bulk.place("a").key] = 5
        self.node.versions[self.bulk.place("b").key] = 6
        await self.node.live(session: 2)
        #expect(await self.look(["a", "b", "c"]) == ["version 5", "missing", "missing"])
        #expect(self.node.versions.batches == [3])
        #expect(self.bulk.tiers(await self.bulk.ask(["a"])) == [.local])
        #expect(self.node.versions.batches == [3], "stamped anew")
    }

    @Test("one round trip for leases and one for fills; both tiers hold it then")
    func computes() async {
        await self.node.live()
        let before = self.node.shared.calls.count
        #expect(await self.compute(["a", "b", "c"]) == [5, 5, 5])
        #expect(self.node.shared.calls.dropFirst(before) == ["leases", "fills"])
        #expect(["a", "b", "c"].allSatisfy(self.stored))
        #expect(self.bulk.tiers(await self.bulk.ask(["a", "b", "c"])) == [.local, .local, .local])
        #expect(self.node.cache.flights.count.flights == 0)
    }

    @Test("what another node, or another flight, computes is left to it")
    func leftToOthers() async throws {
        await self.node.live()
        _ = try await self.node.shared.acquireLease(on: self.bulk.place("a").key, for: .seconds(2))
        #expect(await self.compute(["a", "b", "b"]) == [nil, 5, nil])
        #expect(!self.stored("a") && self.stored("b"))
        let gate = Gate()
        async let first = self.compute(["c"]) { await gate.wait() }
        await gate.untilWaiting()
        #expect(await self.compute(["c", "d"]) == [nil, 5])
        await gate.openWhen { true }
        #expect(await first == [5])
        #expect(self.node.cache.flights.count.flights == 0)
    }

    @Test("a computation that fails leaves no lease; one that was overtaken is answered and stored nowhere")
    func failures() async throws {
        await self.node.live()
        #expect(await self.compute(["a", "b"]) { throw Failed() } == [nil, nil])
        #expect(await self.compute(["a", "b"]) { try await self.bulk.invalidate("a", to: 6) } == [5, 5])
        #expect(!self.stored("a") && self.stored("b"))
        #expect(self.bulk.versions(await self.bulk.ask(["a", "b"], primary: 6)) == [6, 5])
    }
}

import Synchronization
import Testing
import VireoTestKit

@testable import Caching

/// Many entries at once, by the rules that hold for one.
@Suite("Tiered cache, in bulk")
struct BulkTests {
    let node = Node()

    struct Failed: Error {}

    func place(_ member: String) -> CachePlace {
        CachePlace(key: CacheKey(namespace: "i", owner: "t", member: member), field: self.node.field)
    }

    /// Asks for members; the value of each is computed from the version that `primary` holds when the computation runs.
    func ask(
        _ members: [String],
        of node: Node? = nil,
        primary: Int64 = 5,
        minimum: Int64 = 0,
        computed: Computed = Computed(),
        during: () async -> Void = {},
        fails: Bool = false
    ) async -> [Result<CacheAnswer, Failed>] {
        await (node ?? self.node).cache.entries(
            for: members.map {
                CacheRequest(
                    place: self.place($0),
                    lifetimes: Lifetimes(soft: .seconds(300), hard: .seconds(1_800)),
                    minimumVersion: minimum
                )
            }
        ) { (indices) async throws(Failed) in
            computed.note(indices.map { members[$0] })
            await during()
            if fails { throw Failed() }
            return indices.map { _ in Computation(version: primary, payload: [UInt8(primary)], isCacheable: true) }
        }
    }

    func tiers(_ answers: [Result<CacheAnswer, Failed>]) -> [CacheTier?] { answers.map { try? $0.get().tier } }

    func versions(_ answers: [Result<CacheAnswer, Failed>]) -> [Int64?] { answers.map { try? $0.get().entry.version } }

    func invalidate(_ member: String, to version: Int64, in node: Node? = nil) async throws {
        let node = node ?? self.node
        let invalidation = Invalidation(key: self.place(member).key, version: version)
        try await node.shared.raiseFloors([invalidation], on: nil)
        node.keeper.apply(.message(.invalidation(invalidation)))
    }

    @Test("each comes from its nearest tier: one read for all that L1 lacks, one computation for all that L2 lacks")
    func tiers() async throws {
        await self.node.live()
        let other = Node(clock: self.node.clock, shared: self.node.shared)
        await other.live()
        _ = await self.ask(["a"])
        _ = await self.ask(["b"], of: other)
        let computed = Computed()
        let before = self.node.shared.calls.count
        let answers = await self.ask(["c", "a", "b", "d"], computed: computed)
        #expect(self.tiers(answers) == [.computed, .local, .shared, .computed])
        #expect(computed.calls == [["c", "d"]])
        let calls = self.node.shared.calls.dropFirst(before)
        #expect(calls.count { $0 == "reads" } == 1)
        #expect(!calls.contains("read"))
        #expect(calls.count { $0 == "leases" } == 1 && calls.count { $0 == "fills" } == 1)
        let quiet = self.node.shared.calls.count
        #expect(self.tiers(await self.ask(["a", "b", "c", "d"])) == [.local, .local, .local, .local])
        #expect(self.node.shared.calls.count == quiet, "hits under a lease ask nobody")
        #expect(self.tiers(await self.ask(["c", "d"], of: other)) == [.shared, .shared])
    }

    @Test("what an invalidation overtook while it was computed is answered, stored nowhere and joined by nobody")
    func lateFill() async throws {
        await self.node.live()
        let answers = await self.ask(["a", "b"]) {
            try? await self.invalidate("a", to: 6)
        }
        #expect(self.versions(answers) == [5, 5])
        let place = self.place("a")
        #expect(self.node.shared.entryNow(place.key, place.field) == nil)
        #expect(self.versions(await self.ask(["a", "b"], primary: 6)) == [6, 5])
    }

    @Test("without a lease L1 is verified by the floors of the same read")
    func verified() async throws {
        await self.node.live()
        _ = await self.ask(["a", "b"])
        // Only L1 has it, and L2 the floor.
        let place = self.place("a")
        self.node.shared.setEntry([], floor: 5, key: place.key, field: place.field)
        try await self.node.shared.raiseFloors([Invalidation(key: self.place("b").key, version: 6)], on: nil)
        self.node.keeper.subscriptionLost(session: 1)
        let computed = Computed()
        let answers = await self.ask(["a", "b"], primary: 6, computed: computed)
        #expect(self.tiers(answers) == [.local, .computed])
        #expect(self.versions(answers) == [5, 6])
        #expect(computed.calls == [["b"]])
    }

    @Test("while L2 is not trusted what is in it is held against the versions in PostgreSQL, in one statement")
    func untrusted() async throws {
        await self.node.live()
        _ = await self.ask(["a", "b", "c"])
        let other = Node(clock: self.node.clock, shared: self.node.shared)
        other.versions[self.place("a").key] = 6
        other.versions[self.place("b").key] = 5
        // And the owner of c is gone.
        let answers = await self.ask(["a", "b", "c"], of: other, primary: 6)
        #expect(self.versions(answers) == [6, 5, 6])
        #expect(self.tiers(answers) == [.computed, .shared, .computed])
        #expect(other.versions.batches.first == 3)
        other.versions.isDown = true
        let unchecked = await self.ask(["b"], of: other, primary: 6)
        #expect(self.versions(unchecked) == [6], "what cannot be checked is not served")
    }

    @Test("with L2 down everything is computed, and says so")
    func sharedDown() async throws {
        await self.node.live()
        self.node.shared.isDown = true
        let answers = await self.ask(["a", "b"])
        #expect(self.tiers(answers) == [.computed, .computed])
        for answer in answers { #expect(try answer.get().withoutShared) }
    }

    @Test("a failed computation fails what has no copy, leaves no lease, and serves stale what merely expired")
    func failure() async throws {
        await self.node.live()
        _ = await self.ask(["a", "b"])
        self.node.clock.advance(by: .seconds(301))
        await self.node.beat()
        try await self.invalidate("b", to: 6)
        let answers = await self.ask(["a", "b", "c"], fails: true)
        #expect(self.tiers(answers) == [.stale, nil, nil])
        #expect(self.tiers(await self.ask(["a", "b", "c"], primary: 6)) == [.computed, .computed, .computed])
        for member in ["a", "b", "c"] {
            let place = self.place(member)
            #expect(self.node.shared.entryNow(place.key, place.field) != nil, "\(member) was stored under a lease")
        }
    }

    @Test("what another node computes is not waited for: stale if there is a copy, else computed and stored nowhere")
    func foreign() async throws {
        await self.node.live()
        _ = await self.ask(["a"])
        self.node.clock.advance(by: .seconds(301))
        await self.node.beat()
        for member in ["a", "b"] {
            _ = try await self.node.shared.acquireLease(on: self.place(member).key, for: .seconds(2))
        }
        #expect(self.tiers(await self.ask(["a", "b"])) == [.stale, .computed])
        let place = self.place("b")
        #expect(self.node.shared.entryNow(place.key, place.field) == nil)
    }

    @Test("a version that is too low will not do, wherever it is; what the primary holds is the last word")
    func minimum() async throws {
        await self.node.live()
        _ = await self.ask(["a"])
        #expect(self.tiers(await self.ask(["a"], minimum: 5)) == [.local])
        let computed = Computed()
        #expect(self.versions(await self.ask(["a"], primary: 7, minimum: 6, computed: computed)) == [7])
        #expect(self.versions(await self.ask(["a"], primary: 7, minimum: 9, computed: computed)) == [7])
        #expect(computed.calls.count == 2)
    }

    @Test("a call joins what this node computes already, and two calls that overlap do not wait for each other")
    func joining() async throws {
        await self.node.live()
        let gate = Gate()
        let (first, second) = (Computed(), Computed())
        async let one = self.ask(["a", "b"], computed: first) { await gate.wait() }
        await gate.untilWaiting()
        async let two = self.ask(["b", "c"], computed: second)
        let flights = self.node.cache.flights
        await gate.openWhen { flights.count.waiting == 1 }
        #expect(self.versions(await one) == [5, 5])
        #expect(self.versions(await two) == [5, 5])
        #expect(first.calls == [["a", "b"]])
        #expect(second.calls == [["c"]])
        #expect(flights.count.flights == 0)
    }

    @Test("what a joined flight did not bring is computed in a call of its own")
    func joinRejected() async throws {
        await self.node.live()
        let gate = Gate()
        let second = Computed()
        async let one = self.ask(["a", "b"], during: { await gate.wait() }, fails: true)
        await gate.untilWaiting()
        async let two = self.ask(["b", "c"], computed: second)
        let flights = self.node.cache.flights
        await gate.openWhen { flights.count.waiting == 1 }
        #expect(self.tiers(await one) == [nil, nil])
        #expect(self.versions(await two) == [5, 5])
        #expect(second.calls == [["c"], ["b"]])
    }

    @Test("two entries of one owner: one is stored, both are answered")
    func sameOwner() async throws {
        await self.node.live()
        let fields = ["home", "detail"].map { CacheField(parts: [$0, "m1", "p0", "", "", "0"]) }
        let answers = await self.node.cache.entries(
            for: fields.map {
                CacheRequest(
                    place: CachePlace(key: self.node.key, field: $0),
                    lifetimes: Lifetimes(soft: .seconds(300), hard: .seconds(1_800))
                )
            }
        ) { (indices) async throws(Failed) in
            indices.map { Computation(version: 5, payload: [UInt8($0)], isCacheable: true) }
        }
        #expect(try answers.map { try $0.get().entry.payload } == [[0], [1]])
    }
}

/// What was computed, call by call.
final class Computed: Sendable {
    private let noted = Mutex<[[String]]>([])
    var calls: [[String]] { self.noted.withLock { $0 } }
    func note(_ members: [String]) { self.noted.withLock { $0.append(members) } }
}

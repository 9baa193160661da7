import Testing
import VireoTestKit

@testable import Caching

/// Past the soft expiry: a refresh in the background, a patience, and then the stale copy, which is never one that was
/// invalidated.
@Suite("Stale while revalidate")
struct StaleRefreshTests {
    let node = Node()

    /// A node with its service running, and an entry of version 5 past its soft expiry.
    private func withStale(_ body: (Node) async throws -> Void) async throws {
        await self.node.live()
        _ = try await self.node.ask(primary: 5)
        self.node.clock.advance(by: .seconds(301))
        await self.node.beat()
        try await self.node.running { try await body(self.node) }
    }

    @Test("a refresh that is quick enough gives a fresh answer")
    func quick() async throws {
        try await self.withStale { node in
            let answer = try await node.ask(primary: 7)
            #expect(answer.tier == .computed)
            #expect(answer.entry.version == 7)
            #expect(try await node.ask(primary: 7).tier == .local)
        }
    }

    @Test("a refresh that is slow is waited for as long as the patience lasts, and goes on; the next finds its result")
    func slow() async throws {
        try await self.withStale { node in
            let gate = Gate()
            async let asked = node.ask(primary: 5) { await gate.wait() }
            await gate.untilWaiting()
            node.patience.end()
            #expect(try await asked.tier == .stale)
            #expect(node.cache.flights.count.flights == 1, "the refresh goes on")
            await gate.open()
            while node.cache.flights.count.flights > 0 { await Task.yield() }
            let answer = try await node.ask(primary: 5)
            #expect(answer.tier == .local)
        }
    }

    @Test("a refresh that fails leaves the stale copy to be served at once")
    func fails() async throws {
        try await self.withStale { node in
            let answer = try await node.ask(primary: 5, fails: true)
            #expect(answer.tier == .stale)
            #expect(node.shared.calls.last == "release", "no lease is left behind")
        }
    }

    @Test("many who find the same stale copy make one refresh")
    func shared() async throws {
        try await self.withStale { node in
            let computations = Count()
            let gate = Gate()
            await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<50 {
                    group.addTask {
                        let answer = try await node.ask(primary: 5) {
                            computations.increment()
                            await gate.wait()
                        }
                        #expect(answer.tier == .computed)
                    }
                }
                await gate.openWhen { node.cache.flights.count.waiting >= 50 }
            }
            #expect(computations.value == 1)
        }
    }

    @Test("another node's refresh is not waited for", .timeLimit(.minutes(1)))
    func foreign() async throws {
        try await self.withStale { node in
            _ = try await node.shared.acquireLease(on: node.key, for: .seconds(2))
            let answer = try await node.ask(primary: 5)
            #expect(answer.tier == .stale)
        }
    }

    @Test("under the lease L2 is read again: what another node has refreshed is not computed again")
    func rereads() async throws {
        try await self.withStale { node in
            let other = Node(clock: node.clock, shared: node.shared)
            await other.live()
            try await other.running {
                let refreshed = try await other.ask(primary: 5)
                #expect(refreshed.tier == .computed)
            }
            let computations = Count()
            let answer = try await node.ask(primary: 5) { computations.increment() }
            #expect(answer.entry.softExpiry > node.keeper.milliseconds())
            #expect(computations.value == 0)
        }
    }

    enum Order: CaseIterable, Sendable {
        case messageBeforePatience, messageLost, leaseLost, floorOnly
    }

    @Test(
        "a copy that is invalidated while its refresh runs is not served, whatever comes first",
        arguments: Order.allCases
    )
    func invalidated(_ order: Order) async throws {
        try await self.withStale { node in
            let gate = Gate()
            async let asked = node.ask(primary: 5) { await gate.wait() }
            await gate.untilWaiting()
            let invalidation = Invalidation(key: node.key, version: 6)
            try await node.shared.raiseFloors([invalidation], on: nil)
            node.versions[node.key] = 6
            switch order {
            case .messageBeforePatience:
                node.keeper.apply(.message(.invalidation(invalidation)))
                node.patience.end()
            case .messageLost:
                // The lease ends, which is the bound; the copy is verified before it is served.
                node.clock.advance(by: .seconds(1))
                node.patience.end()
            case .leaseLost:
                node.keeper.subscriptionLost(session: 1)
                node.patience.end()
            case .floorOnly:
                // Within the lease and unheard of: but the refresh is refused by L2, and that says it.
                break
            }
            await gate.open()
            let answer = try await asked
            #expect(answer.tier == .computed, "computed for this request, not the copy")
            #expect(node.keeper.local.find(node.key, node.field)?.entry.version != 5)
        }
    }

    @Test("without L2 an expired copy is computed anew by the request itself")
    func withoutShared() async throws {
        try await self.withStale { node in
            node.shared.isDown = true
            node.keeper.subscriptionLost(session: 1)
            let answer = try await node.ask(primary: 5)
            #expect(answer.tier == .computed)
            #expect(answer.withoutShared)
            #expect(try await node.ask(primary: 5, fails: true).tier == .stale)
        }
    }

    @Test("when the service stops no flight is left in the air, and a request then flies itself")
    func stops() async throws {
        let gate = Gate()
        let node = self.node
        try await withThrowingTaskGroup(of: CacheAnswer.self) { group in
            try await self.withStale { node in
                group.addTask { try await node.ask(primary: 5) { await gate.wait() } }
                await gate.untilWaiting()
                // The service is told to stop while the refresh is under way; it waits for it.
                await gate.open()
            }
            for try await answer in group { #expect(answer.tier == .computed) }
        }
        #expect(node.cache.flights.count.flights == 0)
        #expect(!node.cache.isRunning)
        node.clock.advance(by: .seconds(301))
        await node.beat()
        #expect(try await node.ask(primary: 5).tier == .computed)
    }
}

@Suite("Early refresh")
struct EarlyRefreshTests {
    private func entry(cost: UInt32, soft: Int64) -> CacheEntry {
        CacheEntry(version: 1, computedAt: 0, softExpiry: soft, hardExpiry: soft, cost: cost, payload: [])
    }

    @Test(
        "the closer the expiry and the dearer the value, the smaller the draw that is enough",
        arguments: [
            // cost in µs, milliseconds left, draw, due
            (1_000, 10_000, 0.999_999, false), (1_000, 1, 0.999_999, true), (1_000, 1, 0.5, false),
            (1_000, 1, 0.7, true),
            (100_000, 100, 0.6, false), (100_000, 100, 0.64, true), (100_000, 0, 0, true), (0, 1, 0.999_999, false),
        ] as [(UInt32, Int64, Double, Bool)]
    )
    func rule(_ cost: UInt32, _ left: Int64, _ draw: Double, _ isDue: Bool) {
        #expect(EarlyRefresh.isDue(self.entry(cost: cost, soft: left), at: 0, draw: { draw }) == isDue)
    }

    @Test("far from the expiry nothing is drawn")
    func noDraw() {
        #expect(
            !EarlyRefresh.isDue(self.entry(cost: 1_000, soft: 300_000), at: 0) {
                Issue.record("drawn")
                return 1
            }
        )
    }

    @Test("the request that draws is served at once, and the next finds what was refreshed")
    func refreshes() async throws {
        let node = Node()
        await node.live()
        _ = try await node.ask(primary: 5)
        // An entry that cost a second, half a second before its soft expiry.
        let now = node.keeper.milliseconds()
        let held = CacheEntry(
            version: 5,
            computedAt: now - 299_500,
            softExpiry: now + 500,
            hardExpiry: now + 1_000_000,
            cost: 1_000_000,
            payload: [5]
        )
        node.shared.setEntry(held.encoded(key: node.key, field: node.field), floor: 5, key: node.key, field: node.field)
        node.keeper.local.drop(node.key, below: .max)
        try await node.running {
            #expect(try await node.ask(primary: 5).tier == .shared)
            #expect(node.cache.flights.count.flights == 0, "a draw of 0 is never enough before the expiry")
            node.draw.value = 0.9
            #expect(
                node.cache.localEntry(for: node.key, node.field, at: node.keeper.moment()) == nil,
                "the quick way leaves it to the other"
            )
            let answer = try await node.ask(primary: 5)
            #expect(answer.tier == .local)
            #expect(answer.entry == held)
            while node.cache.flights.count.flights > 0 { await Task.yield() }
            let next = try await node.ask(primary: 5)
            #expect(next.entry.softExpiry > held.softExpiry)
        }
    }
}

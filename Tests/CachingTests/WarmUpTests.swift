import Logging
import Synchronization
import Testing
import VireoTestKit

@testable import Caching

private final class StubPlaces: WarmPlaces {
    private let state = Mutex<[CachePlace]?>([])

    init(_ places: [CachePlace]?) { self.state.withLock { $0 = places } }

    func leave(_ places: [CachePlace]) async throws(SharedCacheError) { self.state.withLock { $0 = places } }

    func left() async throws(SharedCacheError) -> [CachePlace] {
        guard let places = self.state.withLock({ $0 }) else { throw .unavailable }
        return places
    }
}

@Suite("Warming up")
struct WarmUpTests {
    private let shared: InMemorySharedCache
    private let before: Node
    private let after: Node

    init() {
        let clock = ManualClock()
        self.shared = InMemorySharedCache(clock: clock)
        self.before = Node(clock: clock, shared: self.shared)
        self.after = Node(clock: clock, shared: self.shared)
    }

    private func key(_ number: Int) -> CacheKey { CacheKey(namespace: "i", owner: "t", member: "u\(number)") }

    private func warmUp(_ places: [CachePlace]?) -> WarmUp {
        WarmUp(cache: self.after.cache, store: StubPlaces(places), log: Logger(label: "test"), isPrepared: { true })
    }

    @Test("a node holds what the one before it was asked for, before it is ready, and computes nothing for it")
    func warmed() async throws {
        await self.before.live()
        for number in 0..<250 { _ = try await self.before.ask(self.key(number), primary: 5) }
        let places = self.before.keeper.local.hottest(WarmUp.places)
        #expect(Set(places.map(\.key)).count == 250)
        await self.after.live()
        let warmUp = self.warmUp(places)
        #expect(!warmUp.isDone)
        await warmUp.warm(until: .now.advanced(by: .seconds(3_600)))
        #expect(warmUp.isDone)
        #expect(self.after.keeper.local.usage.entries == 250)
        let calls = self.shared.calls.count
        #expect(try await self.after.ask(self.key(7), primary: 5).tier == .local)
        #expect(self.shared.calls.count == calls)
    }

    @Test("what was invalidated since is not held")
    func invalidated() async throws {
        await self.before.live()
        _ = try await self.before.ask(primary: 5)
        try await self.shared.raiseFloors([Invalidation(key: self.before.key, version: 6)], on: nil)
        await self.after.live()
        await self.warmUp([CachePlace(key: self.before.key, field: self.before.field)])
            .warm(until: .now.advanced(by: .seconds(3_600)))
        #expect(self.after.keeper.local.usage.entries == 0)
    }

    @Test("without a list, without Redis, and when its time is over it ends, and the node is ready")
    func ends() async throws {
        let place = CachePlace(key: self.before.key, field: self.before.field)
        // Without a lease nothing is read.
        for (places, time) in [([], 60), (nil, 60), ([place], 0)] as [([CachePlace]?, Int)] {
            let warmUp = self.warmUp(places)
            await warmUp.warm(until: .now.advanced(by: .seconds(time)))
            #expect(warmUp.isDone)
        }
        #expect(!self.shared.calls.contains("reads"))
        await self.after.live()
        self.shared.isDown = true
        let warmUp = self.warmUp([place])
        await warmUp.warm(until: .now.advanced(by: .seconds(3_600)))
        #expect(warmUp.isDone)
    }

    @Test("the hottest are those asked for again, the newest first; a key has one place, that asked for last")
    func hottest() {
        var shard = LocalShard(maximumBytes: 10_000_000)
        let entry = CacheEntry(version: 1, computedAt: 0, softExpiry: 10, hardExpiry: 10, cost: 0, payload: [1])
        let fields = [CacheField(parts: ["old"]), CacheField(parts: ["new"])]
        // Large enough that they have left the window, which a new key enters.
        let large = CacheEntry(
            version: 1,
            computedAt: 0,
            softExpiry: 10,
            hardExpiry: 10,
            cost: 0,
            payload: [UInt8](repeating: 0, count: 60_000)
        )
        for number in 0..<10 { shard.insert(large, self.key(number), fields[0], session: 1) }
        for number in [3, 5, 4] { _ = shard.find(self.key(number), fields[0]) }
        shard.insert(entry, self.key(5), fields[1], session: 1)
        _ = shard.find(self.key(5), fields[1])
        #expect(shard.hottest(3).map(\.key) == [self.key(5), self.key(4), self.key(3)])
        #expect(shard.hottest(3)[0].field == fields[1])
        #expect(shard.hottest(100).count == 10)
        #expect(shard.hottest(0).isEmpty)
    }
}

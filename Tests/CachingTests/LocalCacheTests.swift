import Testing

@testable import Caching

@Suite("L1")
struct LocalCacheTests {
    func key(_ number: Int) -> CacheKey { CacheKey(namespace: "i", owner: "t", member: "u\(number)") }
    let field = CacheField(parts: ["home"])

    func entry(_ version: Int64, bytes: Int = 10) -> CacheEntry {
        CacheEntry(
            version: version,
            computedAt: 0,
            softExpiry: 0,
            hardExpiry: 0,
            cost: 0,
            payload: [UInt8](repeating: 1, count: bytes)
        )
    }

    func write(_ cache: LocalCache, _ number: Int, _ entry: CacheEntry, session: UInt64 = 1) -> Bool {
        let note = LocalCache.Note(session: session, stripe: cache.stripe(of: self.key(number)))
        return cache.write(entry, self.key(number), self.field, note: note, session: session)
    }

    @Test("what was written is found with its session, and only under its field")
    func found() {
        let cache = LocalCache(maximumBytes: 1 << 20)
        #expect(self.write(cache, 1, self.entry(5), session: 9))
        #expect(cache.find(self.key(1), self.field)?.entry.version == 5)
        #expect(cache.find(self.key(1), self.field)?.session == 9)
        #expect(cache.find(self.key(1), CacheField(parts: ["detail"])) == nil)
        #expect(cache.find(self.key(2), self.field) == nil)
    }

    @Test("a write noted before an invalidation is refused, although the version would do")
    func stripes() {
        let cache = LocalCache(maximumBytes: 1 << 20)
        let note = LocalCache.Note(session: 1, stripe: cache.stripe(of: self.key(1)))
        cache.invalidate(self.key(1), below: 3)
        #expect(!cache.write(self.entry(9), self.key(1), self.field, note: note, session: 1))
        #expect(cache.find(self.key(1), self.field) == nil)
        #expect(self.write(cache, 1, self.entry(9)))
    }

    @Test("an invalidation drops what is below its version and keeps the rest")
    func invalidation() {
        let cache = LocalCache(maximumBytes: 1 << 20)
        #expect(self.write(cache, 1, self.entry(5)))
        cache.invalidate(self.key(1), below: 5)
        #expect(cache.find(self.key(1), self.field) != nil)
        cache.invalidate(self.key(1), below: 6)
        #expect(cache.find(self.key(1), self.field) == nil)
        #expect(cache.usage == (0, 0))
    }

    @Test("an older version never replaces a newer one")
    func newerStays() {
        let cache = LocalCache(maximumBytes: 1 << 20)
        #expect(self.write(cache, 1, self.entry(5)))
        _ = self.write(cache, 1, self.entry(4))
        #expect(cache.find(self.key(1), self.field)?.entry.version == 5)
    }

    @Test("the byte bound holds through any mix of writes, finds and drops")
    func bound() {
        var generator = SeededGenerator(seed: 3)
        let bound = 256 * 1_024
        let cache = LocalCache(maximumBytes: bound)
        for _ in 0..<50_000 {
            let number = Int.random(in: 0..<2_000, using: &generator)
            switch Int.random(in: 0..<10, using: &generator) {
            case 0: cache.invalidate(self.key(number), below: .random(in: 0..<100, using: &generator))
            case 1...4: _ = cache.find(self.key(number), self.field)
            default:
                let entry = self.entry(
                    .random(in: 0..<100, using: &generator),
                    bytes: .random(in: 0..<900, using: &generator)
                )
                _ = self.write(cache, number, entry)
            }
            #expect(cache.usage.bytes <= bound)
        }
        #expect(cache.usage.entries > 0)
        for number in 0..<2_000 { cache.invalidate(self.key(number), below: .max) }
        #expect(cache.usage == (0, 0))
    }

    @Test("what is asked for again outlives a scan of what is not")
    func scanResistance() {
        let cache = LocalCache(maximumBytes: 1 << 20)
        for number in 0..<100 { _ = self.write(cache, number, self.entry(1, bytes: 200)) }
        for number in 0..<100 { _ = cache.find(self.key(number), self.field) }
        for number in 1_000..<3_500 { _ = self.write(cache, number, self.entry(1, bytes: 200)) }
        let kept = (0..<100).count { cache.find(self.key($0), self.field) != nil }
        #expect(kept >= 90)
    }

    @Test("an entry larger than its share is not kept")
    func tooLarge() {
        let cache = LocalCache(maximumBytes: 64 * 1_024)
        _ = self.write(cache, 1, self.entry(1, bytes: 4_096))
        #expect(cache.usage == (0, 0))
    }
}

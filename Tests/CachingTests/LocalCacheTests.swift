import Glibc
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

    @Test("what kinds of entries there are is counted, through inserts, replacements, evictions and drops")
    func fields() {
        let cache = LocalCache(maximumBytes: 1 << 20)
        var generator = SystemRandomNumberGenerator()
        func count() -> Int { cache.takeStatistics().fields }
        #expect(count() == 0)
        for round in 0..<3_000 {
            let (number, kind) = (Int.random(in: 0..<40, using: &generator), Int.random(in: 0..<7, using: &generator))
            let field = CacheField(parts: ["home", "p\(kind)"])
            let note = LocalCache.Note(session: 1, stripe: cache.stripe(of: self.key(number)))
            _ = cache.write(self.entry(Int64(round), bytes: 900), self.key(number), field, note: note, session: 1)
            if round % 5 == 0 { cache.invalidate(self.key(number), below: Int64(round) - 200) }
            guard round % 100 == 0 else { continue }
            let held = Set((0..<40).flatMap { cache.hits(of: self.key($0)).map(\.field) })
            #expect(count() == held.count)
        }
        for number in 0..<40 { cache.invalidate(self.key(number), below: .max) }
        #expect(count() == 0 && cache.usage.entries == 0)
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

    /// In a process of its own: the allocator counts for everybody.
    @Test("what is counted is what the allocator gave, whatever the sizes", .enabled(if: Allocator.isMeasurable))
    func accounting() async {
        await #expect(processExitsWith: .success) {
            let (allocated, counted) = LocalCacheTests().filled()
            #expect(counted > 56 << 20, "filled")
            // What the test itself allocates; it may be off a tenth.
            let ratio = Double(allocated) / Double(counted)
            #expect((0.9...1.1).contains(ratio), "\(allocated) allocated, \(counted) counted")
        }
    }

    /// Bytes that the allocator gave for a cache filled to its bound, and bytes that the cache says it holds.
    private func filled() -> (allocated: Int, counted: Int) {
        var generator = SeededGenerator(seed: 9)
        let before = Allocator.bytes
        let cache = LocalCache(maximumBytes: 64 << 20)
        for number in 0..<60_000 {
            // Pools of all lengths, some far off the allocator's size classes, and a second field now and then.
            let payload = [UInt8](repeating: 1, count: .random(in: 0...3_000, using: &generator))
            let entry = CacheEntry(
                version: 1,
                computedAt: 0,
                softExpiry: 0,
                hardExpiry: 0,
                cost: 0,
                payload: payload
            )
            let key = self.key(number)
            let note = LocalCache.Note(session: 1, stripe: cache.stripe(of: key))
            _ = cache.write(entry, key, CacheField(parts: ["home", "m1", "p1", "", "", "0"]), note: note, session: 1)
            if number % 10 == 0 {
                _ = cache.write(entry, key, CacheField(parts: ["detail", "m1"]), note: note, session: 1)
            }
        }
        return withExtendedLifetime(cache) { (Allocator.bytes - before, cache.usage.bytes) }
    }

    @Test("a hot set that moves is kept again soon")
    func shiftingHotSet() {
        let cache = LocalCache(maximumBytes: 1 << 20)
        var kept: [Int] = []
        for start in stride(from: 0, to: 60_000, by: 10_000) {
            for _ in 0..<200 {
                for number in start..<start + 200 where cache.find(self.key(number), self.field) == nil {
                    _ = self.write(cache, number, self.entry(1, bytes: 900))
                }
                for number in start + 1_000..<start + 1_400 where cache.find(self.key(number), self.field) == nil {
                    _ = self.write(cache, number, self.entry(1, bytes: 900))
                }
            }
            kept.append((start..<start + 200).count { cache.find(self.key($0), self.field) != nil })
        }
        // Which keys share a shard is drawn anew in each process: one set keeps 178 to 198 of 200, six about 189 each.
        #expect(kept.reduce(0, +) >= 183 * kept.count, "\(kept) of 200")
    }

    /// Passes over all keys under a field, in an order of its own; writes what is not found. The share found in the last one.
    private func pass(
        _ cache: LocalCache,
        _ keys: Int,
        _ field: CacheField,
        times: Int,
        _ generator: inout SeededGenerator
    ) -> Double {
        var found = 0
        for _ in 0..<times {
            found = 0
            for number in (0..<keys).shuffled(using: &generator) {
                if cache.find(self.key(number), field) != nil { found += 1; continue }
                let note = LocalCache.Note(session: 1, stripe: cache.stripe(of: self.key(number)))
                _ = cache.write(self.entry(1, bytes: 900), self.key(number), field, note: note, session: 1)
            }
        }
        return Double(found) / Double(keys)
    }

    @Test("where the bytes do not do for two models, the entries of the one before make room; where they do, they stay")
    func modelSwitch() {
        for (bytes, keepsBoth) in [(8 << 20, false), (24 << 20, true)] {
            var generator = SeededGenerator(seed: 3)
            let cache = LocalCache(maximumBytes: bytes)
            let (before, after) = (CacheField(parts: ["home", "m1"]), CacheField(parts: ["home", "m2"]))
            #expect(self.pass(cache, 5_000, before, times: 4, &generator) > 0.99, "the first model fits")
            let share = self.pass(cache, 5_000, after, times: 4, &generator)
            #expect(share > 0.98, "\(share) of the second model's found in \(bytes) bytes")
            let rolledBack = (0..<5_000).count { cache.find(self.key($0), before) != nil }
            #expect(keepsBoth ? rolledBack > 4_950 : rolledBack < 1_500, "\(rolledBack) of the first one's are left")
            #expect(cache.usage.bytes <= bytes)
        }
    }

    @Test("hot keys are told by shares, never by name")
    func hotKeys() {
        let cache = LocalCache(maximumBytes: 1 << 20)
        for number in 0..<8_000 {
            _ = cache.find(self.key(1), self.field)
            _ = cache.find(self.key(number + 10), self.field)
        }
        let shares = cache.takeStatistics().hotKeys
        #expect(shares.requests == 16_000)
        #expect((0.4...0.6).contains(shares.share(ofTop: 1)), "\(shares.share(ofTop: 1))")
        #expect(cache.takeStatistics().hotKeys.requests == 0, "of each interval anew")
    }

    @Test("what is past its hard expiry goes when it is found, and is counted")
    func expirations() {
        let cache = LocalCache(maximumBytes: 1 << 20)
        #expect(self.write(cache, 1, self.entry(5)))
        cache.expire(self.key(1), at: 0)
        #expect(cache.usage == (0, 0))
        #expect(cache.takeStatistics().expirations == 1)
    }
}

/// Bytes in use of the C allocator, as glibc tells them in XML: what it has of the system less what it has free.
enum Allocator {
    private typealias MallocInfo = @convention(c) (Int32, UnsafeMutablePointer<FILE>) -> Int32

    static var bytes: Int {
        guard let symbol = dlsym(nil, "malloc_info") else { return 0 }
        var text: UnsafeMutablePointer<CChar>?
        var size = 0
        guard let stream = open_memstream(&text, &size) else { return 0 }
        _ = unsafeBitCast(symbol, to: MallocInfo.self)(0, stream)
        fclose(stream)
        defer { free(text) }
        guard let text else { return 0 }
        let lines = String(cString: text).split(separator: "\n")
        // The totals over all arenas come last.
        func last(_ prefix: String) -> Int {
            let line = lines.last { $0.hasPrefix(prefix) }
            return line?.split(separator: "size=\"").last?.split(separator: "\"").first.flatMap { Int($0) } ?? 0
        }
        return last("<system type=\"current\"") + last("<total type=\"mmap\"") - last("<total type=\"fast\"")
            - last("<total type=\"rest\"")
    }

    /// A sanitizer's allocator says nothing of itself.
    static let isMeasurable: Bool = {
        let before = Self.bytes
        let blocks = (0..<64).map { _ in malloc(1 << 14) }
        defer { for block in blocks { free(block) } }
        return Self.bytes - before >= 1 << 19
    }()
}

import Testing

@testable import Caching

@Suite("Entry format")
struct CacheEntryTests {
    let key = CacheKey(namespace: "inc", owner: "default", member: "u1")
    let field = CacheField(parts: ["home", "m1", "p0", "", "", "0"])

    func entry(payload: [UInt8]) -> CacheEntry {
        CacheEntry(version: 42, computedAt: 1, softExpiry: 2, hardExpiry: 3, cost: 4, payload: payload)
    }

    @Test("an entry survives its bytes", arguments: [0, 1, 7, 8, 9, 2_048])
    func roundTrip(size: Int) throws {
        let entry = self.entry(payload: (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31) })
        let bytes = entry.encoded(key: self.key, field: self.field)
        #expect(try CacheEntry(decoding: bytes, key: self.key, field: self.field) == entry)
    }

    @Test("every truncation and extension is refused")
    func lengths() {
        let bytes = self.entry(payload: [1, 2, 3]).encoded(key: self.key, field: self.field)
        for length in 0..<bytes.count {
            #expect(throws: CacheEntryError.self) {
                try CacheEntry(decoding: Array(bytes.prefix(length)), key: self.key, field: self.field)
            }
        }
        #expect(throws: CacheEntryError.truncated) {
            try CacheEntry(decoding: bytes + [0], key: self.key, field: self.field)
        }
    }

    @Test("another user's entry is refused, whatever its version")
    func echo() {
        let bytes = self.entry(payload: [1]).encoded(key: self.key, field: self.field)
        let other = CacheKey(namespace: "inc", owner: "default", member: "u2")
        #expect(throws: CacheEntryError.echo) { try CacheEntry(decoding: bytes, key: other, field: self.field) }
        #expect(throws: CacheEntryError.echo) {
            try CacheEntry(decoding: bytes, key: self.key, field: CacheField(parts: ["home", "m2", "p0", "", "", "0"]))
        }
    }

    @Test("times and versions that nobody would write are refused, checksum or not")
    func implausible() {
        for (computed, soft, hard, version) in [
            (Int64.min, 2, 3, 1), (1, 2, Int64.max, 1), (5, 4, 6, 1), (1, 6, 5, 1), (1, 2, 3, -1),
            (1 << 53, 1 << 53, 1 << 53, 1),
        ] as [(Int64, Int64, Int64, Int64)] {
            let entry = CacheEntry(
                version: version,
                computedAt: computed,
                softExpiry: soft,
                hardExpiry: hard,
                cost: 0,
                payload: []
            )
            let bytes = entry.encoded(key: self.key, field: self.field)
            #expect(throws: CacheEntryError.implausible) {
                try CacheEntry(decoding: bytes, key: self.key, field: self.field)
            }
        }
    }

    @Test("bytes of a later format are refused by name")
    func future() {
        var bytes = self.entry(payload: [1]).encoded(key: self.key, field: self.field)
        bytes[4] = 2
        #expect(throws: CacheEntryError.futureFormat) {
            try CacheEntry(decoding: bytes, key: self.key, field: self.field)
        }
    }

    @Test(
        "a million wrong entries are refused, every one: changed, cut, grown, spliced with another's, of another format"
    )
    func mutations() async {
        var generator = SeededGenerator(seed: 7)
        let bytes = self.entry(payload: (0..<24).map { UInt8($0) }).encoded(key: self.key, field: self.field)
        let foreign = CacheEntry(version: 43, computedAt: 1, softExpiry: 2, hardExpiry: 3, cost: 4, payload: [9, 9])
            .encoded(key: CacheKey(namespace: "inc", owner: "default", member: "u2"), field: self.field)
        var accepted = 0
        var refused: [CacheEntryError: Int] = [:]
        for number in 0..<1_000_000 {
            // Tests that run beside it have two threads on a small machine.
            if number % 500 == 0 { await Task.yield() }
            var mutated = bytes
            switch number % 8 {
            case 0: mutated.removeLast(Int.random(in: 1...bytes.count, using: &generator))
            case 1: for _ in 0...(number % 5) { mutated.append(UInt8.random(in: .min ... .max, using: &generator)) }
            case 2:
                // The beginning of one and the end of the other.
                let cut = Int.random(in: 0..<min(bytes.count, foreign.count), using: &generator)
                mutated = Array(bytes[..<cut] + foreign[cut...])
            case 3: mutated[Int.random(in: 4..<8, using: &generator)] ^= .random(in: 1...255, using: &generator)
            case 4:
                // What is wrong is under a good checksum: another's name, or a length that is not so.
                mutated[Int.random(in: 52..<83, using: &generator)] ^= .random(in: 1...255, using: &generator)
                let checksum = Checksum.of(mutated, from: 16)
                mutated.withUnsafeMutableBytes {
                    $0.storeBytes(of: checksum.littleEndian, toByteOffset: 8, as: UInt64.self)
                }
            default:
                for _ in 0..<Int.random(in: 1...4, using: &generator) {
                    mutated[Int.random(in: 0..<mutated.count, using: &generator)] ^= .random(
                        in: 1...255,
                        using: &generator
                    )
                }
            }
            guard mutated != bytes else { continue }
            do throws(CacheEntryError) {
                _ = try CacheEntry(decoding: mutated, key: self.key, field: self.field)
                accepted += 1
            } catch {
                refused[error, default: 0] += 1
            }
        }
        #expect(accepted == 0)
        for error in CacheEntryError.allCases where error != .implausible {
            #expect(refused[error] ?? 0 > 100, "\(error)")
        }
    }

    @Test("random bytes are refused and never crash")
    func noise() {
        var generator = SeededGenerator(seed: 8)
        for _ in 0..<20_000 {
            let bytes = (0..<Int.random(in: 0...120, using: &generator)).map { _ in
                UInt8.random(in: .min ... .max, using: &generator)
            }
            #expect(throws: CacheEntryError.self) {
                try CacheEntry(decoding: bytes, key: self.key, field: self.field)
            }
        }
    }
}

@Suite("Cache keys")
struct CacheKeyTests {
    @Test("ids that differ in any byte make different keys")
    func hostileIDs() {
        let ids = [
            "a|b", "a", "b", "{x}", "*", "a/b", "a%2Fb", "a\\nb", "u1}", "{", "", "é", "e\u{301}", ":", "👩‍🚀👩‍🚀", "A",
            "%7Bx%7D",
        ]
        var keys = Set<CacheKey>()
        for owner in ids {
            for member in ids { keys.insert(CacheKey(namespace: "inc", owner: owner, member: member)) }
        }
        #expect(keys.count == ids.count * ids.count)
    }

    @Test("composed and decomposed text, equal as Swift strings, are two keys")
    func normalization() {
        let composed = CacheKey(namespace: "i", owner: "t", member: "caf\u{E9}")
        let decomposed = CacheKey(namespace: "i", owner: "t", member: "cafe\u{301}")
        #expect("caf\u{E9}" == "cafe\u{301}")
        #expect(composed != decomposed)
    }

    @Test("the schema is one hash tag per user and nothing unescaped")
    func schema() {
        let key = CacheKey(namespace: "inc1", owner: "te/nant", member: "u}{|*é")
        #expect(String(decoding: key.bytes, as: UTF8.self) == "inc1:{te%2Fnant/u%7D%7B%7C%2A%C3%A9}")
    }
}

/// SplitMix64: the same numbers from the same seed.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) {
        self.state = seed
    }

    mutating func next() -> UInt64 {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var z = self.state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

@Suite("Parts of a cache key")
struct CacheKeyPartsTests {
    @Test(
        "the parts of a key come back byte by byte",
        arguments: ["u1", "a|b", "{x}", "*", "a/b", "a\nb", "🙂", "café", "cafe\u{301}", "%41", ":{", ""]
    )
    func parts(_ member: String) throws {
        let parts = try #require(CacheKey(namespace: "n:{1", owner: "t/x", member: member).parts)
        #expect(Array(parts.namespace.utf8) == Array("n:{1".utf8))
        #expect(Array(parts.owner.utf8) == Array("t/x".utf8))
        #expect(Array(parts.member.utf8) == Array(member.utf8))
    }

    @Test(
        "other bytes have no parts",
        arguments: ["", "{", "n:{t}", "n{t/u}", "n:{t/u", "n:{t/%4}", "n:{t/%GG}", "n:{t/%FF}"]
    )
    func none(_ text: String) {
        #expect(CacheKey(bytes: Array(text.utf8)).parts == nil)
    }
}

package import RecommendationCore

/// The bytes of a ``CandidatePool`` in cache entries, little endian:
///
///     0  format (1 byte)   1 flags (bit 0: personal, bit 1: suppressions)   2 number of seeds   3 zero
///     4  unseen (2)        6 seen (2)
///     8  offset and step of collaborative, content, popularity (6 × 4)
///     32 seeds (4 each), then unseen and seen candidates (8 each):
///        item (4), collaborative, content, popularity, seed (1 each)
///     with flag 1: how many were suppressed (2), number of suppressions (2), and of each kind (1), length (1), key
package enum PoolCodec {
    private static let format: UInt8 = 1
    private static let headerSize = 32
    private static let candidateSize = 8
    private static let tailFlag: UInt8 = 2

    package static func encode(_ pool: CandidatePool) -> [UInt8] {
        let hasTail = pool.suppressedCount > 0 || !pool.suppressions.isEmpty
        let size = Self.headerSize + 4 * pool.seeds.count + Self.candidateSize * (pool.unseen.count + pool.seen.count)
        let bytes = [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
            var offset = 0
            func put<Value: FixedWidthInteger>(_ value: Value) {
                UnsafeMutableRawBufferPointer(buffer).storeBytes(
                    of: value.littleEndian,
                    toByteOffset: offset,
                    as: Value.self
                )
                offset += MemoryLayout<Value>.size
            }
            put(Self.format)
            put(UInt8(pool.isPersonal ? 1 : 0) | (hasTail ? Self.tailFlag : 0))
            put(UInt8(pool.seeds.count))
            put(UInt8(0))
            put(UInt16(pool.unseen.count))
            put(UInt16(pool.seen.count))
            for scale in pool.scales {
                put(scale.offset.bitPattern)
                put(scale.step.bitPattern)
            }
            for seed in pool.seeds { put(seed) }
            for candidates in [pool.unseen, pool.seen] {
                for candidate in candidates {
                    put(candidate.item)
                    put(candidate.collaborative)
                    put(candidate.content)
                    put(candidate.popularity)
                    put(candidate.seed)
                }
            }
            count = offset
        }
        return hasTail ? bytes + Self.tail(pool) : bytes
    }

    private static func tail(_ pool: CandidatePool) -> [UInt8] {
        var bytes: [UInt8] = []
        for count in [pool.suppressedCount, pool.suppressions.count] {
            withUnsafeBytes(of: UInt16(clamping: count).littleEndian) { bytes.append(contentsOf: $0) }
        }
        for suppression in pool.suppressions.prefix(Int(UInt16.max)) {
            let key = suppression.key.string.utf8
            bytes.append(Self.code(suppression.kind))
            // An id has at most 128 bytes.
            bytes.append(UInt8(key.count))
            bytes.append(contentsOf: key)
        }
        return bytes
    }

    /// What is left of an entry after its candidates; nil where it is no tail.
    private static func tail(_ bytes: ArraySlice<UInt8>) -> (count: Int, suppressions: [Suppression])? {
        var rest = bytes
        func integer(_ size: Int) -> Int? {
            guard rest.count >= size else { return nil }
            defer { rest = rest.dropFirst(size) }
            return rest.prefix(size).reversed().reduce(0) { $0 << 8 | Int($1) }
        }
        guard let suppressed = integer(2), let count = integer(2) else { return nil }
        var suppressions: [Suppression] = []
        for _ in 0..<count {
            guard let code = integer(1), let kind = Suppression.Kind.allCases.first(where: { Self.code($0) == code }),
                let length = integer(1), rest.count >= length,
                let key = String(validating: rest.prefix(length), as: UTF8.self)
            else { return nil }
            rest = rest.dropFirst(length)
            suppressions.append(Suppression(kind: kind, key: Identifier(trusted: key)))
        }
        return rest.isEmpty ? (suppressed, suppressions) : nil
    }

    private static func code(_ kind: Suppression.Kind) -> UInt8 {
        switch kind {
        case .item: 1
        case .category: 2
        case .creator: 3
        }
    }

    /// The pool of these bytes; nil where they are not one.
    package static func decode(_ bytes: [UInt8]) -> CandidatePool? {
        guard bytes.count >= Self.headerSize, bytes[0] == Self.format else { return nil }
        return bytes.withUnsafeBytes { buffer -> CandidatePool? in
            func load<Value: FixedWidthInteger>(_ offset: Int, as type: Value.Type) -> Value {
                Value(littleEndian: buffer.loadUnaligned(fromByteOffset: offset, as: type))
            }
            let seedCount = Int(buffer[2])
            let unseenCount = Int(load(4, as: UInt16.self))
            let seenCount = Int(load(6, as: UInt16.self))
            let candidatesStart = Self.headerSize + 4 * seedCount
            let end = candidatesStart + Self.candidateSize * (unseenCount + seenCount)
            let hasTail = buffer[1] & Self.tailFlag != 0
            guard hasTail ? buffer.count > end : buffer.count == end, seedCount <= CandidatePool.maximumSeeds
            else { return nil }
            var suppressed = (count: 0, suppressions: [Suppression]())
            if hasTail {
                guard let tail = Self.tail(bytes[end...]) else { return nil }
                suppressed = tail
            }
            let scales = (0..<3).map { index in
                CandidatePool.Scale(
                    offset: Float(bitPattern: load(8 + 8 * index, as: UInt32.self)),
                    step: Float(bitPattern: load(12 + 8 * index, as: UInt32.self))
                )
            }
            // Scores that are numbers, and that sums of them are numbers, too.
            guard scales.allSatisfy({ abs($0.offset) <= 1e6 && (0...1e6).contains($0.step) }) else { return nil }
            func candidates(_ first: Int, _ count: Int) -> [CandidatePool.Candidate] {
                (first..<first + count).map { index in
                    let offset = candidatesStart + Self.candidateSize * index
                    let seed = buffer[offset + 7]
                    return CandidatePool.Candidate(
                        item: load(offset, as: UInt32.self),
                        collaborative: buffer[offset + 4],
                        content: buffer[offset + 5],
                        popularity: buffer[offset + 6],
                        seed: Int(seed) < seedCount ? seed : CandidatePool.noSeed
                    )
                }
            }
            return CandidatePool(
                scales: scales,
                seeds: (0..<seedCount).map { load(Self.headerSize + 4 * $0, as: UInt32.self) },
                unseen: candidates(0, unseenCount),
                seen: candidates(unseenCount, seenCount),
                isPersonal: buffer[1] & 1 == 1,
                suppressedCount: suppressed.count,
                suppressions: suppressed.suppressions
            )
        }
    }
}

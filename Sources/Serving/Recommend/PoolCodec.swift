package import RecommendationCore

/// The bytes of a ``CandidatePool`` in cache entries, little endian:
///
///     0  format (1 byte)   1 flags (bit 0: personal, 1: suppressions, 2: tried out)   2 number of seeds   3 seen, but left out
///     4  unseen (2)        6 seen (2)
///     8  offset and step of collaborative, content, popularity (6 × 4)
///     32 with flag 2: number of those tried out (2), their lot (2)
///        seeds (4 each), then unseen, seen and tried candidates (8 each):
///        item (4), collaborative, content, popularity, seed (1 each)
///     with flag 1: how many were suppressed (2), number of suppressions (2), and of each kind (1), length (1), key
package enum PoolCodec {
    static let format: UInt8 = 1
    static let headerSize = 32
    static let candidateSize = 8
    static let tailFlag: UInt8 = 2
    static let triedFlag: UInt8 = 4
    static let triedHeaderSize = 4

    package static func encode(_ pool: CandidatePool) -> [UInt8] {
        let hasTail = pool.suppressedCount > 0 || !pool.suppressions.isEmpty
        let hasTried = !pool.tried.isEmpty
        let lists = [pool.unseen, pool.seen, pool.tried]
        let size =
            Self.headerSize + (hasTried ? Self.triedHeaderSize : 0) + 4 * pool.seeds.count
            + Self.candidateSize * lists.reduce(0) { $0 + $1.count }
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
            let flags = (hasTail ? Self.tailFlag : 0) | (hasTried ? Self.triedFlag : 0)
            put(UInt8(pool.isPersonal ? 1 : 0) | flags)
            put(UInt8(pool.seeds.count))
            put(UInt8(clamping: pool.seenLeftOut))
            put(UInt16(pool.unseen.count))
            put(UInt16(pool.seen.count))
            for scale in pool.scales {
                put(scale.offset.bitPattern)
                put(scale.step.bitPattern)
            }
            if hasTried {
                put(UInt16(pool.tried.count))
                put(pool.triedLot)
            }
            for seed in pool.seeds { put(seed) }
            for candidates in lists {
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
    static func tail(_ bytes: UnsafeRawBufferPointer) -> (count: Int, suppressions: [Suppression])? {
        var rest = bytes[...]
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
        bytes.withUnsafeBytes { PoolView($0)?.pool }
    }
}

package import RecommendationCore

/// The bytes of a ``CandidatePool`` in cache entries, little endian:
///
///     0  format (1 byte)   1 flags (bit 0: personal, 1: suppressions, 2: tried out, 3: facts)   2 number of seeds   3 seen, but left out
///     4  unseen (2)        6 seen (2)
///     8  offset and step of collaborative, content, popularity (6 × 4)
///     32 with flag 2: number of those tried out (2), their lot (2)
///        seeds (4 each), then unseen, seen and tried candidates (8 each):
///        item (4), collaborative, content, popularity, seed (1 each)
///     with flag 3: number of labels (1), of pinned items the user has had (1) and does not want (1), these items (4 each), labels
///     as ``LabelCodec`` has them
///     with flag 1: how many were suppressed (2), number of suppressions (2), and of each kind (1), length (1), key
package enum PoolCodec {
    static let format: UInt8 = 1
    static let headerSize = 32
    static let candidateSize = 8
    static let tailFlag: UInt8 = 2
    static let triedFlag: UInt8 = 4
    static let factsFlag: UInt8 = 8
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
            let factsFlag = pool.facts == nil ? 0 : Self.factsFlag
            let flags = (hasTail ? Self.tailFlag : 0) | (hasTried ? Self.triedFlag : 0) | factsFlag
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
        let facts = pool.facts.map(Self.bytes) ?? []
        return hasTail || !facts.isEmpty ? bytes + facts + (hasTail ? Self.tail(pool) : []) : bytes
    }

    private static func bytes(_ facts: CandidatePool.RuleFacts) -> [UInt8] {
        // Far fewer than fit: a user has 64 labels at most, a policy 20 pins.
        let labels = facts.labels.prefix(Int(UInt8.max))
        let pins = [facts.hadPins, facts.unwantedPins].map { $0.prefix(Int(UInt8.max)) }
        var bytes = [UInt8(labels.count)] + pins.map { UInt8($0.count) }
        for pin in pins.joined() { withUnsafeBytes(of: pin.littleEndian) { bytes.append(contentsOf: $0) } }
        for label in labels { LabelCodec.append(label, to: &bytes) }
        return bytes
    }

    /// Takes facts off the beginning of what follows the candidates; nil where they are not there.
    static func facts(_ rest: inout ArraySlice<UInt8>) -> CandidatePool.RuleFacts? {
        guard rest.count >= 3 else { return nil }
        let counts = rest.prefix(3).map(Int.init)
        rest = rest.dropFirst(3)
        func items(_ count: Int) -> [Item.Number]? {
            guard rest.count >= 4 * count else { return nil }
            defer { rest = rest.dropFirst(4 * count) }
            let start = rest.startIndex
            return (0..<count).map { index in
                rest[(start + 4 * index)..<(start + 4 * index + 4)].reversed().reduce(0) { $0 << 8 | Item.Number($1) }
            }
        }
        var facts = CandidatePool.RuleFacts()
        guard let had = items(counts[1]), let unwanted = items(counts[2]),
            let labels = LabelCodec.labels(counts[0], from: &rest)
        else { return nil }
        (facts.labels, facts.hadPins, facts.unwantedPins) = (labels, had, unwanted)
        return facts
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

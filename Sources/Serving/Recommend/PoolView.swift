import RecommendationCore

/// A pool read where it lies, in the form of ``PoolCodec``: nothing is copied and nothing allocated.
///
/// Valid only as long as its bytes are. Candidates are numbered through, the unseen ones first, those to be tried out last.
package struct PoolView {
    private let bytes: UnsafeRawBufferPointer
    private let seedsStart: Int
    private let candidatesStart: Int
    private let scales: (CandidatePool.Scale, CandidatePool.Scale, CandidatePool.Scale)
    let seedCount: Int
    package let unseenCount: Int
    package let seenCount: Int
    private let triedCount: Int
    /// As ``CandidatePool/triedLot``.
    let triedLot: UInt16
    /// As ``CandidatePool/seenLeftOut``.
    let seenLeftOut: Int
    /// Whether the user has history that says something about taste.
    package let isPersonal: Bool
    /// As ``CandidatePool/suppressedCount``.
    let suppressedCount: Int
    /// As ``CandidatePool/suppressions``.
    let suppressions: [Suppression]
    /// As ``CandidatePool/facts``.
    let facts: CandidatePool.RuleFacts?

    /// Reads and checks a pool; nil where the bytes are not one. What is accepted can be served: seeds point into the table,
    /// scores are numbers, and so are their sums.
    package init?(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count >= PoolCodec.headerSize, bytes[0] == PoolCodec.format else { return nil }
        func load<Value: FixedWidthInteger>(_ offset: Int, as type: Value.Type) -> Value {
            Value(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: type))
        }
        self.bytes = bytes
        self.isPersonal = bytes[1] & 1 == 1
        self.seedCount = Int(bytes[2])
        self.seenLeftOut = Int(bytes[3])
        self.unseenCount = Int(load(4, as: UInt16.self))
        self.seenCount = Int(load(6, as: UInt16.self))
        let hasTried = bytes[1] & PoolCodec.triedFlag != 0
        self.seedsStart = PoolCodec.headerSize + (hasTried ? PoolCodec.triedHeaderSize : 0)
        guard bytes.count >= self.seedsStart else { return nil }
        self.triedCount = hasTried ? Int(load(PoolCodec.headerSize, as: UInt16.self)) : 0
        self.triedLot = hasTried ? load(PoolCodec.headerSize + 2, as: UInt16.self) : 0
        self.candidatesStart = self.seedsStart + 4 * self.seedCount
        let count = self.unseenCount + self.seenCount + self.triedCount
        var end = self.candidatesStart + PoolCodec.candidateSize * count
        guard self.seedCount <= CandidatePool.maximumSeeds else { return nil }
        if bytes[1] & PoolCodec.factsFlag != 0 {
            guard bytes.count > end else { return nil }
            // Few policies ask for any, and they are short.
            var rest = Array(bytes[end...])[...]
            guard let facts = PoolCodec.facts(&rest) else { return nil }
            self.facts = facts
            end = bytes.count - rest.count
        } else {
            self.facts = nil
        }
        if bytes[1] & PoolCodec.tailFlag == 0 {
            guard bytes.count == end else { return nil }
            (self.suppressedCount, self.suppressions) = (0, [])
        } else {
            guard bytes.count > end, let tail = PoolCodec.tail(UnsafeRawBufferPointer(rebasing: bytes[end...])) else {
                return nil
            }
            (self.suppressedCount, self.suppressions) = tail
        }
        func scale(_ index: Int) -> CandidatePool.Scale? {
            let scale = CandidatePool.Scale(
                offset: Float(bitPattern: load(8 + 8 * index, as: UInt32.self)),
                step: Float(bitPattern: load(12 + 8 * index, as: UInt32.self))
            )
            return abs(scale.offset) <= 1e6 && (0...1e6).contains(scale.step) ? scale : nil
        }
        guard let collaborative = scale(0), let content = scale(1), let popularity = scale(2) else { return nil }
        self.scales = (collaborative, content, popularity)
    }

    /// The item of a candidate.
    func item(_ candidate: Int) -> Item.Number {
        UInt32(
            littleEndian: self.bytes.loadUnaligned(
                fromByteOffset: self.candidatesStart + PoolCodec.candidateSize * candidate,
                as: UInt32.self
            )
        )
    }

    /// The items of all candidates.
    var items: [Item.Number] { (0..<self.tried.upperBound).map(self.item) }

    /// The weighted components of a candidate.
    func components(_ candidate: Int) -> (collaborative: Float, content: Float, popularity: Float) {
        let offset = self.candidatesStart + PoolCodec.candidateSize * candidate
        return (
            self.scales.0.value(self.bytes[offset + 4]), self.scales.1.value(self.bytes[offset + 5]),
            self.scales.2.value(self.bytes[offset + 6])
        )
    }

    /// The history item that explains a candidate.
    func seed(_ candidate: Int) -> Item.Number? {
        let index = Int(self.bytes[self.candidatesStart + PoolCodec.candidateSize * candidate + 7])
        return index < self.seedCount ? self.seedItem(index) : nil
    }

    private func seedItem(_ index: Int) -> Item.Number {
        UInt32(
            littleEndian: self.bytes.loadUnaligned(fromByteOffset: self.seedsStart + 4 * index, as: UInt32.self)
        )
    }

    /// Scores of the candidates over the best, 0 at least; none where nothing is known of the user's taste.
    var taste: [Item.Number: Float] {
        guard self.isPersonal, self.unseenCount > 0 else { return [:] }
        let best = self.score(0)
        guard best > 0 else { return [:] }
        return Dictionary(
            (0..<self.unseenCount).map { (self.item($0), max(0, self.score($0) / best)) },
            uniquingKeysWith: { first, _ in first }
        )
    }

    /// The candidates that are tried out, in their order.
    var tried: Range<Int> {
        let first = self.unseenCount + self.seenCount
        return first..<first + self.triedCount
    }

    /// All candidates, best first, whether the user has had them or not; ties by number, as ``CandidatePool/all``.
    var merged: [Int] {
        var merged: [Int] = []
        merged.reserveCapacity(self.unseenCount + self.seenCount)
        var (fresh, had) = (0, self.unseenCount)
        while fresh < self.unseenCount, had < self.unseenCount + self.seenCount {
            let (left, right) = (self.score(fresh), self.score(had))
            if left > right || (left == right && self.item(fresh) < self.item(had)) {
                merged.append(fresh)
                fresh += 1
            } else {
                merged.append(had)
                had += 1
            }
        }
        merged += fresh..<self.unseenCount
        merged += had..<(self.unseenCount + self.seenCount)
        return merged
    }

    private func score(_ candidate: Int) -> Float {
        let (collaborative, content, popularity) = self.components(candidate)
        return collaborative + content + popularity
    }

    /// The pool as a value of its own.
    var pool: CandidatePool {
        CandidatePool(
            scales: [self.scales.0, self.scales.1, self.scales.2],
            seeds: (0..<self.seedCount).map(self.seedItem),
            unseen: (0..<self.unseenCount).map(self.candidate),
            seen: (self.unseenCount..<self.unseenCount + self.seenCount).map(self.candidate),
            seenLeftOut: self.seenLeftOut,
            isPersonal: self.isPersonal,
            suppressedCount: self.suppressedCount,
            suppressions: self.suppressions,
            tried: self.tried.map(self.candidate),
            triedLot: self.triedLot,
            facts: self.facts
        )
    }

    private func candidate(_ index: Int) -> CandidatePool.Candidate {
        let offset = self.candidatesStart + PoolCodec.candidateSize * index
        let seed = self.bytes[offset + 7]
        return CandidatePool.Candidate(
            item: self.item(index),
            collaborative: self.bytes[offset + 4],
            content: self.bytes[offset + 5],
            popularity: self.bytes[offset + 6],
            seed: Int(seed) < self.seedCount ? seed : CandidatePool.noSeed
        )
    }
}

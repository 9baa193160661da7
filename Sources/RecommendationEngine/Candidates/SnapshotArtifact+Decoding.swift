import Glibc
import RecommendationCore

/// Why bytes are not a snapshot.
package enum ArtifactError: Error, Equatable, Sendable {
    /// Not an artifact at all.
    case wrongMagic
    /// Written by a version of the format this build cannot read.
    case unsupportedVersion(UInt32)
    /// Shorter than it says, or than any artifact is.
    case truncated(expected: Int, found: Int)
    /// Longer than it says.
    case trailingBytes(Int)
    /// Changed since it was written.
    case checksumMismatch(stored: UInt64, computed: UInt64)
    /// As it was written, but not a snapshot; what is wrong with it.
    case inconsistent(String)
}

extension SnapshotArtifact {
    /// Reads an artifact, and checks everything that scoring relies on.
    package init(decoding bytes: [UInt8]) throws(ArtifactError) {
        self = try bytes.withUnsafeBytes { bytes in
            Result { () throws(ArtifactError) in try SnapshotArtifact(decoding: bytes) }
        }.get()
    }

    /// Reads an artifact that is in memory for the length of the call.
    package init(decoding bytes: UnsafeRawBufferPointer) throws(ArtifactError) {
        let sectionCount = try Self.checkPreamble(of: bytes)
        let reader = ArtifactReader(bytes: bytes)
        let lengths = (0..<sectionCount).map { reader.word(Self.tableOffset + 8 * $0) }
        var starts: [Int] = []
        var end = Self.headerLength(sections: sectionCount)
        for length in lengths {
            guard length <= UInt64(bytes.count - end), Self.padded(Int(length)) <= bytes.count - end else {
                throw .inconsistent("a section ends beyond the artifact")
            }
            starts.append(end)
            end += Self.padded(Int(length))
        }
        guard end == bytes.count else { throw .inconsistent("bytes belong to no section") }

        func section<Element>(_ section: Section, of: Element.Type) throws(ArtifactError) -> [Element]
        where Element: BitwiseCopyable {
            try reader.array(at: starts[section.rawValue], length: Int(lengths[section.rawValue]))
        }
        let popularity = try section(.popularity, of: Float.self)
        let popularityOrder = try section(.popularityOrder, of: Item.Number.self)
        let itemCount = popularity.count
        guard reader.word(32) == UInt64(itemCount) else { throw .inconsistent("popularity of other items") }
        try Self.check(popularity, order: popularityOrder)

        let collaborative = NeighbourGraph(
            offsets: try section(.collaborativeOffsets, of: UInt32.self),
            ids: try section(.collaborativeItems, of: Item.Number.self),
            weights: try section(.collaborativeWeights, of: UInt16.self)
        )
        try Self.check(collaborative, itemCount: itemCount)
        guard collaborative.rowCount == itemCount else { throw .inconsistent("neighbours of other items") }

        let lists = NeighbourGraph(
            offsets: try section(.contentOffsets, of: UInt32.self),
            ids: try section(.contentItems, of: Item.Number.self),
            weights: try section(.contentWeights, of: UInt16.self)
        )
        let groups = try section(.groups, of: UInt32.self)
        guard try Self.check(lists, itemCount: itemCount) else { throw .inconsistent("a negative likeness") }
        guard groups.count == itemCount else { throw .inconsistent("groups of other items") }
        try Self.check(groups: groups, groupCount: lists.rowCount)

        var trending = NeighbourGraph.empty(rowCount: TrendWindow.allCases.count)
        if sectionCount > Section.trendingWeights.rawValue {
            trending = NeighbourGraph(
                offsets: try section(.trendingOffsets, of: UInt32.self),
                ids: try section(.trendingItems, of: Item.Number.self),
                weights: try section(.trendingWeights, of: UInt16.self)
            )
            guard try Self.check(trending, itemCount: itemCount) else { throw .inconsistent("a negative trend") }
            try Self.check(trending: trending)
        }

        let newest = Int64(bitPattern: reader.word(64))
        self.init(
            Snapshot(
                counts: Snapshot.Counts(
                    interactions: try reader.count(40),
                    users: try reader.count(48),
                    items: try reader.count(56)
                ),
                newestEvent: newest == Self.noTimestamp ? nil : Timestamp(microseconds: newest),
                builtAt: Timestamp(microseconds: Int64(bitPattern: reader.word(72))),
                collaborative: collaborative,
                content: ContentGraph(groupOfItem: groups, lists: lists),
                popularity: popularity,
                popularityOrder: popularityOrder,
                trending: trending
            )
        )
    }

    /// Returns the number of sections.
    private static func checkPreamble(of bytes: UnsafeRawBufferPointer) throws(ArtifactError) -> Int {
        guard bytes.prefix(Self.magic.count).elementsEqual(Self.magic.prefix(bytes.count)) else { throw .wrongMagic }
        guard bytes.count >= Self.preambleLength else {
            throw .truncated(expected: Self.preambleLength, found: bytes.count)
        }
        let reader = ArtifactReader(bytes: bytes)
        let version = UInt32(truncatingIfNeeded: reader.word(8))
        guard let sectionCount = Section.count(inFormat: version) else { throw .unsupportedVersion(version) }
        guard reader.word(8) >> 32 == UInt64(sectionCount) else { throw .inconsistent("another number of sections") }
        let headerLength = Self.headerLength(sections: sectionCount)
        guard bytes.count >= headerLength else { throw .truncated(expected: headerLength, found: bytes.count) }
        let expected = reader.word(16)
        guard expected <= UInt64(bytes.count) else {
            throw .truncated(expected: Int(clamping: expected), found: bytes.count)
        }
        guard expected == UInt64(bytes.count) else { throw .trailingBytes(bytes.count - Int(expected)) }
        let (stored, computed) = (reader.word(24), Self.checksum(of: bytes))
        guard stored == computed else { throw .checksumMismatch(stored: stored, computed: computed) }
        return sectionCount
    }

    /// A row a window, each strictly descending, so that it names no item twice.
    private static func check(trending: NeighbourGraph) throws(ArtifactError) {
        guard trending.rowCount == TrendWindow.allCases.count else { throw .inconsistent("trends of other windows") }
        for row in 0..<trending.rowCount {
            var previous = UInt64.max
            for position in trending.row(row) {
                let key = RankKey.make(HalfFloat.decode(trending.weights[position]), trending.ids[position])
                guard key < previous else { throw .inconsistent("trends that do not descend") }
                previous = key
            }
        }
    }

    /// Returns whether no weight is negative.
    @discardableResult
    private static func check(_ graph: NeighbourGraph, itemCount: Int) throws(ArtifactError) -> Bool {
        guard graph.offsets.first == 0 else { throw .inconsistent("offsets do not begin at 0") }
        var previous: UInt32 = 0
        var descends = false
        for offset in graph.offsets {
            descends = descends || offset < previous
            previous = offset
        }
        guard !descends else { throw .inconsistent("offsets descend") }
        guard Int(previous) == graph.ids.count, graph.ids.count == graph.weights.count else {
            throw .inconsistent("offsets, items and weights of different length")
        }
        // Maxima instead of early exits, so that the passes run at the speed of memory.
        guard graph.ids.reduce(0, { max($0, $1) }) < max(itemCount, 1) else {
            throw .inconsistent("an item beyond the last")
        }
        guard graph.ids.isEmpty || itemCount > 0 else { throw .inconsistent("an item beyond the last") }
        // Weights may be negative: only exponent and fraction are looked at.
        guard graph.weights.reduce(0, { max($0, HalfFloat.magnitude($1)) }) <= HalfFloat.largest else {
            throw .inconsistent("a weight that is no number")
        }
        return graph.weights.reduce(0, { max($0, $1) }) <= HalfFloat.largest
    }

    private static func check(groups: [UInt32], groupCount: Int) throws(ArtifactError) {
        var beyond = false
        for group in groups {
            beyond = beyond || (group != ContentGraph.noGroup && group >= groupCount)
        }
        guard !beyond else { throw .inconsistent("a group beyond the last") }
    }

    private static func check(_ popularity: [Float], order: [Item.Number]) throws(ArtifactError) {
        for value in popularity where !(value >= 0 && value <= 1) {
            throw .inconsistent("a popularity outside 0 to 1")
        }
        guard order.count == popularity.count else { throw .inconsistent("an order of other items") }
        // Strictly descending keys cannot repeat, so as many as there are items name each of them once.
        var previous = UInt64.max
        for item in order {
            guard item < popularity.count else { throw .inconsistent("an item beyond the last") }
            let key = RankKey.make(popularity[Int(item)], item)
            guard key < previous else { throw .inconsistent("an order that is not by popularity") }
            previous = key
        }
    }
}

/// Reads words and arrays at offsets that the caller has checked.
private struct ArtifactReader {
    let bytes: UnsafeRawBufferPointer

    func word(_ offset: Int) -> UInt64 {
        UInt64(littleEndian: self.bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }

    func count(_ offset: Int) throws(ArtifactError) -> Int {
        guard let count = Int(exactly: self.word(offset)) else { throw .inconsistent("a count beyond 63 bits") }
        return count
    }

    func array<Element: BitwiseCopyable>(at start: Int, length: Int) throws(ArtifactError) -> [Element] {
        let (count, rest) = length.quotientAndRemainder(dividingBy: MemoryLayout<Element>.stride)
        guard rest == 0 else { throw .inconsistent("a section of broken elements") }
        // All empty arrays share one storage, which would be written to.
        guard count > 0 else { return [] }
        let source = UnsafeRawBufferPointer(rebasing: self.bytes[start..<start + length])
        return [Element](unsafeUninitializedCapacity: count) { buffer, initialized in
            let bytes = UnsafeMutableRawBufferPointer(buffer)
            Self.adviseHugePages(for: bytes)
            bytes.copyMemory(from: source)
            initialized = count
        }
    }

    /// Rows of a large graph are read at random, and with small pages most of them miss the processor's address cache.
    private static func adviseHugePages(for bytes: UnsafeMutableRawBufferPointer) {
        guard let start = bytes.baseAddress, bytes.count >= 2 << 20 else { return }
        let first = start.alignedUp(toMultipleOf: 4096)
        let last = (start + bytes.count).alignedDown(toMultipleOf: 4096)
        // A system that does not take the advice serves as well.
        _ = madvise(first, last - first, MADV_HUGEPAGE)
    }
}

import RecommendationCore

/// A snapshot as bytes: what the model registry stores and nodes load.
///
/// Format 3, little-endian, every part at a multiple of 8 bytes:
///
///     0   magic, the 8 bytes "VIREOSNP"
///     8   format version, UInt32
///     12  number of sections, UInt32
///     16  length of the whole in bytes, UInt64
///     24  XXH64 (seed 0) of everything from byte 32 on
///     32  item count, interactions, users, items with interactions: UInt64 each
///     64  newest event, built at: Int64 microseconds since 1970; the least Int64 means none
///     80  length in bytes of each section, UInt64
///     …   the sections in the order of ``Section``, padded with zeros
///
/// A reader refuses a version it does not know. What is added later gets a new version. Format 2 is the same without negative
/// weights; format 1 also ends before the trending sections, and is read as a model in which nothing trends.
///
/// Half floats are IEEE 754 binary16; those of the content graph and of trends are not negative.
package struct SnapshotArtifact: Sendable {
    /// The parts, in order.
    enum Section: Int, CaseIterable {
        /// UInt32, one more than items; UInt32; half floats.
        case collaborativeOffsets, collaborativeItems, collaborativeWeights
        /// UInt32 an item; UInt32 max for none.
        case groups
        /// UInt32, one more than groups; UInt32; half floats.
        case contentOffsets, contentItems, contentWeights
        /// Float an item; UInt32 an item.
        case popularity, popularityOrder
        /// A row a ``TrendWindow``: UInt32, one more than rows; UInt32; half floats.
        case trendingOffsets, trendingItems, trendingWeights

        /// How many of them a format has; nil for a format that is not known.
        static func count(inFormat version: UInt32) -> Int? {
            switch version {
            case 1: Section.trendingOffsets.rawValue
            case 2, SnapshotArtifact.formatVersion: Section.allCases.count
            default: nil
            }
        }
    }

    static let magic = [UInt8]("VIREOSNP".utf8)
    static let formatVersion: UInt32 = 3
    static let preambleLength = 32
    static let tableOffset = 80
    static let headerLength = Self.headerLength(sections: Section.allCases.count)
    static let noTimestamp = Int64.min

    package let snapshot: Snapshot

    package init(_ snapshot: Snapshot) {
        self.snapshot = snapshot
    }

    /// The checksum that the header of encoded bytes should hold; 0 for bytes too short to have one.
    package static func checksum(of encoded: [UInt8]) -> UInt64 {
        encoded.withUnsafeBytes { Self.checksum(of: $0) }
    }

    static func checksum(of encoded: UnsafeRawBufferPointer) -> UInt64 {
        guard encoded.count >= Self.preambleLength else { return 0 }
        return Checksum.xxh64(UnsafeRawBufferPointer(rebasing: encoded[Self.preambleLength...]))
    }

    package func encode() -> [UInt8] {
        let lengths = Section.allCases.map { section in self.withBytes(of: section) { $0.count } }
        let total = lengths.reduce(Self.headerLength) { $0 + Self.padded($1) }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(total)
        func append<Word: FixedWidthInteger>(_ word: Word) {
            Swift.withUnsafeBytes(of: word.littleEndian) { bytes.append(contentsOf: $0) }
        }
        let snapshot = self.snapshot
        bytes += Self.magic
        append(Self.formatVersion)
        append(UInt32(Section.allCases.count))
        append(UInt64(total))
        append(UInt64(0))
        for count in [
            snapshot.itemCount, snapshot.counts.interactions, snapshot.counts.users, snapshot.counts.items,
        ] {
            append(UInt64(count))
        }
        append(snapshot.newestEvent?.microseconds ?? Self.noTimestamp)
        append(snapshot.builtAt.microseconds)
        for length in lengths { append(UInt64(length)) }
        for section in Section.allCases {
            self.withBytes(of: section) { bytes.append(contentsOf: $0) }
            for _ in bytes.count..<Self.padded(bytes.count) { bytes.append(0) }
        }
        let checksum = Self.checksum(of: bytes)
        for index in 0..<8 { bytes[24 + index] = UInt8(truncatingIfNeeded: checksum >> (8 * UInt64(index))) }
        return bytes
    }

    static func headerLength(sections: Int) -> Int { Self.tableOffset + 8 * sections }

    static func padded(_ length: Int) -> Int { (length + 7) & ~7 }

    private func withBytes<Result>(of section: Section, _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        let snapshot = self.snapshot
        switch section {
        case .collaborativeOffsets: return snapshot.collaborative.offsets.withUnsafeBytes(body)
        case .collaborativeItems: return snapshot.collaborative.ids.withUnsafeBytes(body)
        case .collaborativeWeights: return snapshot.collaborative.weights.withUnsafeBytes(body)
        case .groups: return snapshot.content.groupOfItem.withUnsafeBytes(body)
        case .contentOffsets: return snapshot.content.lists.offsets.withUnsafeBytes(body)
        case .contentItems: return snapshot.content.lists.ids.withUnsafeBytes(body)
        case .contentWeights: return snapshot.content.lists.weights.withUnsafeBytes(body)
        case .popularity: return snapshot.popularity.withUnsafeBytes(body)
        case .popularityOrder: return snapshot.popularityOrder.withUnsafeBytes(body)
        case .trendingOffsets: return snapshot.trending.offsets.withUnsafeBytes(body)
        case .trendingItems: return snapshot.trending.ids.withUnsafeBytes(body)
        case .trendingWeights: return snapshot.trending.weights.withUnsafeBytes(body)
        }
    }
}

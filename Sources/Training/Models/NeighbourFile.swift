import RecommendationCore
import RecommendationEngine

/// Neighbour lists of a file, an edge a line: `item<TAB>neighbour<TAB>weight`, or `{"item":…,"neighbour":…,"weight":…}`.
enum NeighbourFile {
    static let fields = ["item", "neighbour", "weight"]
    static let weights: ClosedRange<Float> = -1e30...1e30

    /// What the lines came to.
    struct Result {
        var edges = GivenNeighbours()
        var lines = 0
        var rejected = RejectedLines()
        /// Ids that the catalogue does not have, each once.
        var unknown: Set<Item.ID> = []
    }

    static func read(
        _ path: String,
        isJSON: Bool,
        numbers: [Item.ID: Item.Number]
    ) throws(ImportError) -> Result {
        var result = Result()
        var lines = try LineReader(path: path)
        var document = Document(Self.fields)
        var seen: Set<UInt64> = []
        while let line = try lines.next() {
            guard !line.isEmpty else { continue }
            result.lines += 1
            do throws(Rejection) {
                let (item, neighbour, weight) =
                    try isJSON ? Self.object(line, in: &document) : Self.columns(line)
                guard weight != 0 else { throw .outOfRange(column: "weight") }
                guard let row = numbers[item] else {
                    result.unknown.insert(item)
                    throw .unknownItem
                }
                guard let column = numbers[neighbour] else {
                    result.unknown.insert(neighbour)
                    throw .unknownItem
                }
                guard row != column else { throw .selfNeighbour }
                guard seen.insert(UInt64(row) << 32 | UInt64(column)).inserted else { throw .duplicateNeighbour }
                result.edges.append(item: row, neighbour: column, weight: weight)
            } catch {
                result.rejected.add(RejectedLine(file: path, line: lines.line, reason: error))
            }
        }
        return result
    }

    private static func columns(_ line: ArraySlice<UInt8>) throws(Rejection) -> (Item.ID, Item.ID, Float) {
        let columns = line.split(separator: 0x09, omittingEmptySubsequences: false)
        guard columns.count >= 3 else { throw .missingColumn(expected: 3, found: columns.count) }
        guard columns.count == 3 else { throw .tooManyColumns(expected: 3) }
        return (
            try Field.id(columns[0], "item"), try Field.id(columns[1], "neighbour"),
            try Field.number(columns[2], "weight", in: Self.weights)
        )
    }

    private static func object(
        _ line: ArraySlice<UInt8>,
        in document: inout Document
    ) throws(Rejection) -> (Item.ID, Item.ID, Float) {
        document.clear()
        try JSONLine.read(line, into: &document)
        guard let weight: Float = try document.number(2, in: Self.weights) else { throw .missingField("weight") }
        return (try document.identifier(0), try document.identifier(1), weight)
    }
}

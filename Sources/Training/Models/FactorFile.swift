import RecommendationCore
import RecommendationEngine

/// Factors of items: a matrix, and beside it a file with the item of each row.
enum FactorFile {
    struct Result {
        var matrix: FactorMatrix
        var rows = 0
        /// Of the file with the ids, by line: the row of the same number has no other name.
        var rejected = RejectedLines()
        /// Ids that the catalogue does not have.
        var unknown = 0
    }

    static func read(
        _ path: String,
        ids: String,
        numbers: [Item.ID: Item.Number]
    ) throws(ModelImportError) -> Result {
        let file = try NumpyFile(path: path)
        let items: [(line: Int, item: Swift.Result<Item.ID, Rejection>)]
        do throws(ImportError) {
            items = try Self.items(ids)
        } catch {
            throw .file(error)
        }
        guard items.count == file.rows else { throw .idCount(path: ids, ids: items.count, rows: file.rows) }
        var result = Result(matrix: FactorMatrix(width: file.columns))
        result.rows = file.rows
        var seen: Set<Item.Number> = []
        for (row, (line, item)) in items.enumerated() {
            do throws(Rejection) {
                guard let number = numbers[try item.get()] else {
                    result.unknown += 1
                    throw .unknownItem
                }
                guard seen.insert(number).inserted else { throw .duplicateItem }
                guard let vector = file.row(row) else { throw .badNumber(column: "factor") }
                result.matrix.append(item: number, vector: vector)
            } catch {
                result.rejected.add(RejectedLine(file: ids, line: line, reason: error))
            }
        }
        return result
    }

    /// A line an item; an empty one is one that is missing.
    private static func items(
        _ path: String
    ) throws(ImportError) -> [(line: Int, item: Swift.Result<Item.ID, Rejection>)] {
        var lines = try LineReader(path: path)
        var items: [(line: Int, item: Swift.Result<Item.ID, Rejection>)] = []
        while let line = try lines.next() {
            let item = Swift.Result<Item.ID, Rejection> { () throws(Rejection) in try Field.id(line, "item") }
            items.append((lines.line, item))
        }
        return items
    }
}

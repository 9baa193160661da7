import RecommendationCore

/// A folder with `movies.csv` and `ratings.csv`, as GroupLens publishes them.
///
/// Lines that cannot be used are rejected one by one; empty lines are passed over.
struct MovieLensReader: ImportSource, ~Copyable {
    private static let movieColumns = ["movieId", "title", "genres"]
    private static let ratingColumns = ["userId", "movieId", "rating", "timestamp"]
    private static let ratings: ClosedRange<Float> = -1e6...1e6
    /// Up to 2200-01-01T00:00:00Z.
    private static let seconds: ClosedRange<Int64> = 0...7_258_118_400

    let extent: ImportExtent
    private static let movieFile = "movies.csv"
    private static let ratingFile = "ratings.csv"
    private var movies: LineReader
    private var ratings: LineReader
    private var record = CSVRecord()
    private var seen: Set<Item.ID> = []
    private var hasItems = true
    private var hasInteractions = true

    /// Opens both files and checks their headers, so that nothing is stored of a folder that is not one of MovieLens.
    init(folder: String) throws(ImportError) {
        var movies = try LineReader(path: "\(folder)/\(Self.movieFile)")
        var ratings = try LineReader(path: "\(folder)/\(Self.ratingFile)")
        try Self.checkHeader(of: &movies, columns: Self.movieColumns)
        try Self.checkHeader(of: &ratings, columns: Self.ratingColumns)
        self.extent = .bytes(movies.size + ratings.size)
        self.movies = movies
        self.ratings = ratings
    }

    private static func checkHeader(of reader: inout LineReader, columns: [String]) throws(ImportError) {
        let line = try reader.next() ?? []
        var record = CSVRecord()
        let isRecord: Bool
        do throws(Rejection) {
            try record.parse(line, columns: columns.count)
            isRecord = true
        } catch {
            isRecord = false
        }
        guard isRecord, zip(record.fields, columns).allSatisfy({ $0.elementsEqual($1.utf8) }) else {
            throw .badHeader(
                path: reader.path,
                expected: columns.joined(separator: ","),
                found: String(decoding: line.prefix(80), as: UTF8.self)
            )
        }
    }

    mutating func next(limit: Int) throws(ImportError) -> ImportPart? {
        if self.hasItems {
            let batch = try self.nextItems(limit: ImportPart.documents)
            self.hasItems = !batch.isLast
            return .items(batch)
        }
        guard self.hasInteractions else { return nil }
        let batch = try self.nextInteractions(limit: limit)
        self.hasInteractions = !batch.isLast
        return .interactions(batch)
    }

    mutating func nextItems(limit: Int) throws(ImportError) -> ImportBatch<ImportedItem> {
        var batch = ImportBatch<ImportedItem>(file: Self.movieFile)
        var count = 0
        while count < limit {
            guard let line = try self.movies.next() else {
                batch.isLast = true
                self.seen = []
                break
            }
            guard !line.isEmpty else { continue }
            count += 1
            do throws(Rejection) {
                batch.rows.append(ImportedItem(try self.item(line)))
            } catch {
                batch.rejected.add(RejectedLine(file: Self.movieFile, line: self.movies.line, reason: error))
            }
        }
        batch.bytes = self.movies.offset + self.ratings.offset
        return batch
    }

    mutating func nextInteractions(limit: Int) throws(ImportError) -> ImportBatch<ImportedInteraction> {
        var batch = ImportBatch<ImportedInteraction>(file: Self.ratingFile)
        batch.rows.reserveCapacity(limit)
        var count = 0
        while count < limit {
            guard let line = try self.ratings.next() else {
                batch.isLast = true
                break
            }
            guard !line.isEmpty else { continue }
            count += 1
            do throws(Rejection) {
                batch.rows.append(try self.interaction(line))
            } catch {
                batch.rejected.add(RejectedLine(file: Self.ratingFile, line: self.ratings.line, reason: error))
            }
        }
        batch.bytes = self.movies.offset + self.ratings.offset
        return batch
    }

    private mutating func item(_ line: ArraySlice<UInt8>) throws(Rejection) -> Item {
        defer { self.record.clear() }
        try self.record.parse(line, columns: Self.movieColumns.count)
        let fields = self.record.fields
        let id: Item.ID = try Field.id(fields[0], "movieId")
        let title = try Field.text(fields[1], "title")
        let genres = try Field.text(fields[2], "genres")
        guard self.seen.insert(id).inserted else { throw .duplicateItem }
        var categories: [String] = []
        if genres != "(no genres listed)" {
            for genre in genres.split(separator: "|").map(String.init) where !categories.contains(genre) {
                categories.append(genre)
            }
        }
        return Item(id: id, title: title, categories: categories)
    }

    private mutating func interaction(_ line: ArraySlice<UInt8>) throws(Rejection) -> ImportedInteraction {
        defer { self.record.clear() }
        try self.record.parse(line, columns: Self.ratingColumns.count)
        let fields = self.record.fields
        let seconds = try Field.integer(fields[3], "timestamp")
        guard Self.seconds.contains(seconds) else { throw .outOfRange(column: "timestamp") }
        return ImportedInteraction(
            line: self.ratings.line,
            user: try Field.id(fields[0], "userId"),
            item: try Field.id(fields[1], "movieId"),
            type: .rating,
            value: try Field.number(fields[2], "rating", in: Self.ratings),
            occurredAt: Timestamp(seconds: seconds)
        )
    }
}

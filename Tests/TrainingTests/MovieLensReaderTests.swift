import RecommendationCore
import Testing

@testable import Training

@Suite("MovieLensReader")
struct MovieLensReaderTests {
    private func items(_ lines: [String]) throws -> ImportBatch<ImportedItem> {
        let folder = try TemporaryFolder(movies: lines, ratings: [])
        var reader = try MovieLensReader(folder: folder.path)
        return try reader.nextItems(limit: 1_000)
    }

    private func interactions(_ lines: [String]) throws -> ImportBatch<ImportedInteraction> {
        let folder = try TemporaryFolder(movies: [], ratings: lines)
        var reader = try MovieLensReader(folder: folder.path)
        return try reader.nextInteractions(limit: 1_000)
    }

    @Test("movies become items with their genres as categories")
    func movies() throws {
        let batch = try self.items([
            #"1,Toy Story (1995),Adventure|Animation"#,
            #"11,"American President, The ""Uncut"" (1995)",Drama"#,
            #"12,Ghost,(no genres listed)"#,
            #"13,Odd,|Drama||Drama|War"#,
        ])
        #expect(
            batch.rows.map(\.item) == [
                Item(id: Item.ID(trusted: "1"), title: "Toy Story (1995)", categories: ["Adventure", "Animation"]),
                Item(
                    id: Item.ID(trusted: "11"),
                    title: #"American President, The "Uncut" (1995)"#,
                    categories: ["Drama"]
                ),
                Item(id: Item.ID(trusted: "12"), title: "Ghost"),
                Item(id: Item.ID(trusted: "13"), title: "Odd", categories: ["Drama", "War"]),
            ]
        )
        #expect(batch.rejected.count == 0)
        #expect(batch.isLast)
    }

    @Test("ratings become interactions that know their line")
    func ratings() throws {
        let batch = try self.interactions(["1,31,2.5,964982703", "", "2,31,-5e-1,0"])
        #expect(
            batch.rows == [
                ImportedInteraction(
                    line: 2,
                    user: User.ID(trusted: "1"),
                    item: Item.ID(trusted: "31"),
                    type: .rating,
                    value: 2.5,
                    occurredAt: Timestamp(seconds: 964_982_703)
                ),
                ImportedInteraction(
                    line: 4,
                    user: User.ID(trusted: "2"),
                    item: Item.ID(trusted: "31"),
                    type: .rating,
                    value: -0.5,
                    occurredAt: Timestamp(seconds: 0)
                ),
            ]
        )
    }

    private static let badLines: [(line: String, reason: Rejection)] = [
        ("1,1,4.0", .missingColumn(expected: 4, found: 3)),
        ("1,1,4.0,1,2", .tooManyColumns(expected: 4)),
        (",1,4.0,1", .invalidID(column: "userId", .empty)),
        ("1,,4.0,1", .invalidID(column: "movieId", .empty)),
        ("\(String(repeating: "x", count: 129)),1,4.0,1", .invalidID(column: "userId", .tooLong(129))),
        ("1,a\tb,4.0,1", .invalidID(column: "movieId", .controlCharacter)),
        ("1,\u{85},4.0,1", .invalidID(column: "movieId", .controlCharacter)),
        ("1,1,,1", .badNumber(column: "rating")),
        ("1,1,good,1", .badNumber(column: "rating")),
        ("1,1,nan,1", .badNumber(column: "rating")),
        ("1,1,inf,1", .badNumber(column: "rating")),
        ("1,1,0x10,1", .badNumber(column: "rating")),
        ("1,1, 4,1", .badNumber(column: "rating")),
        ("1,1,1e999,1", .outOfRange(column: "rating")),
        ("1,1,1000001,1", .outOfRange(column: "rating")),
        ("1,1,-1000001,1", .outOfRange(column: "rating")),
        ("1,1,4.0,", .badNumber(column: "timestamp")),
        ("1,1,4.0,-", .badNumber(column: "timestamp")),
        ("1,1,4.0,1.5", .badNumber(column: "timestamp")),
        ("1,1,4.0,-1", .outOfRange(column: "timestamp")),
        ("1,1,4.0,7258118401", .outOfRange(column: "timestamp")),
        ("1,1,4.0,9223372036854775807", .outOfRange(column: "timestamp")),
        ("1,1,4.0,99999999999999999999", .outOfRange(column: "timestamp")),
        (#"1,"1,4.0,1"#, .badQuoting),
    ]

    @Test("a bad line is rejected with its reason and the lines around it are read", arguments: Self.badLines)
    func hostile(line: String, reason: Rejection) throws {
        let batch = try self.interactions(["1,1,4.0,1", line, "1,1,4.0,7258118400"])
        #expect(batch.rows.map(\.line) == [2, 4])
        #expect(batch.rejected.first == [RejectedLine(file: "ratings.csv", line: 3, reason: reason)])
    }

    @Test("bytes that are no text are rejected")
    func notText() throws {
        let folder = try TemporaryFolder()
        try folder.write(
            "movies.csv",
            Array("movieId,title,genres\n".utf8) + [0x31, 0x2C, 0xFF, 0x2C, 0x0A, 0x32, 0x2C, 0x00, 0x2C, 0x0A]
        )
        try folder.write(
            "ratings.csv",
            Array("userId,movieId,rating,timestamp\n".utf8) + [0xC3, 0x28] + Array(",1,4.0,1\n".utf8)
        )
        var reader = try MovieLensReader(folder: folder.path)
        #expect(
            try reader.nextItems(limit: 10).rejected.first.map(\.reason)
                == [.invalidText(column: "title"), .invalidText(column: "title")]
        )
        #expect(
            try reader.nextInteractions(limit: 10).rejected.first.map(\.reason) == [.invalidText(column: "userId")]
        )
    }

    @Test("a line cut off at the end of the file is rejected")
    func truncated() throws {
        let folder = try TemporaryFolder(movies: [], ratings: [])
        try folder.write("ratings.csv", Array("\u{FEFF}userId,movieId,rating,timestamp\r\n1,1,4.0,5\r\n1,2,3".utf8))
        var reader = try MovieLensReader(folder: folder.path)
        let batch = try reader.nextInteractions(limit: 10)
        #expect(batch.rows.count == 1)
        #expect(
            batch.rejected.first
                == [RejectedLine(file: "ratings.csv", line: 3, reason: .missingColumn(expected: 4, found: 3))]
        )
    }

    @Test("ids that only look the same are two items")
    func canonicalEquivalents() throws {
        let batch = try self.items(["caf\u{E9},Composed,Drama", "cafe\u{301},Decomposed,Drama"])
        #expect(batch.rows.count == 2)
        #expect(batch.rejected.count == 0)
    }

    @Test("of an item that is named twice the first line counts")
    func duplicateItem() throws {
        let batch = try self.items(["1,First,Drama", "1,Second,War"])
        #expect(batch.rows.map(\.item.title) == ["First"])
        #expect(batch.rejected.first == [RejectedLine(file: "movies.csv", line: 3, reason: .duplicateItem)])
    }

    @Test("a batch ends at its limit, rejected lines counted")
    func limit() throws {
        let folder = try TemporaryFolder(movies: [], ratings: ["1,1,1,1", "bad", "1,2,1,1"])
        var reader = try MovieLensReader(folder: folder.path)
        let first = try reader.nextInteractions(limit: 2)
        #expect(first.rows.count == 1)
        #expect(first.rejected.count == 1)
        #expect(!first.isLast)
        let second = try reader.nextInteractions(limit: 2)
        #expect(second.rows.map(\.line) == [4])
        #expect(second.isLast)
        #expect(reader.extent == .bytes(second.bytes))
    }

    @Test(
        "another header is refused",
        arguments: ["", "userId,movieId,rating", "userId,movieId,rating,timestamp,tag", "user,item,rating,timestamp"]
    )
    func badHeader(header: String) throws {
        let folder = try TemporaryFolder(movies: [], ratings: [])
        let path = try folder.write("ratings.csv", Array("\(header)\n1,1,1,1\n".utf8))
        #expect(
            throws: ImportError.badHeader(path: path, expected: "userId,movieId,rating,timestamp", found: header)
        ) {
            _ = try MovieLensReader(folder: folder.path).extent
        }
    }
}

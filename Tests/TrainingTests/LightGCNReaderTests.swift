import RecommendationCore
import Testing

@testable import Training

@Suite("LightGCNReader")
struct LightGCNReaderTests {
    private func parts(_ text: String, limit: Int = 1_000) throws -> [ImportBatch<ImportedInteraction>] {
        let folder = try TemporaryFolder()
        try folder.write("train.txt", Array(text.utf8))
        var reader = try LightGCNReader(folder: folder.path)
        var batches: [ImportBatch<ImportedInteraction>] = []
        while case .interactions(let batch)? = try reader.next(limit: limit) { batches.append(batch) }
        return batches
    }

    @Test("a line is a user with items, whose places are their seconds; items are named once")
    func lines() throws {
        let batch = try self.parts("0 7 007 a|b\n\n1  7\t9 \r\n2\n3 7")[0]
        #expect(batch.rows.map(\.item.string) == ["7", "007", "a|b", "7", "9", "7"])
        #expect(batch.rows.map(\.user.string) == ["0", "0", "0", "1", "1", "3"])
        #expect(batch.rows.map(\.line) == [1, 1, 1, 3, 3, 5])
        let seconds = batch.rows.map { ($0.occurredAt.microseconds - 1_577_836_800_000_000) / 1_000_000 }
        #expect(seconds == [0, 1, 2, 0, 1, 0])
        #expect(batch.rows.allSatisfy { $0.type == .click && $0.value == 1 && $0.eventID == nil })
        #expect(batch.newItems.map(\.title) == ["7", "007", "a|b", "9"])
        #expect(batch.isLast)
    }

    @Test("a line longer than a part is gone on with")
    func longLines() throws {
        let parts = try self.parts("u 0 1 2 3 4 5 6\nv 0 8", limit: 3)
        #expect(parts.map { $0.rows.map(\.item.string) } == [["0", "1", "2"], ["3", "4", "5"], ["6", "0", "8"], []])
        #expect(parts.map { $0.newItems.count } == [3, 3, 2, 0])
    }

    @Test("ids that cannot be are rejected: an item alone, a user with the line")
    func badIDs() throws {
        let long = String(repeating: "x", count: 129)
        let batch = try self.parts("u a \(long) b\n\(long) a b\nv a\u{1}")[0]
        #expect(batch.rows.map(\.item.string) == ["a", "b"])
        #expect(batch.rejected.first.map(\.line) == [1, 2, 3])
        #expect(batch.rejected.reasons == ["invalid_id": 3])
    }

    @Test("an empty file and a missing one are errors")
    func files() throws {
        #expect(throws: ImportError.self) { try self.parts("") }
        let folder = try TemporaryFolder()
        #expect(throws: ImportError.self) { _ = try LightGCNReader(folder: folder.path) }
    }
}

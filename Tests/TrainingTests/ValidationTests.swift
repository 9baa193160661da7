import Logging
import RecommendationCore
import Testing

@testable import Training

@Suite("validation")
struct ValidationTests {
    private func validate(_ input: ImportInput, _ repository: InMemoryImportRepository) async throws -> ValidationReport
    {
        let log = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
        return try await ImportService(repository: repository, log: log)
            .validate(input, tenant: .default) { _ in }
    }

    private static func event(_ id: String?, item: String = "i1", type: String = "view", second: Int) -> String {
        let name = id.map { "\"event_id\":\"\($0)\"," } ?? ""
        return """
            {\(name)"user_id":"u","item_id":"\(item)","type":"\(type)","occurred_at":"2026-01-01T00:00:0\(second)Z"}
            """
    }

    @Test("everything that is wrong is counted by kind, with lines, and nothing is stored")
    func counts() async throws {
        let repository = InMemoryImportRepository()
        _ = try await repository.store(items: [Item(id: Item.ID(trusted: "i1"), title: "T")], tenant: .default)
        let folder = try TemporaryFolder()
        let lines = [
            Self.event("a", second: 1), Self.event("b", second: 3), Self.event("a", second: 4),
            Self.event(nil, second: 2), Self.event(nil, second: 2), Self.event("c", item: "none", second: 5),
            Self.event("d", type: "seen", second: 5), "{", Self.event("e", second: 1),
        ]
        let path = try folder.write("events", TemporaryFolder.lines(lines))
        let calls = repository.calls
        let report = try await self.validate(ImportInput(path: path, format: .ndjson, kind: .feedback), repository)
        #expect(report.rows == 9 && report.interactions == 9)
        #expect(report.rejected.count == 5)
        #expect(report.unknownItems == 1 && report.unknownTypes == 1 && report.duplicates == 2 && report.badFields == 1)
        #expect(report.rejected.first.map(\.line) == [3, 5, 6, 7, 8])
        #expect(report.outOfOrder == 2)
        #expect(report.firstOutOfOrder == ValidationReport.RejectedPlace(file: "events", line: 4))
        #expect(!report.isClean)
        #expect(repository.calls == calls)
    }

    @Test("items that the files bring themselves are known")
    func ownItems() async throws {
        let folder = try TemporaryFolder(movies: ["1,One,Drama"], ratings: ["a,1,4,10", "a,1,4,11"])
        let report = try await self.validate(
            ImportInput(path: folder.path, format: .movieLens),
            InMemoryImportRepository()
        )
        #expect(report.isClean && report.items == 1 && report.interactions == 2 && report.outOfOrder == 0)
        try folder.write("train.txt", Array("0 1 2\n".utf8))
        let other = try await self.validate(
            ImportInput(path: folder.path, format: .lightGCN),
            InMemoryImportRepository()
        )
        #expect(other.isClean && other.interactions == 2)
    }
}

import Logging
import RecommendationCore
import Synchronization
import Testing

@testable import Training

@Suite("imports by several transactions at once")
struct ImportLaneTests {
    private static let isInteractions: @Sendable (InMemoryImportRepository.Call) -> Bool = {
        if case .interactions = $0 { true } else { false }
    }

    /// Rows of each call that stored interactions.
    private static func sizes(_ repository: InMemoryImportRepository) -> [Int] {
        repository.calls.compactMap { if case .interactions(let count) = $0 { count } else { nil } }
    }

    private func service(_ repository: InMemoryImportRepository) -> ImportService {
        ImportService(
            repository: repository,
            log: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }),
            sleep: { _ in }
        )
    }

    private func run(
        _ repository: InMemoryImportRepository,
        _ folder: TemporaryFolder
    ) async throws(ImportError) -> ImportReport {
        let input = ImportInput(path: folder.path, format: .movieLens)
        return try await self.service(repository).run(input, tenant: .default) { _ in }
    }

    /// Ratings of as many users; that of every hundredth line is of an item which is not there.
    private func folder(rows: Int, users: Int = 40) throws -> TemporaryFolder {
        try TemporaryFolder(
            movies: ["1,One,Drama"],
            ratings: (0..<rows).map { "u\($0 % users),\($0 % 100 == 99 ? 9 : 1),4,\($0)" }
        )
    }

    private func row(_ line: Int, _ user: String) -> ImportedInteraction {
        ImportedInteraction(
            line: line,
            user: User.ID(trusted: user),
            item: Item.ID(trusted: "i"),
            type: .click,
            value: 1,
            occurredAt: Timestamp(seconds: Int64(line))
        )
    }

    @Test("each user's rows are in one lane, in their order, and none is lost", arguments: [2, 3])
    func sharesByUser(count: Int) {
        let rows = (0..<6_000).map { self.row($0, "user \($0 % 97)") }
        let lanes = RepositoryAttempts.lanes(of: rows, count: count)
        #expect(lanes.count == count)
        #expect(lanes.reduce(0) { $0 + $1.count } == rows.count)
        let users = lanes.map { Set($0.map(\.user)) }
        #expect(users.reduce(0) { $0 + $1.count } == 97)
        for lane in lanes {
            #expect(zip(lane, lane.dropFirst()).allSatisfy { $0.line < $1.line })
            #expect(lane.count > rows.count / count / 2)
        }
    }

    @Test("few rows, and those of one user, go by one transaction")
    func oneLane() {
        let few = (0..<1_999).map { self.row($0, "user \($0)") }
        #expect(RepositoryAttempts.lanes(of: few, count: 2).map(\.count) == [1_999])
        let own = (0..<5_000).map { self.row($0, "user") }
        #expect(RepositoryAttempts.lanes(of: own, count: 2).map(\.count) == [5_000])
    }

    @Test("what several lanes store is what one does")
    func sameAsOne() async throws {
        let folder = try self.folder(rows: 12_000)
        let one = InMemoryImportRepository()
        let two = InMemoryImportRepository(lanes: 2)
        var expected = try await self.run(one, folder)
        var report = try await self.run(two, folder)
        (expected.duration, report.duration) = (.zero, .zero)
        #expect(report == expected)
        #expect(report.rejected.count == 120)
        #expect(report.rejected.first.map(\.line) == (1...100).map { $0 * 100 + 1 })
        #expect(two.versions == one.versions)
        #expect(two.interactionCount == one.interactionCount)
        // The first chunk, whose size no time has changed yet, is of both lanes.
        let whole = try #require(Self.sizes(one).first)
        let lanes = Self.sizes(two).prefix(2)
        #expect(lanes.reduce(0, +) == whole && lanes.allSatisfy { $0 > whole / 4 }, "\(lanes) of \(whole)")
    }

    @Test("where one lane fails for good, what the other one stored counts, and the generation is raised")
    func oneFails() async throws {
        let repository = InMemoryImportRepository(
            lanes: 2,
            faults: [.init(error: .failed("22021"))],
            isVulnerable: Self.isInteractions
        )
        let error = await #expect(throws: ImportError.self) { try await self.run(repository, self.folder(rows: 4_000)) }
        guard case .repository(.failed("22021"), let reached) = error else {
            Issue.record("unexpected \(String(describing: error))")
            return
        }
        #expect(reached.interactions == repository.interactionCount)
        #expect((1..<3_960).contains(reached.interactions))
        #expect(reached.generation == .raised)
    }

    @Test("a lane that fails for a while is tried again by itself")
    func retries() async throws {
        let repository = InMemoryImportRepository(
            lanes: 2,
            faults: [.init(error: .unavailable("away")), .init(error: .outcomeUnknown, isStored: true)],
            isVulnerable: Self.isInteractions
        )
        let report = try await self.run(repository, self.folder(rows: 4_000))
        #expect(repository.interactionCount == 3_960)
        #expect(report.interactionsStored + report.interactionsUnchanged == 3_960)
        #expect(repository.calls.filter(Self.isInteractions).count == 4)
        #expect(report.generation == 1)
    }

    // MARK: Statistics

    @Test("the planner's statistics are brought up to date for what was filled, before the generation is raised")
    func statistics() async throws {
        let repository = InMemoryImportRepository()
        let folder = try self.folder(rows: 200)
        _ = try await self.run(repository, folder)
        #expect(repository.analyzed == [[.items, .interactions]])
        // A rerun changes nothing.
        _ = try await self.run(repository, folder)
        #expect(repository.analyzed.count == 1)
        try folder.write("movies.csv", Array("movieId,title,genres\n1,Uno,Drama\n".utf8))
        _ = try await self.run(repository, folder)
        #expect(repository.analyzed == [[.items, .interactions], [.items]])
    }

    @Test("statistics that cannot be gathered do not fail an import")
    func statisticsFail() async throws {
        let repository = InMemoryImportRepository(analysisError: .unavailable("away"))
        let report = try await self.run(repository, self.folder(rows: 200))
        #expect(report.interactionsStored == 198)
        #expect(report.generation == 1)
    }
}

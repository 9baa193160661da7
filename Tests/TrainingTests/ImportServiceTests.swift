import Logging
import RecommendationCore
import Synchronization
import Testing

@testable import Training

@Suite("ImportService")
struct ImportServiceTests {
    /// A clock that stands still, and sleeps by advancing it.
    private final class StoppedClock: Sendable {
        private let state = Mutex((now: ContinuousClock.now, pauses: [Duration]()))

        var now: ContinuousClock.Instant { self.state.withLock { $0.now } }
        var pauses: [Duration] { self.state.withLock { $0.pauses } }

        func advance(by duration: Duration) { self.state.withLock { $0.now = $0.now.advanced(by: duration) } }

        func sleep(_ duration: Duration) {
            self.advance(by: duration)
            self.state.withLock { $0.pauses.append(duration) }
        }
    }

    private let clock = StoppedClock()

    private func service(_ repository: InMemoryImportRepository) -> ImportService {
        let clock = self.clock
        return ImportService(
            repository: repository,
            log: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }),
            now: { clock.now },
            sleep: { clock.sleep($0) }
        )
    }

    @discardableResult
    private func run(_ repository: InMemoryImportRepository, _ folder: TemporaryFolder) async throws -> ImportReport {
        try await self.service(repository).run(
            ImportInput(path: folder.path, format: .movieLens),
            tenant: .default
        ) { _ in }
    }

    /// The error of an import that is expected to stop.
    private func error(
        _ repository: InMemoryImportRepository,
        _ folder: TemporaryFolder
    ) async throws -> ImportError? {
        do throws(ImportError) {
            _ = try await self.service(repository).run(
                ImportInput(path: folder.path, format: .movieLens),
                tenant: .default
            ) { _ in }
            return nil
        } catch {
            return error
        }
    }

    private func smallFolder() throws -> TemporaryFolder {
        try TemporaryFolder(
            movies: ["1,One,Drama", "2,Two,War"],
            ratings: ["a,1,4,10", "a,2,3,20", "b,1,5,30", "b,9,5,40", "bad"]
        )
    }

    /// Interactions for several chunks, of ten users.
    private func largeFolder(rows: Int) throws -> TemporaryFolder {
        try TemporaryFolder(movies: ["1,One,Drama"], ratings: (0..<rows).map { "u\($0 % 10),1,4,\($0)" })
    }

    private static let isInteractions: @Sendable (InMemoryImportRepository.Call) -> Bool = {
        if case .interactions = $0 { true } else { false }
    }

    @Test("a folder is stored and reported")
    func stores() async throws {
        let repository = InMemoryImportRepository()
        let report = try await self.run(repository, self.smallFolder())
        #expect(report.itemsNew == 2)
        #expect(report.interactionsStored == 3)
        #expect(report.usersRaised == 2)
        #expect(report.generation == 1)
        #expect(
            report.rejected.first == [
                RejectedLine(file: "ratings.csv", line: 5, reason: .unknownItem),
                RejectedLine(file: "ratings.csv", line: 6, reason: .missingColumn(expected: 4, found: 1)),
            ]
        )
        #expect(report.rejected.first.first?.description == "ratings.csv:5: unknown item")
        #expect(repository.calls == [.ensureTenant, .items(2), .interactions(4), .finish])
    }

    @Test("a rerun changes nothing and does not raise the generation")
    func rerun() async throws {
        let repository = InMemoryImportRepository()
        let folder = try self.smallFolder()
        try await self.run(repository, folder)
        let versions = repository.versions
        let report = try await self.run(repository, folder)
        #expect(report.itemsUnchanged == 2)
        #expect(report.itemsNew + report.itemsChanged + report.interactionsStored == 0)
        #expect(report.interactionsUnchanged == 3)
        #expect(report.rejected.count == 2)
        #expect(!report.generationRaised)
        #expect(repository.finishes == 1)
        #expect(repository.versions == versions)
    }

    @Test("a changed title alone raises the generation")
    func changedItem() async throws {
        let repository = InMemoryImportRepository()
        let folder = try self.smallFolder()
        try await self.run(repository, folder)
        try folder.write("movies.csv", Array("movieId,title,genres\n1,Uno,Drama\n2,Two,War\n".utf8))
        let report = try await self.run(repository, folder)
        #expect(report.itemsChanged == 1)
        #expect(report.generation == 2)
    }

    @Test("each user's version is raised once, over all chunks")
    func raisedOnce() async throws {
        let repository = InMemoryImportRepository()
        let report = try await self.run(repository, self.largeFolder(rows: 12_000))
        #expect(repository.calls.filter(Self.isInteractions).count > 1)
        #expect(repository.versions.count == 10)
        #expect(repository.versions.values.allSatisfy { $0 == 1 })
        #expect(report.usersRaised == 10)
    }

    @Test("chunks grow and shrink with the time the store takes")
    func adapts() async throws {
        let clock = self.clock
        let rate = Mutex(40_000.0)
        let repository = InMemoryImportRepository(onCall: { call in
            guard case .interactions(let rows) = call else { return }
            clock.advance(by: .seconds(Double(rows) / rate.withLock { $0 }))
            // After the first large chunk the store becomes slow.
            if rows == 20_000 { rate.withLock { $0 = 4_000 } }
        })
        try await self.run(repository, self.largeFolder(rows: 100_000))
        let sizes = repository.calls.compactMap { if case .interactions(let rows) = $0 { rows } else { nil } }
        // The next chunk is read while one is stored, so it grows one later; what was read too much is stored in pieces.
        #expect(Array(sizes.prefix(8)) == [5_000, 5_000, 10_000, 10_000, 20_000, 20_000, 2_000, 2_000])
        #expect(sizes.reduce(0, +) == 100_000)
    }

    @Test("a store that is away for a moment is asked again with the same chunk, ever later")
    func retries() async throws {
        let fault = InMemoryImportRepository.Fault(error: .unavailable("away"))
        let repository = InMemoryImportRepository(faults: [fault, fault, fault], isVulnerable: Self.isInteractions)
        let report = try await self.run(repository, self.smallFolder())
        #expect(repository.calls.filter(Self.isInteractions) == Array(repeating: .interactions(4), count: 4))
        #expect(report.interactionsStored == 3)
        #expect(self.clock.pauses == [.milliseconds(200), .milliseconds(400), .milliseconds(800)])
    }

    @Test("waiting for the store does not count as the time of a chunk")
    func pausesAreNotPaced() async throws {
        let fault = InMemoryImportRepository.Fault(error: .unavailable("away"))
        let repository = InMemoryImportRepository(faults: [fault, fault, fault], isVulnerable: Self.isInteractions)
        try await self.run(repository, self.largeFolder(rows: 20_000))
        #expect(repository.calls.last(where: Self.isInteractions) == .interactions(10_000))
    }

    @Test("a store that stays away ends the import, which says how far it got")
    func givesUp() async throws {
        let faults = Array(repeating: InMemoryImportRepository.Fault(error: .unavailable("away")), count: 5)
        let repository = InMemoryImportRepository(faults: faults, isVulnerable: { $0 == .interactions(10_000) })
        let error = try await self.error(repository, self.largeFolder(rows: 20_000))
        let reached = ImportPosition(items: 1, interactions: 10_000, generation: .raised)
        #expect(error == .repository(.unavailable("away"), reached: reached))
        #expect(
            error?.description
                == "the store cannot be used (away), after 1 items and 10000 interactions; run it again to go on"
        )
        #expect(repository.finishes == 1)
        #expect(repository.versions.count == 10)
    }

    @Test("an error that waiting does not mend is not tried again")
    func permanentFailure() async throws {
        let repository = InMemoryImportRepository(faults: [.init(error: .failed("22021"))])
        let error = try await self.error(repository, self.smallFolder())
        #expect(error == .repository(.failed("22021"), reached: ImportPosition()))
        #expect(repository.calls == [.ensureTenant])
        #expect(self.clock.pauses.isEmpty)
    }

    @Test("a commit of unknown outcome counts as a change")
    func unknownOutcome() async throws {
        let folder = try TemporaryFolder(movies: ["1,One,Drama"], ratings: [])
        let repository = InMemoryImportRepository(
            faults: [.init(error: .outcomeUnknown, isStored: true)],
            isVulnerable: { $0 == .items(1) }
        )
        let report = try await self.run(repository, folder)
        #expect(report.itemsNew == 0)
        #expect(report.itemsUnchanged == 1)
        #expect(report.generation == 1)
    }

    @Test("where the generation cannot be raised, the error says so")
    func generationDue() async throws {
        let faults = Array(repeating: InMemoryImportRepository.Fault(error: .unavailable("away")), count: 5)
        let repository = InMemoryImportRepository(faults: faults, isVulnerable: { $0 == .finish })
        let error = try await self.error(repository, self.smallFolder())
        let reached = ImportPosition(items: 2, interactions: 3, generation: .due)
        #expect(error == .repository(.unavailable("away"), reached: reached))
        #expect(error?.description.hasSuffix("results computed before are still served") == true)
    }

    @Test("a cancelled import stops after its chunk and raises the generation for what it stored")
    func cancelled() async throws {
        let folder = try self.largeFolder(rows: 20_000)
        let importing = Mutex<Task<ImportError?, any Error>?>(nil)
        let repository = InMemoryImportRepository(onCall: { call in
            if Self.isInteractions(call) { importing.withLock { $0?.cancel() } }
        })
        let task = importing.withLock { importing in
            let task = Task { try await self.error(repository, folder) }
            importing = task
            return task
        }
        let error = try await task.value
        #expect(error == .cancelled(reached: ImportPosition(items: 1, interactions: 5_000, generation: .raised)))
        #expect(repository.calls.filter(Self.isInteractions).count == 1)
        #expect(repository.finishes == 1)
    }

    @Test("a folder that cannot be read leaves the store alone")
    func badFolder() async throws {
        let repository = InMemoryImportRepository()
        let folder = try self.smallFolder()
        try folder.write("ratings.csv", Array("a,b\n".utf8))
        let error = try await self.error(repository, folder)
        guard case .badHeader = error else {
            Issue.record("unexpected \(String(describing: error))")
            return
        }
        #expect(repository.calls.isEmpty)
    }

    @Test("the first hundred rejected lines are kept in order, the others counted")
    func manyRejected() async throws {
        let ratings = (0..<300).map { $0.isMultiple(of: 2) ? "bad" : "a,9,1,1" }
        let folder = try TemporaryFolder(movies: ["1,One,Drama"], ratings: ratings)
        let report = try await self.run(InMemoryImportRepository(), folder)
        #expect(report.rejected.count == 300)
        #expect(report.rejected.first.map(\.line) == Array(2...101))
    }

    @Test("progress tells rows, bytes, speed and what is left")
    func progress() async throws {
        let clock = self.clock
        let repository = InMemoryImportRepository(onCall: { call in
            if Self.isInteractions(call) { clock.advance(by: .seconds(1)) }
        })
        let folder = try self.largeFolder(rows: 10_000)
        var seen: [ImportProgress] = []
        _ = try await self.service(repository).run(
            ImportInput(path: folder.path, format: .movieLens),
            tenant: .default
        ) {
            seen.append($0)
        }
        let last = try #require(seen.last)
        #expect(last.rows == 10_001)
        #expect(last.bytes == last.totalBytes)
        #expect(last.fraction == 1)
        #expect(last.remaining == .zero)
        #expect(zip(seen, seen.dropFirst()).allSatisfy { $0.rows <= $1.rows && $0.bytes <= $1.bytes })
        let half = ImportProgress(rows: 500, bytes: 250, totalBytes: 1_000, elapsed: .seconds(2))
        #expect(half.rowsPerSecond == 250)
        #expect(half.remaining == .seconds(6))
        #expect(half.line == "500 rows, 25 %, 250 rows/s, 6 s left")
    }

    @Test("demo data goes the same way")
    func demoData() async throws {
        let repository = InMemoryImportRepository()
        let data = try DemoData(users: 200, items: 6_000, interactions: 8_000, seed: 1)
        let report = try await self.service(repository).run(data, tenant: .default) { _ in }
        #expect(report.itemsNew == 6_000)
        #expect(report.interactionsStored == 8_000)
        #expect(report.rejected.count == 0)
        #expect(repository.calls.prefix(3) == [.ensureTenant, .items(5_000), .items(1_000)])
        let again = try await self.service(repository).run(data, tenant: .default) { _ in }
        #expect(again.interactionsUnchanged == 8_000)
        #expect(repository.finishes == 1)
    }
}

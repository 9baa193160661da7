import Glibc
import Logging
import RecommendationCore
import RecommendationEngine
import Testing

@testable import Serving

@Suite("SnapshotDirectory")
struct SnapshotDirectoryTests {
    private final class Artifacts: ModelArtifactRepository {
        let stored: [Int64: [UInt8]]
        private let count = Counter()

        init(_ stored: [Int64: [UInt8]]) {
            self.stored = stored
        }

        var fetches: Int { self.count.value }

        func seal(of number: ModelVersion.Number) async throws(RepositoryError) -> ModelSeal {
            guard let bytes = self.stored[number] else { throw .conflict("no such model version") }
            return ModelSeal(bytes: Int64(bytes.count), checksum: SnapshotArtifact.checksum(of: bytes))
        }

        func artifact(_ number: ModelVersion.Number) async throws(RepositoryError) -> [UInt8] {
            guard let bytes = self.stored[number] else { throw .conflict("no such model version") }
            self.count.increment()
            return bytes
        }
    }

    private static func artifact(_ seconds: Int64) throws -> [UInt8] {
        var interactions = InteractionColumns()
        for user in UInt32(0)..<9 {
            for item in 0...(user % 4) {
                interactions.append(user: user, item: item, type: EventType.click.code, value: 1, seconds: seconds)
            }
        }
        let input = FitInput(interactions: interactions, itemCount: 5, builtAt: Timestamp(seconds: seconds))
        return SnapshotArtifact(try SnapshotBuilder.fit(input, threads: 1)).encode()
    }

    private let folder: Folder
    private let artifacts: Artifacts

    init() throws {
        self.folder = try Folder()
        self.artifacts = Artifacts([1: try Self.artifact(100), 2: try Self.artifact(200)])
    }

    private func source(_ path: String? = nil) -> CachedSnapshots {
        CachedSnapshots(
            self.artifacts,
            directory: SnapshotDirectory(path: path ?? "\(self.folder.path)/a/models"),
            log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        )
    }

    @Test("a model is fetched once, and then read from its file, by another node too")
    func once() async throws {
        for _ in 0..<3 {
            let (snapshot, bytes) = try await self.source().snapshot(1)
            #expect(snapshot.builtAt == Timestamp(seconds: 100))
            #expect(bytes == self.artifacts.stored[1]?.count)
        }
        #expect(self.artifacts.fetches == 1)
        #expect(try await self.source().snapshot(2).snapshot.builtAt == Timestamp(seconds: 200))
        #expect(self.artifacts.fetches == 2)
        #expect(self.folder.names(in: "a/models").count == 2)
        await #expect(throws: RepositoryError.self) { try await self.source().snapshot(3) }
    }

    @Test("what is damaged, cut short, of a later format, another model's or nothing is fetched anew")
    func refused() async throws {
        let source = self.source()
        _ = try await source.snapshot(1)
        let good = try #require(self.artifacts.stored[1])
        let file = "a/models/" + (try #require(self.folder.names(in: "a/models").first))
        var damaged: [[UInt8]] = [[], [0], Array(good.dropLast()), good + [0], Array(good.prefix(100))]
        damaged.append(try #require(self.artifacts.stored[2]))
        for index in stride(from: 0, to: good.count, by: max(1, good.count / 40)) {
            var bytes = good
            bytes[index] ^= 0x20
            damaged.append(bytes)
        }
        var later = good
        later[8] = 200
        damaged.append(later)
        for (index, bytes) in damaged.enumerated() {
            try self.folder.replace(file, with: bytes)
            #expect(try await source.snapshot(1).snapshot.builtAt == Timestamp(seconds: 100))
            #expect(self.artifacts.fetches == index + 2)
            #expect(self.folder.content(of: file) == good, "it is whole again")
        }
        // A link, a folder: never read through, never the end of it.
        try self.folder.link(file, to: "/etc/passwd")
        #expect(try await source.snapshot(1).snapshot.builtAt == Timestamp(seconds: 100))
    }

    @Test("a folder that cannot be used costs a fetch, and nothing else")
    func unusable() async throws {
        try self.folder.replace("file", with: [1])
        let shared = "\(self.folder.path)/shared"
        #expect(mkdir(shared, 0o700) == 0 && chmod(shared, 0o777) == 0)
        // One that is the caller's own, in one in which anybody may put another in its place.
        let below = "\(shared)/models"
        for path in ["/proc/models", "\(self.folder.path)/file", "\(self.folder.path)/file/models", shared, below] {
            for _ in 0..<2 {
                let (snapshot, _) = try await self.source(path).snapshot(1)
                #expect(snapshot.builtAt == Timestamp(seconds: 100))
            }
        }
        #expect(self.artifacts.fetches == 10)
        #expect(self.folder.names(in: "shared") == ["models"] && self.folder.names(in: "shared/models").isEmpty)
    }

    @Test("the files that were not used for longest make way")
    func sweep() throws {
        let directory = SnapshotDirectory(path: "\(self.folder.path)/models")
        var seals: [ModelSeal] = []
        for number in 0..<12 {
            let seal = ModelSeal(bytes: 3, checksum: UInt64(number))
            try directory.store([1, 2, UInt8(number)], as: seal)
            self.folder.age("models/" + String(directory.file(seal).split(separator: "/").last!), by: 1_000 - number)
            seals.append(seal)
        }
        let left = self.folder.names(in: "models")
        #expect(left.count == SnapshotDirectory.kept)
        #expect(left.sorted().last == String(directory.file(seals[11]).split(separator: "/").last!))
        #expect(!left.contains { $0.hasSuffix(".partial") })
    }
}

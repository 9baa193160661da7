package import Logging
import Metrics
package import RecommendationCore
package import RecommendationEngine

/// Snapshots from a directory of this host, and what it does not hold from the registry.
///
/// A file that is damaged, cut short, of a later format or another model's is deleted and fetched anew. A directory that cannot
/// be written costs the next start a fetch, and nothing else.
package struct CachedSnapshots: SnapshotSource {
    private let artifacts: any ModelArtifactRepository
    private let directory: SnapshotDirectory
    private let log: Logger
    private let found = Counter(label: "vireo_snapshot_files_total", dimensions: [("result", "found")])
    private let fetched = Counter(label: "vireo_snapshot_files_total", dimensions: [("result", "fetched")])
    private let refused = Counter(label: "vireo_snapshot_files_total", dimensions: [("result", "refused")])

    package init(_ artifacts: any ModelArtifactRepository, directory: SnapshotDirectory, log: Logger) {
        self.artifacts = artifacts
        self.directory = directory
        self.log = log
    }

    package func snapshot(_ number: ModelVersion.Number) async throws -> (snapshot: Snapshot, bytes: Int) {
        let seal = try await self.artifacts.seal(of: number)
        do throws(SnapshotArtifact.FileError) {
            let snapshot = try self.directory.open(seal)
            self.found.increment()
            return (snapshot, Int(seal.bytes))
        } catch {
            self.note(error, number, seal)
        }
        let bytes = try await self.artifacts.artifact(number)
        let artifact = try SnapshotArtifact(decoding: bytes)
        self.fetched.increment()
        // What the registry itself has wrong is refused here, and stays refused.
        guard ModelSeal(bytes: Int64(bytes.count), checksum: SnapshotArtifact.checksum(of: bytes)) == seal else {
            throw SnapshotArtifact.FileError.foreign
        }
        do throws(SnapshotDirectory.Failure) {
            try self.directory.store(bytes, as: seal)
        } catch {
            self.log.warning("a model's file is not kept", metadata: ["error": "\(error)"])
        }
        return (artifact.snapshot, bytes.count)
    }

    private func note(_ error: SnapshotArtifact.FileError, _ number: ModelVersion.Number, _ seal: ModelSeal) {
        if case .unreadable(let failure) = error, failure.isMissing { return }
        self.refused.increment()
        self.log.warning(
            "a model's file is refused and fetched anew",
            metadata: [
                "model": "\(ModelVersion.name(number))", "file": "\(self.directory.file(seal))", "error": "\(error)",
            ]
        )
        self.directory.remove(seal)
    }
}

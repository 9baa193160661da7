package import RecommendationCore
package import RecommendationEngine

/// Where a node's snapshots come from.
package protocol SnapshotSource: Sendable {
    /// The snapshot of a version, and the size of its artifact.
    func snapshot(_ number: ModelVersion.Number) async throws -> (snapshot: Snapshot, bytes: Int)
}

/// Snapshots as the registry stores them, fetched each time.
package struct StoredSnapshots: SnapshotSource {
    private let artifacts: any ModelArtifactRepository

    package init(_ artifacts: any ModelArtifactRepository) {
        self.artifacts = artifacts
    }

    package func snapshot(_ number: ModelVersion.Number) async throws -> (snapshot: Snapshot, bytes: Int) {
        let bytes = try await self.artifacts.artifact(number)
        return (try SnapshotArtifact(decoding: bytes).snapshot, bytes.count)
    }
}

import HTTPAPI
import NIOCore
package import RecommendationCore
package import Training

/// `vireo models`: the registry of a tenant from the shell.
package struct ModelOperation: Sendable {
    private let session: StoreSession

    package init(session: StoreSession) {
        self.session = session
    }

    /// Every version, newest first, and which serve.
    package func list(
        tenant: Tenant.ID
    ) async throws -> (versions: [ModelVersion], standing: ModelStanding) {
        (
            try await self.session.models.versions(tenant: tenant),
            try await self.session.routes.standing(tenant: tenant)
        )
    }

    /// One of them.
    package func show(
        _ number: ModelVersion.Number,
        tenant: Tenant.ID
    ) async throws -> (version: ModelVersion, standing: ModelStanding) {
        let (versions, standing) = try await self.list(tenant: tenant)
        guard let version = versions.first(where: { $0.number == number }) else { throw RolloutError.unknown(number) }
        return (version, standing)
    }

    /// As the admin API shows it.
    package static func json(_ version: ModelVersion, _ standing: ModelStanding) -> String {
        ModelDocument.json(version, standing)
    }

    package var rollout: ModelRollout { self.session.rollout }

    /// Makes a version of what was made elsewhere.
    package func bring(_ order: ModelImporter.Order, tenant: Tenant.ID) async throws -> ModelImporter.Report {
        let policy = try await PolicyLookup(session: self.session).active(tenant: tenant)
        let trainer = TrainOperation(session: self.session).trainer
        return try await ModelImporter(
            data: self.session.data,
            models: self.session.models,
            kept: self.session.settings.kept,
            threads: System.coreCount,
            wallClock: WallClock.now
        ).run(order, policy: policy, mark: try await trainer.mark(tenant: tenant, policy: policy), tenant: tenant)
    }

    /// Writes the neighbour lists of a version; the number of lines.
    package func export(
        _ number: ModelVersion.Number,
        isJSON: Bool,
        tenant: Tenant.ID,
        write: @escaping @Sendable ([UInt8]) throws -> Void
    ) async throws -> Int {
        try await ModelExporter(data: self.session.data, models: self.session.models)
            .run(number, isJSON: isJSON, tenant: tenant, write: write)
    }
}

import NIOCore
package import RecommendationCore
package import Training

/// `vireo train`: build a model version, register it, and put it into service.
package struct TrainOperation: Sendable {
    private let session: StoreSession

    package init(session: StoreSession) {
        self.session = session
    }

    private var trainer: ModelTrainer {
        ModelTrainer(
            data: self.session.data,
            models: self.session.models,
            nodes: self.session.nodes,
            threads: System.coreCount,
            log: self.session.log,
            wallClock: WallClock.now
        )
    }

    package func run(
        tenant: Tenant.ID,
        recipe: RecipeOption,
        evaluates: Bool,
        activates: Bool
    ) async throws -> (report: ModelTrainer.Report, epoch: Int64?) {
        let policy = try await PolicyLookup(session: self.session).active(tenant: tenant)
        let report = try await self.trainer.train(tenant: tenant, policy: policy, recipe: recipe, evaluates: evaluates)
        // The nodes hear of it by their own reads of the control log, each within a second.
        let epoch = activates ? try await self.trainer.activate(report.version.number, tenant: tenant) : nil
        return (report, epoch)
    }
}

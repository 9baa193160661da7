import NIOCore
package import RecommendationCore
package import Training

/// `vireo train`: build a model version, register it, and put it into service.
package struct TrainOperation: Sendable {
    private let session: StoreSession

    package init(session: StoreSession) {
        self.session = session
    }

    var trainer: ModelTrainer {
        ModelTrainer(
            data: self.session.data,
            models: self.session.models,
            kept: self.session.settings.kept,
            threads: System.coreCount,
            log: self.session.log,
            wallClock: WallClock.now
        )
    }

    package func run(
        tenant: Tenant.ID,
        recipe: RecipeOption,
        evaluates: Bool,
        activates: Bool,
        forces: Bool = false
    ) async throws -> (report: ModelTrainer.Report, activation: Result<ModelRollout.Outcome, RolloutError>?) {
        let policy = try await PolicyLookup(session: self.session).active(tenant: tenant)
        let report = try await self.trainer.train(tenant: tenant, policy: policy, recipe: recipe, evaluates: evaluates)
        guard activates else { return (report, nil) }
        do throws(RolloutError) {
            let number = report.version.number
            let outcome = try await self.session.rollout.activate(number, force: forces, tenant: tenant)
            return (report, .success(outcome))
        } catch {
            // The model is there all the same.
            return (report, .failure(error))
        }
    }
}

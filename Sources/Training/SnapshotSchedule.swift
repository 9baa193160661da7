package import Logging
package import RecommendationCore
import RecommendationEngine
import ServiceLifecycle

/// Says which node builds: an advisory lock of the store.
package protocol BuildLeadership: Sendable {
    /// Whether this node is the builder now, becoming it if nobody is.
    func isLeader() async -> Bool
    /// Gives the job up.
    func resign() async
}

/// Builds models, on one node of the fleet: what was asked for, and on a schedule where the data, or what the policy says of
/// events, has changed since the last build.
///
/// A model built by schedule is put into service, unless it falls too far below the active one, an operator has rolled back
/// since the last activation, or another model serves a share of the users: then it stays ready. Where the active model is an
/// imported one, nothing is built by schedule.
package struct SnapshotSchedule: Service {
    private let trainer: ModelTrainer
    private let rollout: ModelRollout
    private let models: any ModelRepository
    private let jobs: any ModelJobRepository
    private let leadership: any BuildLeadership
    private let tenants: @Sendable () -> [Tenant.ID]
    private let policy: @Sendable (Tenant.ID) -> Policy?
    private let interval: Duration
    private let announce: @Sendable () async -> Void
    private let wallClock: @Sendable () -> Timestamp
    private let log: Logger

    /// - Parameters:
    ///   - policy: The one in force of a tenant; a model is also rebuilt when another says other things of events. nil: it
    ///     cannot be read here, and another node is to build.
    ///   - announce: Called after a model was stored or activated, so that nodes do not wait for their own reads.
    package init(
        trainer: ModelTrainer,
        rollout: ModelRollout,
        models: any ModelRepository,
        jobs: any ModelJobRepository,
        leadership: any BuildLeadership,
        interval: Duration,
        wallClock: @escaping @Sendable () -> Timestamp,
        log: Logger,
        tenants: @escaping @Sendable () -> [Tenant.ID],
        policy: @escaping @Sendable (Tenant.ID) -> Policy?,
        announce: @escaping @Sendable () async -> Void
    ) {
        self.trainer = trainer
        self.rollout = rollout
        self.models = models
        self.jobs = jobs
        self.leadership = leadership
        self.interval = interval
        self.wallClock = wallClock
        self.log = log
        self.tenants = tenants
        self.policy = policy
        self.announce = announce
    }

    package func run() async throws {
        await cancelWhenGracefulShutdown {
            var next = ContinuousClock.now
            while !Task.isCancelled {
                let isLeader = await self.leadership.isLeader()
                if isLeader { await self.doJobs() }
                if isLeader, ContinuousClock.now >= next {
                    let begun = ContinuousClock.now
                    next = begun + self.interval
                    for tenant in self.tenants() { next = min(next, begun + (await self.look(after: tenant))) }
                }
                // Often, so that a node that becomes the builder does not wait a whole interval.
                try? await Task.sleep(for: min(self.interval, .seconds(1)))
            }
        }
        await self.leadership.resign()
    }

    /// Rebuilds a tenant's model if it is old enough: a node that starts does not build again what another has just built.
    ///
    /// - Returns: When to look again.
    private func look(after tenant: Tenant.ID) async -> Duration {
        do {
            let newest = try await self.models.versions(tenant: tenant).first
            let rest = newest.map { Self.rest(of: self.interval, since: $0.builtAt, at: self.wallClock()) } ?? .zero
            guard rest == .zero else { return rest }
            await self.rebuild(tenant)
        } catch {
            self.log.warning("models not read", metadata: ["tenant": "\(tenant)", "error": "\(error)"])
        }
        return self.interval
    }

    /// What is left of an interval that began with a build, by two clocks that may differ: not more than the interval.
    static func rest(of interval: Duration, since builtAt: Timestamp, at now: Timestamp) -> Duration {
        let age = Duration.microseconds(max(0, now.microseconds - builtAt.microseconds))
        return max(.zero, interval - age)
    }

    private func rebuild(_ tenant: Tenant.ID) async {
        do {
            guard let policy = self.policy(tenant) else {
                self.log.warning("model not rebuilt without the active policy", metadata: ["tenant": "\(tenant)"])
                return
            }
            let mark = try await self.trainer.mark(tenant: tenant, policy: policy)
            guard try await self.models.newestDataMark(tenant: tenant) != mark else { return }
            let before = try await self.models.versions(tenant: tenant).first { $0.state == .active }
            if let before, before.isImported { return }
            // As the active one was built, so that what an operator chose is not undone by a rebuild.
            let recipe = before.flatMap { Recipe(named: $0.recipe, parameters: $0.parameters) }
            let report = try await self.trainer.train(
                tenant: tenant,
                policy: policy,
                recipe: recipe.map { .fixed($0) } ?? .best,
                evaluates: true
            )
            await self.announce()
            let standing = try await self.rollout.standing(tenant: tenant)
            guard !standing.isRolledBack, standing.canary == nil else {
                self.log.info(
                    "model left ready: a rollback or a canary stands",
                    metadata: ["model": "\(ModelVersion.name(report.version.number))", "tenant": "\(tenant)"]
                )
                return
            }
            // Somebody may have put a newer one into service meanwhile.
            guard standing.active.map({ $0 < report.version.number }) ?? true else { return }
            _ = try await self.rollout.activate(report.version.number, tenant: tenant)
        } catch RolloutError.refused(let shortfall) {
            self.log.error("model not activated", metadata: ["tenant": "\(tenant)", "reason": "\(shortfall)"])
        } catch TrainingError.emptyCatalogue {
            // A tenant without items has nothing to recommend.
        } catch {
            self.log.error(
                "model not rebuilt; the one before stays",
                metadata: ["tenant": "\(tenant)", "error": "\(error)"]
            )
        }
    }

    // MARK: Jobs

    /// Does what was asked for, until nothing is left or this node is to stop.
    private func doJobs() async {
        while !Task.isCancelled {
            do {
                guard let job = try await self.jobs.next() else { return }
                let (model, failed, reason) = await self.outcome(of: job)
                try await self.jobs.finish(job.number, model: model, failed: failed, reason: reason)
            } catch {
                // It is still open, and comes again.
                self.log.warning("trainings that were asked for are not done", metadata: ["error": "\(error)"])
                return
            }
        }
    }

    private func outcome(of job: ModelJob) async -> (model: ModelVersion.Number?, failed: Bool, reason: String?) {
        guard let policy = self.policy(job.tenant) else { return (nil, true, "the active policy cannot be read") }
        // One that a node of another version took may be named here by nobody.
        guard let recipe = job.order.recipe.map({ RecipeOption(named: $0) }) ?? .best else {
            return (nil, true, "the recipe is not known to the node that builds")
        }
        let model: ModelVersion.Number
        do throws(TrainingError) {
            model = try await self.trainer.train(
                tenant: job.tenant,
                policy: policy,
                recipe: recipe,
                evaluates: true
            ).version.number
        } catch {
            return (nil, true, Self.reason(error))
        }
        await self.announce()
        guard job.order.activates else { return (model, false, nil) }
        do throws(RolloutError) {
            _ = try await self.rollout.activate(model, force: job.order.forces, tenant: job.tenant)
            return (model, false, nil)
        } catch {
            return (model, false, "not activated: \(error)")
        }
    }

    private static func reason(_ error: TrainingError) -> String {
        switch error {
        case .repository: "the store failed"
        case .fit(let error): "the data cannot be fitted: \(error)"
        case .emptyCatalogue: "there are no items"
        }
    }
}

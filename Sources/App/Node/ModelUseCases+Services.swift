import HTTPAPI
import PostgresAdapters
import RecommendationCore
import Serving
import Training

extension ModelUseCases {
    /// The registry and the rollout, as the API asks them.
    init(
        models: PostgresModelRepository,
        rollout: ModelRollout,
        jobs: any ModelJobRepository,
        announce: @escaping @Sendable (Int64?) async -> Announcement
    ) {
        self.init(
            list: { tenant async throws(ServingError) in
                try await AdminService.reading { () async throws(RepositoryError) in
                    (try await models.versions(tenant: tenant), try await models.standing(tenant: tenant))
                }
            },
            activate: { number, activation, tenant async throws(ServingError) in
                let outcome = try await Self.mapped { () async throws(RolloutError) in
                    try await rollout.activate(
                        number,
                        share: activation.share,
                        force: activation.force,
                        dryRun: activation.dryRun,
                        tenant: tenant
                    )
                }
                guard let outcome else { return nil }
                return ModelChange(
                    standing: outcome.standing,
                    finding: outcome.finding,
                    late: outcome.late.count,
                    announcement: activation.dryRun ? nil : await announce(outcome.standing.epoch)
                )
            },
            rollback: { number, tenant async throws(ServingError) in
                let standing = try await Self.mapped { () async throws(RolloutError) in
                    try await rollout.rollback(number, tenant: tenant)
                }
                guard let standing else { return nil }
                return ModelChange(standing: standing, announcement: await announce(standing.epoch))
            },
            retire: { number, tenant async throws(ServingError) in
                let epoch = try await Self.mapped { () async throws(RolloutError) in
                    try await rollout.retire(number, tenant: tenant)
                }
                guard let epoch else { return nil }
                return await announce(epoch)
            },
            warm: { number, tenant async throws(ServingError) in
                let spread = try await Self.mapped { () async throws(RolloutError) in
                    try await rollout.warm(number, tenant: tenant)
                }
                guard let spread else { return nil }
                return (spread.loaded, spread.loaded + spread.late.count)
            },
            train: { order, tenant async throws(ServingError) in
                try await AdminService.mapped { () async throws(RepositoryError) in
                    try await jobs.submit(order, tenant: tenant)
                }
            },
            job: { number, tenant async throws(ServingError) in
                try await AdminService.reading { () async throws(RepositoryError) in
                    try await jobs.job(number, tenant: tenant)
                }
            },
            recipes: RecipeOption.names
        )
    }

    /// nil: there is no such version.
    private static func mapped<Value>(
        _ body: () async throws(RolloutError) -> Value
    ) async throws(ServingError) -> Value? {
        do {
            return try await body()
        } catch {
            switch error {
            case .unknown: return nil
            case .refused(let shortfall): throw .modelRefused(shortfall)
            case .cancelled: throw .notDurable
            case .repository(let error):
                return try await AdminService.mapped { () async throws(RepositoryError) in throw error }
            }
        }
    }
}

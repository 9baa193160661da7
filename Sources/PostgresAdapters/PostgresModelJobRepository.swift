import Postgres
package import RecommendationCore

/// The queue of trainings.
package struct PostgresModelJobRepository: ModelJobRepository {
    /// Of a tenant; what is more is refused.
    private static let waitingLimit = 10

    private let store: PostgresStore

    package init(store: PostgresStore) {
        self.store = store
    }

    package func submit(_ order: ModelJob.Order, tenant: Tenant.ID) async throws(RepositoryError) -> ModelJob.Number {
        let owner = try await self.store.requiredNumber(of: tenant)
        return try await self.store.transaction { transaction in
            let waiting = try transaction.query(
                "SELECT count(*) FROM model_jobs WHERE tenant = $1 AND state = 'queued'",
                [owner]
            ) { row in try row.decode(0, as: Int.self) }[0]
            guard waiting < Self.waitingLimit else {
                throw RepositoryError.conflict("\(waiting) trainings are waiting already, no more are taken")
            }
            return try transaction.query(
                """
                INSERT INTO model_jobs (tenant, state, recipe, activates, forces) VALUES ($1, 'queued', $2, $3, $4)
                RETURNING job
                """,
                [owner, order.recipe, order.activates, order.forces]
            ) { row in try row.decode(0, as: Int64.self) }[0]
        }
    }

    package func job(_ number: ModelJob.Number, tenant: Tenant.ID) async throws(RepositoryError) -> ModelJob? {
        try await self.store.mapped {
            try await self.store.client.read(
                """
                SELECT \(Self.columns) FROM model_jobs j JOIN tenants t USING (tenant)
                WHERE job = $1 AND t.tenant_id = $2
                """,
                [number, tenant.string]
            ) { row in try Self.job(row) }
        }.first
    }

    package func next() async throws(RepositoryError) -> ModelJob? {
        try await self.store.mapped {
            try await self.store.client.query(
                """
                UPDATE model_jobs j SET state = 'running', started_at = now() FROM tenants t
                WHERE t.tenant = j.tenant AND j.job = (
                    SELECT job FROM model_jobs WHERE state IN ('queued', 'running') ORDER BY job LIMIT 1
                )
                RETURNING \(Self.columns)
                """
            ) { row in try Self.job(row) }
        }.first
    }

    package func finish(
        _ number: ModelJob.Number,
        model: ModelVersion.Number?,
        failed: Bool,
        reason: String?
    ) async throws(RepositoryError) {
        _ = try await self.store.mapped {
            try await self.store.client.execute(
                "UPDATE model_jobs SET state = $2, model = $3, reason = $4, finished_at = now() WHERE job = $1",
                [number, failed ? "failed" : "done", model, reason]
            )
        }
    }

    private static let columns: PostgresStatement = """
        j.job, t.tenant_id, j.recipe, j.activates, j.forces, j.state, j.model, j.reason, j.created_at, j.started_at,
        j.finished_at
        """

    private static func job(_ row: borrowing PostgresRow) throws(PostgresError) -> ModelJob {
        ModelJob(
            number: try row.decode(0),
            tenant: Tenant.ID(trusted: try row.decode(1)),
            order: ModelJob.Order(
                recipe: try row.decode(2),
                activates: try row.decode(3),
                forces: try row.decode(4)
            ),
            state: ModelJob.State(rawValue: try row.decode(5)) ?? .failed,
            model: try row.decode(6),
            reason: try row.decode(7),
            createdAt: Timestamp(try row.decode(8)),
            startedAt: try row.decode(9, as: PostgresTimestamp?.self).map(Timestamp.init),
            finishedAt: try row.decode(10, as: PostgresTimestamp?.self).map(Timestamp.init)
        )
    }
}

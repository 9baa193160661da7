import Postgres
package import RecommendationCore

/// The queue of warmings.
package struct PostgresWarmJobRepository: WarmJobRepository, ActivityRepository {
    /// Of a tenant; older ones that are over are forgotten.
    private static let kept = 100

    private let store: PostgresStore

    package init(store: PostgresStore) {
        self.store = store
    }

    package func submit(
        surface: String,
        isScheduled: Bool,
        tenant: Tenant.ID
    ) async throws(RepositoryError) -> WarmJob.Number {
        let owner = try await self.store.requiredNumber(of: tenant)
        return try await self.store.transaction { transaction in
            let waiting = try transaction.query(
                "SELECT job FROM warm_jobs WHERE tenant = $1 AND surface = $2 AND state = 'queued' ORDER BY job LIMIT 1",
                [owner, surface]
            ) { row in try row.decode(0, as: Int64.self) }
            if let job = waiting.first { return job }
            try transaction.execute(
                """
                DELETE FROM warm_jobs WHERE tenant = $1 AND state IN ('done', 'failed') AND job <= (
                    SELECT job FROM warm_jobs WHERE tenant = $1 ORDER BY job DESC OFFSET $2 LIMIT 1
                )
                """,
                [owner, Self.kept - 1]
            )
            return try transaction.query(
                "INSERT INTO warm_jobs (tenant, state, surface, scheduled) VALUES ($1, 'queued', $2, $3) RETURNING job",
                [owner, surface, isScheduled]
            ) { row in try row.decode(0, as: Int64.self) }[0]
        }
    }

    package func job(_ number: WarmJob.Number, tenant: Tenant.ID) async throws(RepositoryError) -> WarmJob? {
        try await self.store.mapped {
            try await self.store.client.read(
                """
                SELECT \(Self.columns) FROM warm_jobs j JOIN tenants t USING (tenant)
                WHERE job = $1 AND t.tenant_id = $2
                """,
                [number, tenant.string]
            ) { row in try Self.job(row) }
        }.first
    }

    package func next() async throws(RepositoryError) -> WarmJob? {
        try await self.store.mapped {
            try await self.store.client.query(
                """
                UPDATE warm_jobs j
                SET state = 'running', started_at = now(), total = NULL, computed = 0, held = 0, failed = 0
                FROM tenants t
                WHERE t.tenant = j.tenant AND j.job = (
                    SELECT job FROM warm_jobs WHERE state IN ('queued', 'running') ORDER BY job LIMIT 1
                )
                RETURNING \(Self.columns)
                """
            ) { row in try Self.job(row) }
        }.first
    }

    package func write(
        _ progress: WarmJob.Progress,
        _ state: WarmJob.State,
        reason: String?,
        of number: WarmJob.Number
    ) async throws(RepositoryError) {
        _ = try await self.store.mapped {
            try await self.store.client.execute(
                """
                UPDATE warm_jobs SET total = $2, computed = $3, held = $4, failed = $5, state = $6, reason = $7,
                    finished_at = CASE WHEN $6 IN ('done', 'failed') THEN now() END
                WHERE job = $1
                """,
                [
                    number, progress.total.map { Int64($0) }, Int64(progress.computed), Int64(progress.held),
                    Int64(progress.failed), state.rawValue, reason,
                ]
            )
        }
    }

    package func sample(_ count: Int, tenant: Tenant.ID) async throws(RepositoryError) -> [User.ID] {
        guard let number = try await self.store.number(of: tenant) else { return [] }
        return try await self.store.transaction(readOnly: true, timeout: PostgresStore.bulkTimeout) { transaction in
            try transaction.query(
                """
                SELECT DISTINCT ON (u.number) u.user_id
                FROM (SELECT min(number) AS first, max(number) AS last FROM user_state) b,
                     generate_series(0, $2::bigint - 1) i,
                     LATERAL (SELECT number, user_id FROM user_state
                              WHERE tenant = $1 AND number >= b.first + (b.last - b.first) * i / $2
                              ORDER BY number LIMIT 1) u
                ORDER BY u.number
                """,
                [number, Int64(count)]
            ) { row in User.ID(trusted: try row.decode(0)) }
        }
    }

    package func activeUsers(
        since time: Timestamp,
        limit: Int,
        tenant: Tenant.ID
    ) async throws(RepositoryError) -> [User.ID] {
        guard let number = try await self.store.number(of: tenant) else { return [] }
        // A look at each user's newest event in the index, not at all events.
        return try await self.store.transaction(readOnly: true, timeout: PostgresStore.bulkTimeout) { transaction in
            try transaction.query(
                """
                SELECT s.user_id FROM user_state s CROSS JOIN LATERAL (
                    SELECT occurred_at FROM interactions WHERE user_number = s.number
                    ORDER BY occurred_at DESC LIMIT 1
                ) newest
                WHERE s.tenant = $1 AND newest.occurred_at >= $2
                ORDER BY newest.occurred_at DESC, s.user_id LIMIT $3
                """,
                [number, time.postgres, Int64(limit)]
            ) { row in User.ID(trusted: try row.decode(0)) }
        }
    }

    private static let columns: PostgresStatement =
        """
        j.job, t.tenant_id, j.surface, j.scheduled, j.state, j.total, j.computed, j.held, j.failed, j.reason,
        j.created_at, j.started_at, j.finished_at
        """

    private static func job(_ row: borrowing PostgresRow) throws(PostgresError) -> WarmJob {
        WarmJob(
            number: try row.decode(0),
            tenant: Tenant.ID(trusted: try row.decode(1)),
            surface: try row.decode(2),
            isScheduled: try row.decode(3),
            state: WarmJob.State(rawValue: try row.decode(4)) ?? .failed,
            progress: WarmJob.Progress(
                total: try row.decode(5, as: Int64?.self).map { Int($0) },
                computed: try row.decode(6),
                held: try row.decode(7),
                failed: try row.decode(8)
            ),
            reason: try row.decode(9),
            createdAt: Timestamp(try row.decode(10)),
            startedAt: try row.decode(11, as: PostgresTimestamp?.self).map(Timestamp.init),
            finishedAt: try row.decode(12, as: PostgresTimestamp?.self).map(Timestamp.init)
        )
    }
}

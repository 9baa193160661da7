import Postgres
package import RecommendationCore

/// Erasures of users.
///
/// What makes a user known is taken away in the transaction that accepts; what nobody can reach any more, rows by the user's
/// number, goes in parts, and the rows of the journal at the end, when nobody needs them.
package struct PostgresErasureRepository: ErasureRepository {
    /// Rows removed in one transaction.
    private static let part: Int64 = 5_000

    private let store: PostgresStore

    package init(store: PostgresStore) {
        self.store = store
    }

    package func accept(
        _ user: User.ID,
        hash: [UInt8],
        at milliseconds: Int64,
        tenant: Tenant.ID
    ) async throws(RepositoryError) -> OpenErasure {
        let owner = try await self.store.requiredNumber(of: tenant)
        return try await self.store.transaction { transaction in
            // Also of a user nobody knows: who makes them at the same time comes before or after, as everybody else.
            guard let row = try UserRows.lock([user], tenant: owner, in: &transaction)[user] else {
                throw RepositoryError.failed("a locked user is not there")
            }
            var removed = row.isNew ? 0 : 1
            removed += try transaction.execute(
                "DELETE FROM users WHERE tenant = $1 AND user_id = $2",
                [owner, user.string]
            )
            removed += try transaction.execute("DELETE FROM suppressions WHERE user_number = $1", [row.number])
            removed += try transaction.execute("DELETE FROM precomputed_lists WHERE user_number = $1", [row.number])
            try transaction.execute("DELETE FROM user_state WHERE number = $1", [row.number])
            let accepted = try transaction.query(
                """
                WITH erasure AS (
                    INSERT INTO erasures (tenant, user_hash, version, user_id, user_number, accepted_ms, control_head, pg_rows)
                    SELECT $1, $2, greatest($3::bigint + 1, nextval('user_version_seq')), $4, $5, $6,
                           (SELECT coalesce(max(id), 0) FROM control_log), $7
                    RETURNING job, version, xid
                ), journal AS (
                    INSERT INTO invalidations (tenant, user_id, version) SELECT $1, $4, version FROM erasure
                )
                SELECT job, version, xid FROM erasure
                """,
                [owner, hash, row.version, user.string, row.number, milliseconds, Int64(removed)]
            ) { row in
                OpenErasure(
                    number: try row.decode(0),
                    tenant: tenant,
                    user: user,
                    version: try row.decode(1),
                    transaction: try row.decode(2),
                    acceptedAt: milliseconds
                )
            }
            return accepted[0]
        }
    }

    package func erasure(_ number: Erasure.Number, tenant: Tenant.ID) async throws(RepositoryError) -> Erasure? {
        try await self.store.mapped {
            try await self.store.client.read(
                """
                SELECT e.job, e.state, e.redis_keys, e.pg_rows, e.decisions, e.reason, e.created_at, e.finished_at
                FROM erasures e JOIN tenants t USING (tenant) WHERE e.job = $1 AND t.tenant_id = $2
                """,
                [number, tenant.string]
            ) { row in
                Erasure(
                    number: try row.decode(0),
                    state: Erasure.State(rawValue: try row.decode(1)) ?? .failed,
                    removed: Erasure.Removed(
                        redisKeys: try row.decode(2),
                        rows: try row.decode(3),
                        decisions: try row.decode(4)
                    ),
                    reason: try row.decode(5),
                    createdAt: Timestamp(try row.decode(6)),
                    finishedAt: try row.decode(7, as: PostgresTimestamp?.self).map(Timestamp.init)
                )
            }
        }.first
    }

    package func open(limit: Int) async throws(RepositoryError) -> [OpenErasure] {
        try await self.store.mapped {
            try await self.store.client.read(
                """
                SELECT e.job, t.tenant_id, e.user_id, e.version, e.xid, e.accepted_ms
                FROM erasures e JOIN tenants t USING (tenant) WHERE e.state <> 'done' ORDER BY e.job LIMIT $1
                """,
                [Int64(limit)]
            ) { row in
                OpenErasure(
                    number: try row.decode(0),
                    tenant: Tenant.ID(trusted: try row.decode(1)),
                    user: User.ID(trusted: try row.decode(2)),
                    version: try row.decode(3),
                    transaction: try row.decode(4),
                    acceptedAt: try row.decode(5)
                )
            }
        }
    }

    package func removeRows(of number: Erasure.Number) async throws(RepositoryError) -> Bool {
        let removed = try await self.store.transaction(timeout: .seconds(60)) { transaction in
            try transaction.query(
                """
                WITH gone AS (
                    DELETE FROM interactions WHERE ctid = ANY (ARRAY(
                        SELECT i.ctid FROM erasures e JOIN interactions i ON i.user_number = e.user_number
                        WHERE e.job = $1 LIMIT $2
                    )) RETURNING 1
                ), shown AS (
                    DELETE FROM impressions WHERE ctid = ANY (ARRAY(
                        SELECT i.ctid FROM erasures e JOIN impressions i ON i.tenant = e.tenant AND i.user_id = e.user_id
                        WHERE e.job = $1
                          AND i.recommendation_id < decode(lpad(to_hex(e.accepted_ms + 1), 12, '0'), 'hex')
                        LIMIT $2
                    )) RETURNING 1
                ), decided AS (
                    DELETE FROM decisions WHERE ctid = ANY (ARRAY(
                        SELECT d.ctid FROM erasures e JOIN decisions d ON d.tenant = e.tenant AND d.user_id = e.user_id
                        WHERE e.job = $1 AND d.user_version <= e.version LIMIT $2
                    )) RETURNING 1
                ), retired AS (
                    DELETE FROM retired_events r USING erasures e
                    WHERE e.job = $1 AND r.user_number = e.user_number RETURNING 1
                )
                UPDATE erasures
                SET pg_rows = pg_rows + (SELECT count(*) FROM gone) + (SELECT count(*) FROM shown)
                              + (SELECT count(*) FROM retired),
                    decisions = decisions + (SELECT count(*) FROM decided),
                    state = CASE state WHEN 'queued' THEN 'running' ELSE state END
                WHERE job = $1 AND state <> 'done'
                RETURNING greatest((SELECT count(*) FROM gone), (SELECT count(*) FROM shown),
                                   (SELECT count(*) FROM decided))
                """,
                [number, Self.part]
            ) { row in try row.decode(0, as: Int64.self) }
        }
        return removed.first == Self.part
    }

    package func settle(
        _ attempts: [(number: Erasure.Number, attempt: ErasureAttempt)]
    ) async throws(RepositoryError) {
        var (done, keys, failed, reasons): ([Int64], [Int64], [Int64], [String]) = ([], [], [], [])
        for (number, attempt) in attempts {
            switch attempt {
            case .done(let count):
                done.append(number)
                keys.append(Int64(count))
            case .failed(let reason):
                failed.append(number)
                reasons.append(reason)
            }
        }
        let (doneBindings, failedBindings): (PostgresBindings, PostgresBindings) = ([done, keys], [failed, reasons])
        let (hasDone, hasFailed) = (!done.isEmpty, !failed.isEmpty)
        // The journal has no index by user: one look through all that is kept of it, for all erasures.
        try await self.store.transaction(timeout: PostgresStore.bulkTimeout) { transaction in
            if hasDone { try transaction.execute(Self.finish, doneBindings) }
            guard hasFailed else { return }
            try transaction.execute(
                """
                UPDATE erasures e SET state = 'failed', reason = given.reason
                FROM unnest($1::bigint[], $2::text[]) AS given (job, reason)
                WHERE e.job = given.job AND e.state <> 'done'
                """,
                failedBindings
            )
        }
    }

    /// Rows of a later life stay, which have higher versions. The row of the erasure itself does not count: it was not there
    /// before.
    private static let finish: PostgresStatement =
        """
        WITH gone AS (
            DELETE FROM invalidations i USING erasures e
            WHERE e.job = ANY($1) AND e.state <> 'done'
              AND i.tenant = e.tenant AND i.user_id = e.user_id AND i.version <= e.version
            RETURNING e.job, i.version < e.version AS is_counted
        )
        UPDATE erasures e
        SET state = 'done', user_id = NULL, user_number = NULL, reason = NULL, finished_at = now(),
            redis_keys = e.redis_keys + given.keys,
            pg_rows = e.pg_rows + (SELECT count(*) FROM gone WHERE gone.job = e.job AND is_counted)
        FROM unnest($1::bigint[], $2::bigint[]) AS given (job, keys)
        WHERE e.job = given.job AND e.state <> 'done'
        """
}

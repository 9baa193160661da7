import Caching
import Postgres
package import RecommendationCore

/// The register of nodes.
package struct PostgresNodeRepository: NodeRepository {
    private let store: PostgresStore

    package init(store: PostgresStore) {
        self.store = store
    }

    package func report(_ status: NodeStatus) async throws(RepositoryError) {
        _ = try await self.store.mapped {
            try await self.store.client.execute(
                """
                WITH node AS (
                    INSERT INTO nodes (node_id, started_at, version, http_url, admin_url, lease_age_ms, control_applied,
                                       model, policy, l1_entries, l1_bytes, loaded_models, seen_at, reads_sets_since,
                                       reads_tokens_since)
                    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, now(), $2, $2)
                    ON CONFLICT (node_id) DO UPDATE
                    SET started_at = excluded.started_at, version = excluded.version, http_url = excluded.http_url,
                        admin_url = excluded.admin_url, lease_age_ms = excluded.lease_age_ms,
                        control_applied = excluded.control_applied, model = excluded.model, policy = excluded.policy,
                        l1_entries = excluded.l1_entries, l1_bytes = excluded.l1_bytes,
                        loaded_models = excluded.loaded_models, seen_at = excluded.seen_at,
                        reads_sets_since = excluded.reads_sets_since,
                        reads_tokens_since = excluded.reads_tokens_since
                    RETURNING node_id, started_at, control_applied
                )
                INSERT INTO node_epochs (node_id, started_at, incarnation, epoch)
                SELECT node.node_id, node.started_at, i.id, node.control_applied
                FROM node, incarnation i
                -- An id of another incarnation, or of a timeline that was left, confirms nothing here.
                WHERE i.id = $13
                  AND i.system_identifier = (SELECT system_identifier FROM pg_control_system())
                  AND i.timeline = \(PostgresIncarnation.currentTimeline)
                ON CONFLICT DO NOTHING
                """,
                [
                    status.id, status.startedAt.postgres, status.version, status.httpURL, status.adminURL,
                    status.leaseAgeMilliseconds, status.controlApplied, status.model, status.policy,
                    Int64(status.l1Entries), Int64(status.l1Bytes), status.loadedModels,
                    status.incarnation,
                ]
            )
        }
    }

    package func remove(_ id: String) async throws(RepositoryError) {
        _ = try await self.store.mapped {
            try await self.store.client.execute("DELETE FROM nodes WHERE node_id = $1", [id])
        }
    }

    package func nodes() async throws(RepositoryError) -> [NodeStatus] {
        try await self.store.mapped {
            try await self.store.client.read(
                """
                SELECT node_id, started_at, version, http_url, admin_url, lease_age_ms, control_applied, model, policy,
                       l1_entries, l1_bytes, loaded_models, seen_at
                FROM nodes WHERE seen_at > now() - interval '1 minute' ORDER BY node_id
                """
            ) { row in
                NodeStatus(
                    id: try row.decode(0),
                    startedAt: Timestamp(try row.decode(1)),
                    version: try row.decode(2),
                    httpURL: try row.decode(3),
                    adminURL: try row.decode(4),
                    leaseAgeMilliseconds: try row.decode(5),
                    controlApplied: try row.decode(6),
                    model: try row.decode(7),
                    policy: try row.decode(8),
                    l1Entries: try row.decode(9, as: Int.self),
                    l1Bytes: try row.decode(10, as: Int.self),
                    loadedModels: try row.decode(11),
                    seenAt: Timestamp(try row.decode(12))
                )
            }
        }
    }
}

extension PostgresNodeRepository: EpochRepository {
    package func progress(
        of epoch: Int64,
        tenant: Tenant.ID?
    ) async throws(RepositoryError) -> EpochProgress? {
        let rows = try await self.store.mapped {
            try await self.store.client.query(
                """
                SELECT c.created_at, n.node_id,
                       (SELECT min(e.applied_at) FROM node_epochs e
                        WHERE e.node_id = n.node_id AND e.started_at = n.started_at AND e.incarnation = i.id
                          AND e.epoch >= c.id)
                FROM control_log c
                JOIN tenants t ON t.tenant = c.tenant
                CROSS JOIN incarnation i
                LEFT JOIN nodes n ON n.seen_at > now() - interval '1 minute'
                WHERE c.id = $1 AND ($2::text IS NULL OR t.tenant_id = $2)
                ORDER BY n.node_id
                """,
                [epoch, tenant?.string]
            ) { row in
                (
                    Timestamp(try row.decode(0, as: PostgresTimestamp.self)), try row.decode(1, as: String?.self),
                    try row.decode(2, as: PostgresTimestamp?.self).map(Timestamp.init)
                )
            }
        }
        guard let first = rows.first else { return nil }
        let nodes = rows.compactMap { row in row.1.map { EpochProgress.Node(id: $0, appliedAt: row.2) } }
        return EpochProgress(epoch: epoch, createdAt: first.0, nodes: nodes)
    }

    package func forget() async throws(RepositoryError) {
        _ = try await self.store.mapped {
            try await self.store.client.execute("DELETE FROM nodes WHERE seen_at < now() - interval '1 day'")
            // Of a process that runs, the last one is what it has confirmed.
            try await self.store.client.execute(
                """
                DELETE FROM node_epochs e USING nodes n
                WHERE n.node_id = e.node_id AND e.applied_at < now() - interval '1 day'
                  AND (e.started_at <> n.started_at
                       OR EXISTS (SELECT FROM node_epochs later
                                  WHERE later.node_id = e.node_id AND later.started_at = e.started_at
                                    AND later.incarnation = e.incarnation AND later.epoch > e.epoch))
                """
            )
        }
    }
}

/// Every node that said no good-bye counts, seen lately or not: one that is cut from PostgreSQL may have a lease all the same.
extension PostgresNodeRepository: ControlConfirmations {
    package func confirmedByAll() async throws -> Int64? {
        // On the primary, in one statement: a node that is not on the list yet reads the control log after it is.
        try await self.store.client.query(
            """
            SELECT CASE WHEN bool_and(confirmed.epoch IS NOT NULL) THEN min(confirmed.epoch) END
            FROM nodes n LEFT JOIN LATERAL (
                SELECT max(e.epoch) AS epoch FROM node_epochs e JOIN incarnation i ON i.id = e.incarnation
                WHERE e.node_id = n.node_id AND e.started_at = n.started_at
            ) confirmed ON true
            """
        ) { row in try row.decode(0, as: Int64?.self) }.first ?? nil
    }
}

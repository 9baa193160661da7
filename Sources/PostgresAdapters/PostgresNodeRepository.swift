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
                INSERT INTO nodes (node_id, started_at, version, http_url, admin_url, lease_age_ms, control_applied, model,
                                   policy, l1_entries, l1_bytes, loaded_models, seen_at)
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, now())
                ON CONFLICT (node_id) DO UPDATE
                SET started_at = excluded.started_at, version = excluded.version, http_url = excluded.http_url,
                    admin_url = excluded.admin_url, lease_age_ms = excluded.lease_age_ms,
                    control_applied = excluded.control_applied, model = excluded.model, policy = excluded.policy,
                    l1_entries = excluded.l1_entries, l1_bytes = excluded.l1_bytes,
                    loaded_models = excluded.loaded_models, seen_at = excluded.seen_at
                """,
                [
                    status.id, status.startedAt.postgres, status.version, status.httpURL, status.adminURL,
                    status.leaseAgeMilliseconds, status.controlApplied, status.model, status.policy,
                    Int64(status.l1Entries), Int64(status.l1Bytes), status.loadedModels,
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

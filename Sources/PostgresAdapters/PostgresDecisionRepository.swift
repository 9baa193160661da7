import Postgres
package import RecommendationCore

/// Decisions, a row each.
package struct PostgresDecisionRepository: DecisionRepository {
    /// Rows of a tenant that are deleted at once.
    private static let pruneCount = 2_000

    private let store: PostgresStore
    private let hashes: @Sendable (User.ID, Tenant.ID) -> [[UInt8]]

    /// - Parameter hashes: Each of what may have stayed of a user who was erased, 16 bytes.
    package init(store: PostgresStore, hashes: @escaping @Sendable (User.ID, Tenant.ID) -> [[UInt8]]) {
        self.store = store
        self.hashes = hashes
    }

    package func store(
        _ decisions: [StoredDecision],
        tenant: Tenant.ID
    ) async throws(RepositoryError) -> Int {
        guard !decisions.isEmpty else { return 0 }
        let owner = try await self.store.requiredNumber(of: tenant)
        // By versions: a node that has not heard of it yet may make a list of a life that was erased, or of a history that was
        // reset, after that.
        return try await self.store.mapped {
            try await self.store.client.execute(
                """
                INSERT INTO decisions (tenant, recommendation_id, user_id, user_version, document)
                SELECT $1, g.id, g.viewer, g.version, g.document::json
                FROM unnest($2::bytea[], $3::text[], $4::bytea[], $5::bigint[], $6::text[])
                     AS g (id, viewer, hashes, version, document)
                WHERE NOT EXISTS (
                    SELECT FROM generate_series(1, length(g.hashes), 16) AS h (first)
                    JOIN erasures e ON e.tenant = $1 AND e.user_hash = substr(g.hashes, h.first, 16)
                    WHERE e.version >= g.version AND g.viewer IS NOT NULL
                ) AND NOT EXISTS (
                    SELECT FROM user_state s
                    WHERE s.tenant = $1 AND s.user_id = g.viewer AND (NOT s.consent OR g.version < s.changed)
                )
                ON CONFLICT DO NOTHING
                """,
                [
                    owner, decisions.map(\.recommendationID), decisions.map { $0.user?.string },
                    decisions.map { $0.user.map { self.hashes($0, tenant).flatMap(\.self) } ?? [] },
                    decisions.map(\.userVersion),
                    decisions.map(\.document),
                ]
            )
        }
    }

    package func decision(
        _ recommendationID: [UInt8],
        tenant: Tenant.ID
    ) async throws(RepositoryError) -> StoredDecision? {
        let stored = try await self.store.mapped {
            try await self.store.client.read(
                """
                SELECT d.user_id, d.user_version, d.document::text FROM decisions d JOIN tenants t USING (tenant)
                WHERE t.tenant_id = $1 AND d.recommendation_id = $2 AND NOT EXISTS (
                    SELECT FROM user_state s
                    WHERE s.tenant = d.tenant AND s.user_id = d.user_id AND NOT s.consent
                )
                """,
                [tenant.string, recommendationID]
            ) { row in
                StoredDecision(
                    recommendationID: recommendationID,
                    user: try row.decode(0, as: String?.self).map { User.ID(trusted: $0) },
                    userVersion: try row.decode(1),
                    document: try row.decode(2)
                )
            }
        }.first
        guard let user = stored?.user, let version = stored?.userVersion else { return stored }
        // Its rows go a while after an erasure is accepted.
        let erased = try await self.store.mapped {
            try await self.store.client.read(
                """
                SELECT FROM erasures e JOIN tenants t USING (tenant)
                WHERE t.tenant_id = $1 AND e.user_hash = ANY($2::bytea[]) AND e.version >= $3 LIMIT 1
                """,
                [tenant.string, self.hashes(user, tenant), version]
            ) { _ in true }
        }
        return erased.isEmpty ? stored : nil
    }

    package func prune(before time: Timestamp) async throws(RepositoryError) -> Bool {
        let deleted = try await self.store.mapped {
            try await self.store.client.execute(
                """
                DELETE FROM decisions WHERE ctid = ANY (ARRAY(
                    SELECT old.ctid FROM tenants t CROSS JOIN LATERAL (
                        SELECT ctid FROM decisions
                        WHERE tenant = t.tenant AND recommendation_id < $1
                        ORDER BY recommendation_id LIMIT $2 FOR UPDATE SKIP LOCKED
                    ) old
                ))
                """,
                [RecommendationTime.bytes(time), Int64(Self.pruneCount)]
            )
        }
        return deleted > 0
    }
}

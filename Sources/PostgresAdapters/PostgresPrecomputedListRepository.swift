import Postgres
package import RecommendationCore

/// Lists that were computed ahead, each beside what it was computed of.
package struct PostgresPrecomputedListRepository: PrecomputedListRepository {
    /// A list like the one that is there is written again after that many seconds: every warming computes anew.
    private static let renewal: Int64 = 3_600

    private let store: PostgresStore
    private let reads: ServingReads

    /// - Parameter reads: Of the same store, for requests; of its own, so that histories that are slow do not speak for it.
    package init(store: PostgresStore, reads: ServingReads) {
        self.store = store
        self.reads = reads
    }

    package func store(_ lists: [PrecomputedList], tenant: Tenant.ID) async throws(RepositoryError) -> Int {
        guard !lists.isEmpty else { return 0 }
        let owner = try await self.store.requiredNumber(of: tenant)
        let bindings: PostgresBindings = [
            owner, lists.map(\.user.string), lists.map(\.lineage.surface), lists.map(\.lineage.model),
            lists.map(\.lineage.policy), lists.map(\.lineage.generation), lists.map(\.version),
            lists.map(\.computedAt.postgres), lists.map(\.pool), Self.renewal,
        ]
        return try await self.store.mapped {
            // The user's row is locked against writers, so that no list is kept that one of them was to remove; who is being
            // written now is passed over.
            try await self.store.client.execute(
                """
                INSERT INTO precomputed_lists AS p
                    (user_number, surface, tenant, model, policy, generation, version, computed_at, pool)
                SELECT s.number, g.surface, $1, g.model, g.policy, g.generation, g.version, g.computed_at, g.pool
                FROM unnest($2::text[], $3::text[], $4::bigint[], $5::text[], $6::bigint[], $7::bigint[],
                            $8::timestamptz[], $9::bytea[])
                     AS g (id, surface, model, policy, generation, version, computed_at, pool)
                JOIN user_state s ON s.tenant = $1 AND s.user_id = g.id AND s.version = g.version AND s.consent
                WHERE NOT EXISTS (
                    SELECT FROM precomputed_lists held
                    WHERE held.user_number = s.number AND held.surface = g.surface AND held.version = g.version
                      AND held.model = g.model AND held.policy = g.policy AND held.generation = g.generation
                      AND held.computed_at > g.computed_at - $10::bigint * interval '1 second'
                )
                FOR SHARE OF s SKIP LOCKED
                ON CONFLICT (user_number, surface) DO UPDATE SET
                    model = excluded.model, policy = excluded.policy, generation = excluded.generation,
                    version = excluded.version, computed_at = excluded.computed_at, pool = excluded.pool
                WHERE p.version <= excluded.version
                """,
                bindings
            )
        }
    }

    package func lists(
        of users: [(user: User.ID, lineage: PrecomputedList.Lineage)],
        since time: Timestamp,
        tenant: Tenant.ID
    ) async throws(RepositoryError) -> [PrecomputedList?] {
        var lists = [PrecomputedList?](repeating: nil, count: users.count)
        guard !users.isEmpty, let number = try await self.store.number(of: tenant, by: self.reads) else { return lists }
        let bindings: PostgresBindings = [
            number, users.indices.map { Int64($0) }, users.map(\.user.string), users.map(\.lineage.surface),
            users.map(\.lineage.model), users.map(\.lineage.policy), users.map(\.lineage.generation), time.postgres,
        ]
        let rows = try await self.store.mapped {
            try await self.reads.read(
                """
                SELECT g.place, p.version, p.computed_at, p.pool
                FROM unnest($2::bigint[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::bigint[])
                     AS g (place, id, surface, model, policy, generation)
                JOIN user_state s ON s.tenant = $1 AND s.user_id = g.id AND s.consent
                JOIN precomputed_lists p ON p.user_number = s.number AND p.surface = g.surface
                WHERE p.version = s.version AND p.model = g.model AND p.policy = g.policy
                  AND p.generation = g.generation AND p.computed_at >= $8
                """,
                bindings
            ) { row in
                (
                    place: try row.decode(0, as: Int.self), version: try row.decode(1, as: Int64.self),
                    computedAt: Timestamp(try row.decode(2, as: PostgresTimestamp.self)),
                    pool: try row.decode(3, as: [UInt8].self)
                )
            }
        }
        for row in rows {
            lists[row.place] = PrecomputedList(
                user: users[row.place].user,
                lineage: users[row.place].lineage,
                version: row.version,
                computedAt: row.computedAt,
                pool: row.pool
            )
        }
        return lists
    }

    package func prune(
        before time: Timestamp,
        keeping limit: Int,
        tenant: Tenant.ID
    ) async throws(RepositoryError) -> Int {
        guard let number = try await self.store.number(of: tenant) else { return 0 }
        return try await self.store.transaction(timeout: PostgresStore.bulkTimeout) { transaction in
            try transaction.execute(
                """
                DELETE FROM precomputed_lists p USING (
                    SELECT user_number, surface, computed_at,
                           row_number() OVER (PARTITION BY surface ORDER BY computed_at DESC, user_number) AS place
                    FROM precomputed_lists WHERE tenant = $1
                ) aged
                WHERE p.user_number = aged.user_number AND p.surface = aged.surface
                  AND (aged.computed_at < $2 OR aged.place > $3)
                """,
                [number, time.postgres, Int64(limit)]
            )
        }
    }
}

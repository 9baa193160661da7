import Postgres
package import RecommendationCore

/// Impressions, a row each.
package struct PostgresImpressionRepository: ImpressionRepository {
    /// Rows of a tenant that are deleted at once.
    private static let pruneCount = 10_000

    /// The most that is read of a user.
    private static let shownLimit: Int64 = 5_000

    private let store: PostgresStore
    private let reads: ServingReads
    private let hashes: @Sendable (User.ID, Tenant.ID) -> [[UInt8]]

    /// - Parameters:
    ///   - reads: Of the same store, for requests.
    ///   - hashes: Each of what may have stayed of a user who was erased.
    package init(
        store: PostgresStore,
        reads: ServingReads,
        hashes: @escaping @Sendable (User.ID, Tenant.ID) -> [[UInt8]]
    ) {
        self.store = store
        self.reads = reads
        self.hashes = hashes
    }

    package func record(
        _ impressions: [Impression],
        tenant: Tenant.ID
    ) async throws(RepositoryError) -> [ImpressionOutcome] {
        guard !impressions.isEmpty else { return [] }
        let owner = try await self.store.requiredNumber(of: tenant)
        let hashes = Dictionary(
            impressions.compactMap(\.user).map { ($0, self.hashes($0, tenant)) },
            uniquingKeysWith: { first, _ in first }
        )
        return try await self.store.transaction { transaction in
            let erased = try PostgresFeedbackRepository.erasures(of: hashes, tenant: owner, in: &transaction)
            // What is told of a life that was erased is not kept of the next one.
            let isErased = impressions.map { impression in
                let shownAt = impression.attribution.milliseconds
                return impression.user.flatMap { erased[$0] }.map { shownAt <= $0 } ?? false
            }
            var outcomes = try Self.record(
                zip(impressions, isErased).filter { !$1 }.map(\.0),
                owner: owner,
                in: &transaction
            )
            for index in isErased.indices where isErased[index] { outcomes.insert(.erased, at: index) }
            return outcomes
        }
    }

    private static func record(
        _ impressions: [Impression],
        owner: Int32,
        in transaction: inout PostgresTransaction
    ) throws(PostgresError) -> [ImpressionOutcome] {
        guard !impressions.isEmpty else { return [] }
        let sources = impressions.map(\.attribution.source)
        // An item's number is 32 bits, and the column's integer has a sign.
        let bindings: PostgresBindings = [
            owner, impressions.indices.map { Int64($0) }, impressions.map { Int32(bitPattern: $0.number) },
            impressions.map(\.item.string), impressions.map(\.attribution.recommendationID),
            impressions.map { Int16(clamping: $0.attribution.position) }, impressions.map { $0.user?.string },
            sources.map { $0?.model }, sources.map { $0?.policy }, sources.map { $0?.variant },
            sources.map { $0?.surface },
        ]
        let rows = try transaction.query(
            """
            WITH shown AS (
                SELECT g.*
                FROM unnest($2::bigint[], $3::integer[], $4::text[], $5::bytea[], $6::smallint[], $7::text[],
                            $8::bigint[], $9::text[], $10::text[], $11::text[])
                     AS g (place, number, id, recommendation, position, viewer, model, policy, variant, surface)
                JOIN items i ON i.tenant = $1 AND i.number = g.number AND i.item_id = g.id
            ), stored AS (
                INSERT INTO impressions
                    (tenant, recommendation_id, item_number, position, user_id, model, policy, variant, surface)
                SELECT $1, recommendation, number, position, viewer, model, policy, variant, surface FROM shown
                ON CONFLICT DO NOTHING
                RETURNING recommendation_id, item_number
            )
            SELECT shown.place, stored.item_number IS NOT NULL
            FROM shown LEFT JOIN stored
                 ON stored.recommendation_id = shown.recommendation AND stored.item_number = shown.number
            """,
            bindings
        ) { row in (place: try row.decode(0, as: Int.self), isNew: try row.decode(1, as: Bool.self)) }
        var outcomes = [ImpressionOutcome](repeating: .unknownItem, count: impressions.count)
        for row in rows { outcomes[row.place] = row.isNew ? .stored : .duplicate }
        return outcomes
    }

    package func shown(
        to user: User.ID,
        since time: Timestamp,
        tenant: Tenant.ID
    ) async throws(RepositoryError) -> [ShownItem] {
        guard let owner = try await self.store.number(of: tenant, by: self.reads) else { return [] }
        return try await self.store.mapped {
            try await self.reads.read(
                """
                SELECT item_number, recommendation_id, coalesce(surface, '') FROM impressions
                WHERE tenant = $1 AND user_id = $2 AND recommendation_id >= $3
                ORDER BY recommendation_id DESC LIMIT $4
                """,
                [owner, user.string, RecommendationTime.bytes(time), Self.shownLimit]
            ) { row in
                ShownItem(
                    number: UInt32(bitPattern: try row.decode(0, as: Int32.self)),
                    recommendationID: try row.decode(1),
                    surface: try row.decode(2)
                )
            }
        }
    }

    package func prune(before time: Timestamp) async throws(RepositoryError) -> Bool {
        let deleted = try await self.store.mapped {
            try await self.store.client.execute(
                """
                DELETE FROM impressions WHERE ctid = ANY (ARRAY(
                    SELECT old.ctid FROM tenants t CROSS JOIN LATERAL (
                        SELECT ctid FROM impressions
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

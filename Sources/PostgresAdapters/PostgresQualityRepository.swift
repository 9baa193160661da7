import Postgres
package import RecommendationCore

/// What came of slates, counted by PostgreSQL from impressions and attributed events.
package struct PostgresQualityRepository: QualityRepository {
    private let store: PostgresStore

    package init(store: PostgresStore) {
        self.store = store
    }

    package func counts(
        since time: Timestamp,
        surface: String?,
        limit: Int,
        tenant: Tenant.ID
    ) async throws(RepositoryError) -> [SlateCounts] {
        guard let number = try await self.store.number(of: tenant) else { return [] }
        let first = RecommendationTime.bytes(time)
        // Counting a month takes longer than anything that a request waits for.
        return try await self.store.transaction(readOnly: true, timeout: PostgresStore.countTimeout) { transaction in
            return try transaction.query(
                """
                WITH shown AS MATERIALIZED (
                    SELECT i.recommendation_id, i.item_number, i.surface, i.model, i.policy, i.variant, c.categories[1] AS category
                    FROM impressions i LEFT JOIN items c ON c.tenant = i.tenant AND c.number = i.item_number
                    WHERE i.tenant = $1 AND i.recommendation_id >= $2 AND i.surface IS NOT NULL
                      AND ($3::text IS NULL OR i.surface = $3)
                ), done AS (
                    SELECT recommendation_id, item_number, bool_or(type = $4) AS clicked, bool_or(type = $5) AS bought
                    FROM interactions WHERE tenant = $1 AND recommendation_id >= $2 AND \(RecommendationTime.isAnswer)
                    GROUP BY 1, 2
                ), counted AS (
                    SELECT surface, model, policy, variant, count(DISTINCT recommendation_id) AS slates, count(*) AS impressions,
                           count(*) FILTER (WHERE clicked) AS clicks, count(*) FILTER (WHERE bought) AS purchases
                    FROM shown LEFT JOIN done USING (recommendation_id, item_number)
                    GROUP BY 1, 2, 3, 4 ORDER BY impressions DESC, 1, 2, 3, 4 LIMIT $6
                ), kinds AS (
                    SELECT surface, model, policy, variant, recommendation_id, category, count(*) AS n
                    FROM shown GROUP BY 1, 2, 3, 4, 5, 6
                ), slates AS (
                    SELECT surface, model, policy, variant, sum(n) AS n,
                           sum(n * (n - 1) / 2) FILTER (WHERE category IS NOT NULL) AS alike
                    FROM kinds GROUP BY 1, 2, 3, 4, recommendation_id
                ), pairs AS (
                    SELECT surface, model, policy, variant, sum(n * (n - 1) / 2)::bigint AS pairs,
                           coalesce(sum(alike), 0)::bigint AS alike
                    FROM slates GROUP BY 1, 2, 3, 4
                ), byitem AS (
                    SELECT surface, model, policy, variant, item_number, count(*) AS n FROM shown GROUP BY 1, 2, 3, 4, 5
                ), items AS (
                    SELECT surface, model, policy, variant, array_agg(item_number ORDER BY item_number) AS numbers,
                           array_agg(n ORDER BY item_number) AS shown
                    FROM byitem GROUP BY 1, 2, 3, 4
                )
                SELECT surface, model, policy, variant, slates, impressions, clicks, purchases, pairs, alike, numbers, shown
                FROM counted JOIN pairs USING (surface, model, policy, variant)
                JOIN items USING (surface, model, policy, variant)
                ORDER BY impressions DESC, surface, model, policy, variant
                """,
                [
                    number, first, surface, Int16(EventType.click.code), Int16(EventType.purchase.code), Int64(limit),
                ]
            ) { row in
                SlateCounts(
                    source: Attribution.Source(
                        model: try row.decode(1),
                        policy: try row.decode(2),
                        variant: try row.decode(3),
                        surface: try row.decode(0)
                    ),
                    slates: try row.decode(4),
                    impressions: try row.decode(5),
                    clicks: try row.decode(6),
                    purchases: try row.decode(7),
                    pairs: try row.decode(8),
                    alike: try row.decode(9),
                    items: try row.decode(10, as: [Int32].self).map { UInt32(bitPattern: $0) },
                    shown: try row.decode(11, as: [Int64].self).map { Int($0) }
                )
            }
        }
    }
}

/// The time that ids of recommendations begin with.
enum RecommendationTime {
    /// The time of a row's `recommendation_id`.
    static let sql: PostgresStatement =
        "to_timestamp(('x' || encode(substr(recommendation_id, 1, 6), 'hex'))::bit(48)::bigint / 1000.0)"

    /// Whether a row of `interactions` has something that it answers, as ``Feedback/answered`` says it.
    static let isAnswer: PostgresStatement = "occurred_at >= \(sql) - interval '1 day'"

    /// Where the ids of a time begin: 48 bits of milliseconds, big endian.
    static func bytes(_ time: Timestamp) -> [UInt8] {
        (0..<6).map { UInt8(truncatingIfNeeded: time.milliseconds >> Int64(40 - 8 * $0)) }
    }
}

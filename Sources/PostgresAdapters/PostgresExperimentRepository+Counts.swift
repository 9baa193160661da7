import Postgres
package import RecommendationCore

extension PostgresExperimentRepository {
    /// By first impressions: whoever was shown two variants, as weights were changed, counts for the first.
    package func counts(
        of experiment: Experiment,
        tenant: Tenant.ID
    ) async throws(RepositoryError) -> [VariantCounts] {
        var counts = [VariantCounts](repeating: VariantCounts(), count: experiment.variants.count)
        guard let number = try await self.store.number(of: tenant) else { return counts }
        let bindings: PostgresBindings = [
            number, RecommendationTime.bytes(experiment.startedAt), experiment.stoppedAt.map(RecommendationTime.bytes),
            experiment.surface, experiment.variants.map { experiment.label(of: $0) },
            Int16(experiment.design.metric.event.code), experiment.design.metric == .clickThrough,
            PostgresTimestamp(unixMicroseconds: experiment.weighedAt.microseconds),
            experiment.stoppedAt.map { PostgresTimestamp(unixMicroseconds: $0.microseconds) },
        ]
        // Counting weeks takes longer than anything that a request waits for.
        let rows = try await self.store.transaction(readOnly: true, timeout: PostgresStore.countTimeout) {
            transaction in
            return try transaction.query(
                """
                WITH exposed AS MATERIALIZED (
                    SELECT DISTINCT ON (i.user_id) i.user_id, l.label, l.place, i.received_at,
                           \(RecommendationTime.sql) AS at
                    FROM impressions i JOIN unnest($5::text[]) WITH ORDINALITY AS l (label, place)
                         ON l.label = ANY (string_to_array(i.variant, ','))
                    WHERE i.tenant = $1 AND i.recommendation_id >= $2 AND ($3::bytea IS NULL OR i.recommendation_id < $3)
                      AND i.surface = $4 AND i.user_id IS NOT NULL
                    ORDER BY i.user_id, i.recommendation_id
                )
                SELECT e.place, count(*), count(*) FILTER (WHERE d.done), count(*) FILTER (WHERE e.at >= $8)
                FROM exposed e CROSS JOIN LATERAL (
                    SELECT EXISTS (
                        SELECT FROM user_state s JOIN interactions x ON x.user_number = s.number
                        WHERE s.tenant = $1 AND s.user_id = e.user_id AND x.type = $6
                          AND CASE WHEN $7 THEN x.surface = $4 AND e.label = ANY (string_to_array(x.variant, ','))
                                                AND \(RecommendationTime.isAnswer)
                                   ELSE x.received_at >= e.at AND x.occurred_at >= e.at END
                          AND ($9::timestamptz IS NULL OR x.received_at < $9)
                    ) AS done
                ) d
                GROUP BY e.place
                """,
                bindings
            ) { row in
                (
                    place: try row.decode(0, as: Int.self),
                    VariantCounts(
                        exposed: try row.decode(1),
                        converted: try row.decode(2),
                        lately: try row.decode(3)
                    )
                )
            }
        }
        for (place, count) in rows { counts[place - 1] = count }
        return counts
    }
}

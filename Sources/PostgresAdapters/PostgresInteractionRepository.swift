import Postgres
package import RecommendationCore

/// Looks for single events, each in the index of its user's events.
package struct PostgresInteractionRepository: InteractionRepository {
    private let store: PostgresStore

    package init(store: PostgresStore) {
        self.store = store
    }

    package func holds(_ events: [SessionEvent], tenant: Tenant.ID) async throws(RepositoryError) -> [Bool] {
        guard !events.isEmpty, let number = try await self.store.number(of: tenant) else {
            return events.map { _ in false }
        }
        let found = try await self.store.mapped {
            try await self.store.client.read(
                """
                SELECT g.place
                FROM unnest($2::bigint[], $3::text[], $4::text[], $5::smallint[], $6::timestamptz[])
                     AS g (place, user_id, item_id, type, occurred_at)
                JOIN user_state s ON s.tenant = $1 AND s.user_id = g.user_id
                JOIN items i ON i.tenant = $1 AND i.item_id = g.item_id
                WHERE EXISTS (
                    SELECT FROM interactions e
                    WHERE e.user_number = s.number AND e.occurred_at = g.occurred_at
                          AND e.item_number = i.number AND e.type = g.type
                )
                """,
                [
                    number, events.indices.map { Int64($0) }, events.map(\.user.string), events.map(\.item.string),
                    events.map { Int16($0.type.code) }, events.map(\.occurredAt.postgres),
                ]
            ) { row in try row.decode(0, as: Int.self) }
        }
        let places = Set(found)
        return events.indices.map(places.contains)
    }
}

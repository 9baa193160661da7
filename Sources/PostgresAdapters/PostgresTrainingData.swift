import Postgres
package import RecommendationCore

/// Bulk reads for training, by COPY.
package struct PostgresTrainingData: TrainingDataRepository {
    private let store: PostgresStore

    package init(store: PostgresStore) {
        self.store = store
    }

    package func mark(tenant: Tenant.ID) async throws(RepositoryError) -> String {
        // The statistics count every row that was written, views too, without reading the table.
        let marks = try await self.store.mapped {
            try await self.store.client.read(
                """
                SELECT (SELECT last_value FROM user_version_seq)::text || '.'
                    || (SELECT last_value FROM item_revision_seq)::text || '.'
                    || coalesce((SELECT n_tup_ins - n_tup_del FROM pg_stat_user_tables WHERE relname = 'interactions'), 0)::text
                """
            ) { row in try row.decode(0, as: String.self) }
        }
        return marks[0]
    }

    package func items(tenant: Tenant.ID) async throws(RepositoryError) -> [NumberedItem] {
        guard let number = try await self.store.number(of: tenant) else { return [] }
        return try await self.store.transaction(readOnly: true, timeout: PostgresStore.bulkTimeout) { transaction in
            return try transaction.query(
                "SELECT \(PostgresItems.columns) FROM items i WHERE i.tenant = $1 ORDER BY i.number",
                [number]
            ) { row in try PostgresItems.decode(row, from: 0) }
        }
    }

    package func reduceInteractions<Result: Sendable>(
        tenant: Tenant.ID,
        into initial: Result,
        _ update: @escaping @Sendable (inout Result, InteractionRow) -> Void
    ) async throws(RepositoryError) -> Result {
        guard let number = try await self.store.number(of: tenant) else { return initial }
        return try await self.store.transaction(readOnly: true, timeout: PostgresStore.bulkTimeout) { transaction in
            var result = initial
            // From the first row to the last, whoever else reads the table: what is fitted depends on the order.
            try transaction.execute("SET LOCAL synchronize_seqscans = off")
            _ = try transaction.copyOut(
                """
                SELECT user_number, item_number, type, value, occurred_at FROM interactions
                WHERE tenant = \(literal: Int64(number))
                """
            ) { row in
                update(
                    &result,
                    InteractionRow(
                        user: try row.int64(),
                        item: UInt32(bitPattern: try row.int32()),
                        type: UInt8(truncatingIfNeeded: try row.int16()),
                        value: try row.float(),
                        seconds: try row.timestamp().unixMicroseconds / 1_000_000
                    )
                )
            }
            return result
        }
    }

    package func userIDs(tenant: Tenant.ID) async throws(RepositoryError) -> [Int64: User.ID] {
        guard let number = try await self.store.number(of: tenant) else { return [:] }
        return try await self.store.transaction(readOnly: true, timeout: PostgresStore.bulkTimeout) { transaction in
            var ids: [Int64: User.ID] = [:]
            _ = try transaction.copyOut(
                "SELECT number, user_id FROM user_state WHERE consent AND tenant = \(literal: Int64(number))"
            ) { row in
                ids[try row.int64()] = User.ID(trusted: try row.string())
            }
            return ids
        }
    }
}

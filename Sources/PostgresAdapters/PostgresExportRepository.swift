import Postgres
package import RecommendationCore

/// Whole tenants, by COPY: one statement sees one snapshot, and the server sorts on disk what does not fit its memory.
package struct PostgresExportRepository: ExportRepository {
    private let store: PostgresStore

    package init(store: PostgresStore) {
        self.store = store
    }

    package func items(
        tenant: Tenant.ID,
        _ row: @escaping @Sendable (ImportedItem) throws -> Void
    ) async throws -> Int {
        let number = Int64(try await self.store.requiredNumber(of: tenant))
        return try await self.stream(
            """
            SELECT item_id, title, categories, creator, campaigns, labels, price, regions, available_from,
                   available_until, in_stock, hidden, created_at
            FROM items WHERE tenant = \(literal: number) ORDER BY item_id
            """
        ) { fields in
            let item = Item(
                id: Item.ID(trusted: try fields.string()),
                title: try fields.string(),
                categories: try fields.decode(),
                creator: try fields.decode(),
                campaigns: try fields.decode(),
                labels: try LabelDocument.decode(&fields),
                price: try fields.decode(),
                regions: try fields.decode(),
                availableFrom: try fields.decode(as: PostgresTimestamp?.self).map(Timestamp.init),
                availableUntil: try fields.decode(as: PostgresTimestamp?.self).map(Timestamp.init),
                inStock: try fields.bool(),
                hidden: try fields.bool()
            )
            try row(ImportedItem(item, createdAt: Timestamp(try fields.timestamp())))
        }
    }

    package func users(
        tenant: Tenant.ID,
        _ row: @escaping @Sendable (ImportedUser) throws -> Void
    ) async throws -> Int {
        let number = Int64(try await self.store.requiredNumber(of: tenant))
        return try await self.stream(
            """
            SELECT s.user_id, coalesce(u.labels, '{}'), coalesce(u.preferred_categories, '{}'), s.consent, p.kinds,
                   p.keys
            FROM user_state s
            LEFT JOIN users u ON u.tenant = s.tenant AND u.user_id = s.user_id
            LEFT JOIN LATERAL (
                SELECT array_agg(kind ORDER BY kind, key) AS kinds, array_agg(key ORDER BY kind, key) AS keys
                FROM suppressions WHERE user_number = s.number
            ) p ON true
            WHERE s.tenant = \(literal: number) AND (u.user_id IS NOT NULL OR NOT s.consent OR p.keys IS NOT NULL)
            ORDER BY s.user_id
            """
        ) { fields in
            var user = ImportedUser(
                id: User.ID(trusted: try fields.string()),
                labels: try LabelDocument.decode(&fields),
                preferredCategories: try fields.decode(),
                consent: try fields.bool()
            )
            let kinds = try fields.decode(as: [String]?.self) ?? []
            let keys = try fields.decode(as: [String]?.self) ?? []
            user.suppressions = try zip(kinds, keys).map { kind, key in
                // A kind that a later version knows must not be lost silently.
                guard let kind = Suppression.Kind(rawValue: kind) else {
                    throw RepositoryError.corrupt("a suppression of an unknown kind")
                }
                return Suppression(kind: kind, key: Identifier(trusted: key))
            }
            try row(user)
        }
    }

    package func interactions(
        tenant: Tenant.ID,
        _ row: @escaping @Sendable (ImportedInteraction) throws -> Void
    ) async throws -> Int {
        let number = Int64(try await self.store.requiredNumber(of: tenant))
        // Of events without an id, an import keeps one of those that are equal; so does this.
        return try await self.stream(
            """
            SELECT u.user_id, i.item_id, x.type, x.value, x.occurred_at, x.event_id, x.recommendation_id, x.position
            FROM user_state u
            JOIN interactions x ON x.user_number = u.number
            JOIN items i ON i.tenant = u.tenant AND i.number = x.item_number
            WHERE u.tenant = \(literal: number)
            ORDER BY u.user_id, x.occurred_at, i.item_id, x.type, x.value, x.event_id NULLS FIRST, x.recommendation_id,
                     x.position
            """,
            state: Repeats()
        ) { repeats, fields in
            var interaction = ImportedInteraction(
                line: 0,
                user: User.ID(trusted: try fields.string()),
                item: Item.ID(trusted: try fields.string()),
                type: try Self.type(try fields.int16()),
                value: try fields.float(),
                occurredAt: Timestamp(try fields.timestamp()),
                eventID: try fields.decode()
            )
            let recommendation = try fields.decode(as: [UInt8]?.self)
            let position = try fields.decode(as: Int16?.self)
            if let recommendation {
                interaction.attribution = Attribution(recommendationID: recommendation, position: Int(position ?? 0))
            }
            guard repeats.isFirst(interaction) else { return }
            interaction.line = repeats.count
            try row(interaction)
        }.count
    }

    private static func type(_ code: Int16) throws -> EventType {
        guard let type = UInt8(exactly: code).flatMap(EventType.init(code:)) else {
            throw RepositoryError.corrupt("an event of a type that this version does not know")
        }
        return type
    }

    /// Finds rows of events without an id that are equal to the row before.
    private struct Repeats: Sendable {
        private(set) var count = 0
        private var last: ImportedInteraction?

        mutating func isFirst(_ interaction: ImportedInteraction) -> Bool {
            if interaction.eventID == nil, let last, last.eventID == nil, last.user == interaction.user,
                last.item == interaction.item, last.type == interaction.type, last.value == interaction.value,
                last.occurredAt == interaction.occurredAt
            {
                return false
            }
            self.last = interaction
            self.count += 1
            return true
        }
    }

    /// Returns the number of rows.
    private func stream(
        _ query: PostgresStatement,
        _ row: @escaping @Sendable (inout PostgresCopyRow) throws -> Void
    ) async throws -> Int {
        try await self.stream(query, state: 0) { count, fields in
            try row(&fields)
            count += 1
        }
    }

    private func stream<State: Sendable>(
        _ query: PostgresStatement,
        state: State,
        _ row: @escaping @Sendable (inout State, inout PostgresCopyRow) throws -> Void
    ) async throws -> State {
        do {
            return try await self.store.client.copyOut(
                query,
                into: state,
                timeout: PostgresStore.bulkTimeout,
                row: row
            )
        } catch let error as PostgresError {
            throw RepositoryError(error)
        }
    }
}

import Postgres
package import RecommendationCore

/// Whole files, by COPY into a temporary table and set statements from there.
package struct PostgresImportRepository: ImportRepository {
    private let store: PostgresStore

    package init(store: PostgresStore) {
        self.store = store
    }

    package func ensureTenant(_ tenant: Tenant.ID) async throws(RepositoryError) {
        try await self.store.transaction { transaction in
            let made = try transaction.query(
                "INSERT INTO tenants (tenant_id) VALUES ($1) ON CONFLICT DO NOTHING RETURNING tenant",
                [tenant.string]
            ) { row in try row.decode(0, as: Int32.self) }
            // Nodes learn of a tenant no later than of its first item, which they would not know where to put.
            guard let number = made.first else { return }
            _ = try PostgresStore.appendControl(
                &transaction,
                tenant: number,
                kind: PostgresControlRepository.Kind.tenant
            )
        }
    }

    package func isEmpty(tenant: Tenant.ID) async throws(RepositoryError) -> Bool {
        guard let number = try await self.store.number(of: tenant) else { return true }
        let found = try await self.store.mapped {
            try await self.store.client.query(
                """
                SELECT EXISTS (SELECT FROM items WHERE tenant = $1)
                    OR EXISTS (SELECT FROM interactions WHERE tenant = $1)
                """,
                [number]
            ) { row in try row.decode(0, as: Bool.self) }
        }
        return !found[0]
    }

    // MARK: Items

    package func store(
        items: [Item],
        tenant: Tenant.ID
    ) async throws(RepositoryError) -> (new: Int, changed: Int, unchanged: Int) {
        let number = try await self.store.requiredNumber(of: tenant)
        return try await self.store.transaction(timeout: .seconds(60)) { transaction in
            // Numbers are handed out under this row's lock, so none is given twice.
            try transaction.execute(
                "INSERT INTO item_numbers (tenant) VALUES ($1) ON CONFLICT DO NOTHING",
                [number]
            )
            try transaction.execute("SELECT next FROM item_numbers WHERE tenant = $1 FOR UPDATE", [number])
            try transaction.execute(
                """
                CREATE TEMPORARY TABLE import_items (
                    place bigint, item_id text COLLATE "C", title text, categories text[], creator text, campaigns text[],
                    price double precision, regions text[], available_from timestamptz, available_until timestamptz,
                    in_stock boolean, hidden boolean
                ) ON COMMIT DROP
                """
            )
            _ = try transaction.copyIn("import_items") { writer in
                for (place, item) in items.enumerated() {
                    try writer.append(Int64(place))
                    try writer.append(item.id.string)
                    try writer.append(item.title)
                    try writer.append(item.categories)
                    try writer.append(item.creator)
                    try writer.append(item.campaigns)
                    try writer.append(item.price)
                    try writer.append(item.regions)
                    try writer.append(item.availableFrom?.postgres)
                    try writer.append(item.availableUntil?.postgres)
                    try writer.append(item.inStock)
                    try writer.append(item.hidden)
                }
            }
            let changed = try transaction.execute(
                """
                UPDATE items i SET title = n.title, categories = n.categories, creator = n.creator,
                    campaigns = n.campaigns, price = n.price, regions = n.regions, available_from = n.available_from,
                    available_until = n.available_until, in_stock = n.in_stock, hidden = n.hidden
                FROM (SELECT DISTINCT ON (item_id) * FROM import_items ORDER BY item_id, place DESC) n
                WHERE i.tenant = $1 AND i.item_id = n.item_id
                  AND (i.title, i.categories, i.creator, i.campaigns, i.price, i.regions, i.available_from,
                       i.available_until, i.in_stock, i.hidden)
                      IS DISTINCT FROM
                      (n.title, n.categories, n.creator, n.campaigns, n.price, n.regions, n.available_from,
                       n.available_until, n.in_stock, n.hidden)
                """,
                [number]
            )
            let new = try transaction.execute(
                """
                INSERT INTO items (tenant, number, item_id, title, categories, creator, campaigns, price, regions,
                                   available_from, available_until, in_stock, hidden)
                SELECT $1, (SELECT next FROM item_numbers WHERE tenant = $1) + row_number() OVER (ORDER BY place) - 1,
                       item_id, title, categories, creator, campaigns, price, regions, available_from, available_until,
                       in_stock, hidden
                FROM (SELECT DISTINCT ON (item_id) * FROM import_items ORDER BY item_id, place DESC) n
                WHERE NOT EXISTS (SELECT FROM items i WHERE i.tenant = $1 AND i.item_id = n.item_id)
                """,
                [number]
            )
            try transaction.execute("UPDATE item_numbers SET next = next + $2 WHERE tenant = $1", [number, Int64(new)])
            return (new, changed, items.count - new - changed)
        }
    }

    // MARK: Interactions

    package func store(
        interactions: [ImportedInteraction],
        alreadyRaised: Set<User.ID>,
        tenant: Tenant.ID
    ) async throws(RepositoryError) -> ImportedChunk {
        let number = try await self.store.requiredNumber(of: tenant)
        return try await self.store.transaction(timeout: .seconds(60)) { transaction in
            try Self.stage(interactions, in: &transaction)
            let unknown = try transaction.query(
                """
                SELECT line FROM import_interactions c
                WHERE NOT EXISTS (SELECT FROM items i WHERE i.tenant = $1 AND i.item_id = c.item_id) ORDER BY line
                """,
                [number]
            ) { row in try row.decode(0, as: Int.self) }
            try transaction.execute(
                """
                INSERT INTO user_state (tenant, user_id, version)
                SELECT $1, user_id, nextval('user_version_seq')
                FROM (SELECT DISTINCT c.user_id FROM import_interactions c
                      JOIN items i ON i.tenant = $1 AND i.item_id = c.item_id ORDER BY c.user_id) u
                ON CONFLICT (tenant, user_id) DO NOTHING
                """,
                [number]
            )
            // Without an event id, an event is known again by all its fields.
            let touched = try transaction.query(
                """
                WITH stored AS (
                    INSERT INTO interactions (tenant, user_number, item_number, type, value, occurred_at, event_id)
                    SELECT DISTINCT $1, u.number, i.number, c.type, c.value, c.occurred_at, c.event_id
                    FROM import_interactions c
                    JOIN user_state u ON u.tenant = $1 AND u.user_id = c.user_id
                    JOIN items i ON i.tenant = $1 AND i.item_id = c.item_id
                    WHERE c.event_id IS NOT NULL OR NOT EXISTS (
                        SELECT FROM interactions x
                        WHERE x.user_number = u.number AND x.occurred_at = c.occurred_at AND x.item_number = i.number
                          AND x.type = c.type AND x.value = c.value
                    )
                    ON CONFLICT (tenant, event_id) WHERE event_id IS NOT NULL DO NOTHING
                    RETURNING user_number
                )
                SELECT s.user_id, count(*) FROM stored JOIN user_state s ON s.number = stored.user_number
                GROUP BY s.user_id ORDER BY s.user_id
                """,
                [number]
            ) { row in (User.ID(trusted: try row.decode(0)), try row.decode(1, as: Int.self)) }
            let raised = touched.map(\.0).filter { !alreadyRaised.contains($0) }
            try Self.raise(raised, tenant: number, in: &transaction)
            let stored = touched.reduce(0) { $0 + $1.1 }
            return ImportedChunk(
                stored: stored,
                unchanged: interactions.count - unknown.count - stored,
                unknownItems: unknown,
                raised: raised
            )
        }
    }

    private static func stage(
        _ interactions: [ImportedInteraction],
        in transaction: inout PostgresTransaction
    ) throws {
        try transaction.execute(
            """
            CREATE TEMPORARY TABLE import_interactions (
                line bigint, user_id text COLLATE "C", item_id text COLLATE "C", type smallint, value real,
                occurred_at timestamptz, event_id text COLLATE "C"
            ) ON COMMIT DROP
            """
        )
        _ = try transaction.copyIn("import_interactions") { writer in
            for interaction in interactions {
                try writer.append(Int64(interaction.line))
                try writer.append(interaction.user.string)
                try writer.append(interaction.item.string)
                try writer.append(Int16(interaction.type.code))
                try writer.append(interaction.value)
                try writer.append(interaction.occurredAt.postgres)
                try writer.append(interaction.eventID)
            }
        }
        try transaction.execute("ANALYZE import_interactions")
    }

    /// Raises versions without the journal: the generation bump at the end of the import does for all.
    private static func raise(
        _ users: [User.ID],
        tenant: Int32,
        in transaction: inout PostgresTransaction
    ) throws(PostgresError) {
        guard !users.isEmpty else { return }
        try transaction.execute(
            """
            WITH locked AS (
                SELECT number FROM user_state WHERE tenant = $1 AND user_id = ANY($2) ORDER BY user_id FOR UPDATE
            )
            UPDATE user_state u SET version = greatest(u.version + 1, nextval('user_version_seq'))
            FROM locked WHERE u.number = locked.number
            """,
            [tenant, users.map(\.string)]
        )
    }

    package func finish(tenant: Tenant.ID) async throws(RepositoryError) -> Int64 {
        let number = try await self.store.requiredNumber(of: tenant)
        return try await self.store.transaction { transaction in
            try PostgresControlRepository.raiseGeneration(
                "tenant",
                "",
                tenant: number,
                kind: PostgresControlRepository.Kind.imported,
                in: &transaction
            )
        }
    }
}

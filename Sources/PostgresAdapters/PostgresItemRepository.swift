import Postgres
package import RecommendationCore

/// The catalogue, item by item; each write is one transaction with the item's row locked.
package struct PostgresItemRepository: ItemRepository {
    private let store: PostgresStore

    package init(store: PostgresStore) {
        self.store = store
    }

    private static func decode(_ row: borrowing PostgresRow) throws(PostgresError) -> NumberedItem {
        try PostgresItems.decode(row, from: 0)
    }

    // MARK: Reading

    package func item(_ id: Item.ID, tenant: Tenant.ID) async throws(RepositoryError) -> StoredItem? {
        guard let number = try await self.store.number(of: tenant) else { return nil }
        let rows = try await self.store.mapped {
            try await self.store.client.query(
                "SELECT \(PostgresItems.columns) FROM items i WHERE i.tenant = $1 AND i.item_id = $2",
                [number, id.string],
                decode: Self.decode
            )
        }
        return rows.first.map(StoredItem.init)
    }

    package func items(
        after id: Item.ID?,
        limit: Int,
        tenant: Tenant.ID
    ) async throws(RepositoryError) -> [StoredItem] {
        guard let number = try await self.store.number(of: tenant) else { return [] }
        // Every id comes after the empty text.
        let rows = try await self.store.mapped {
            try await self.store.client.query(
                "SELECT \(PostgresItems.columns) FROM items i WHERE i.tenant = $1 AND i.item_id > $2 ORDER BY i.item_id LIMIT $3",
                [number, id?.string ?? "", limit],
                decode: Self.decode
            )
        }
        return rows.map(StoredItem.init)
    }

    // MARK: Writing

    package func put(
        _ item: Item,
        if condition: ItemCondition,
        tenant: Tenant.ID
    ) async throws(RepositoryError) -> ItemWrite {
        guard item.violations.isEmpty else { return .invalid(item.violations) }
        let number = try await self.store.requiredNumber(of: tenant)
        return try await self.store.transaction { transaction in
            if let found = try Self.lock(item.id, tenant: number, in: &transaction) {
                return try Self.replace(found, by: item, if: condition, tenant: number, in: &transaction)
            }
            guard condition.holds(at: nil) else { return .conditionFailed }
            // Numbers are handed out under this row's lock; who waited for it looks again.
            let next = try transaction.query(
                """
                INSERT INTO item_numbers (tenant) VALUES ($1)
                ON CONFLICT (tenant) DO UPDATE SET next = item_numbers.next RETURNING next
                """,
                [number]
            ) { row in try row.decode(0, as: Int64.self) }
            if let found = try Self.lock(item.id, tenant: number, in: &transaction) {
                return try Self.replace(found, by: item, if: condition, tenant: number, in: &transaction)
            }
            return try Self.insert(item, number: next[0], tenant: number, in: &transaction)
        }
    }

    package func patch(
        _ id: Item.ID,
        _ patch: ItemPatch,
        if condition: ItemCondition,
        tenant: Tenant.ID
    ) async throws(RepositoryError) -> ItemWrite {
        guard let number = try await self.store.number(of: tenant) else { return .unknown }
        return try await self.store.transaction { transaction in
            guard let found = try Self.lock(id, tenant: number, in: &transaction) else { return .unknown }
            let item = patch.applied(to: found.item)
            guard item.violations.isEmpty else { return .invalid(item.violations) }
            return try Self.replace(found, by: item, if: condition, tenant: number, in: &transaction)
        }
    }

    package func delete(
        _ id: Item.ID,
        if condition: ItemCondition,
        tenant: Tenant.ID
    ) async throws(RepositoryError) -> ItemDeletion {
        guard let number = try await self.store.number(of: tenant) else { return .unknown }
        return try await self.store.transaction { transaction in
            guard let found = try Self.lock(id, tenant: number, in: &transaction) else { return .unknown }
            guard condition.holds(at: found.revision) else { return .conditionFailed }
            // The trigger leaves a row for nodes to follow.
            try transaction.execute(
                "DELETE FROM items WHERE tenant = $1 AND number = $2",
                [number, Int32(bitPattern: found.number)]
            )
            // Last, because others wait for this lock.
            let epoch = try PostgresStore.appendControl(
                &transaction,
                tenant: number,
                kind: PostgresControlRepository.Kind.tombstones
            )
            // For good, whatever end a tombstone may have had before.
            try transaction.execute(
                """
                INSERT INTO tombstones (tenant, kind, key, reason, epoch) VALUES ($1, 'item', $2, 'deleted', $3)
                ON CONFLICT (tenant, kind, key) DO UPDATE
                SET reason = excluded.reason, expires_at = NULL, epoch = excluded.epoch
                """,
                [number, id.string, epoch]
            )
            return .deleted(epoch: epoch)
        }
    }

    private static func lock(
        _ id: Item.ID,
        tenant: Int32,
        in transaction: inout PostgresTransaction
    ) throws(PostgresError) -> NumberedItem? {
        try transaction.query(
            "SELECT \(PostgresItems.columns) FROM items i WHERE i.tenant = $1 AND i.item_id = $2 FOR UPDATE",
            [tenant, id.string]
        ) { row in try PostgresItems.decode(row, from: 0) }.first
    }

    private static func insert(
        _ item: Item,
        number: Int64,
        tenant: Int32,
        in transaction: inout PostgresTransaction
    ) throws(PostgresError) -> ItemWrite {
        var bindings: PostgresBindings = [tenant, item.id.string]
        Self.bind(item, to: &bindings)
        bindings.append(number)
        let revisions = try transaction.query(
            """
            INSERT INTO items (tenant, item_id, title, categories, creator, campaigns, labels, price, regions,
                               available_from, available_until, in_stock, hidden, number)
            VALUES ($1, $2, $3, $4, $5, $6, jsonb_object($7::text[], $8::text[]), $9, $10, $11, $12, $13, $14, $15)
            RETURNING revision
            """,
            bindings
        ) { row in try row.decode(0, as: Int64.self) }
        try transaction.execute("UPDATE item_numbers SET next = next + 1 WHERE tenant = $1", [tenant])
        return .stored(revision: revisions[0], created: true)
    }

    private static func replace(
        _ found: NumberedItem,
        by item: Item,
        if condition: ItemCondition,
        tenant: Int32,
        in transaction: inout PostgresTransaction
    ) throws(PostgresError) -> ItemWrite {
        guard condition.holds(at: found.revision) else { return .conditionFailed }
        var bindings: PostgresBindings = [tenant, Int32(bitPattern: found.number)]
        Self.bind(item, to: &bindings)
        let revisions = try transaction.query(
            """
            UPDATE items SET title = $3, categories = $4, creator = $5, campaigns = $6,
                labels = jsonb_object($7::text[], $8::text[]), price = $9, regions = $10, available_from = $11,
                available_until = $12, in_stock = $13, hidden = $14
            WHERE tenant = $1 AND number = $2
              AND (title, categories, creator, campaigns, labels, price, regions, available_from, available_until,
                   in_stock, hidden)
                  IS DISTINCT FROM
                  ($3, $4, $5, $6, jsonb_object($7::text[], $8::text[]), $9, $10, $11, $12, $13, $14)
            RETURNING revision
            """,
            bindings
        ) { row in try row.decode(0, as: Int64.self) }
        return .stored(revision: revisions.first ?? found.revision, created: false)
    }

    /// Title to hidden; labels as their names and their values.
    private static func bind(_ item: Item, to bindings: inout PostgresBindings) {
        bindings.append(item.title)
        bindings.append(item.categories)
        bindings.append(item.creator)
        bindings.append(item.campaigns)
        LabelDocument.bind(item.labels, to: &bindings)
        bindings.append(item.price)
        bindings.append(item.regions)
        bindings.append(item.availableFrom?.postgres)
        bindings.append(item.availableUntil?.postgres)
        bindings.append(item.inStock)
        bindings.append(item.hidden)
    }
}

extension StoredItem {
    fileprivate init(_ numbered: NumberedItem) {
        self.init(item: numbered.item, revision: numbered.revision, createdAt: numbered.createdAt)
    }
}

import Postgres
package import RecommendationCore

/// The control log, and the state it compacts to.
package struct PostgresControlRepository: ControlRepository {
    private let store: PostgresStore

    package init(store: PostgresStore) {
        self.store = store
    }

    /// Kinds of rows in the control log.
    enum Kind {
        static let tombstones = "tombstones"
        static let purge = "purge"
        static let model = "model"
        static let keys = "keys"
        static let imported = "import"
        static let tenant = "tenant"
        static let policy = "policy"
    }

    // MARK: Following

    package func delta(after id: Int64?, items position: UInt64?) async throws(RepositoryError) -> ControlDelta {
        if let id, let position, let still = try await self.unchanged(after: id, items: position) { return still }
        try await PostgresIncarnation.ensure(self.store)
        return try await self.store.transaction(
            isolation: .repeatableRead,
            readOnly: true,
            timeout: PostgresStore.bulkTimeout
        ) { transaction in
            try Self.delta(after: id, items: position, in: &transaction)
        }
    }

    /// The delta where nothing changed, by one statement; nil where something did.
    private func unchanged(after id: Int64, items position: UInt64) async throws(RepositoryError) -> ControlDelta? {
        let rows = try await self.store.mapped {
            try await self.store.client.read(
                """
                SELECT i.id, (SELECT coalesce(max(id), 0) FROM control_log), pg_snapshot_xmin(pg_current_snapshot()),
                       EXISTS (SELECT FROM items WHERE xid >= $1)
                           OR EXISTS (SELECT FROM item_deletions WHERE xid >= $1),
                       \(PostgresIncarnation.isCurrent)
                FROM incarnation i
                """,
                [position]
            ) { row in
                (
                    try row.decode(0, as: String.self), try row.decode(1, as: Int64.self),
                    try row.decode(2, as: UInt64.self), try row.decode(3, as: Bool.self),
                    try row.decode(4, as: Bool.self)
                )
            }
        }
        guard let (incarnation, head, next, itemsChanged, isSame) = rows.first, isSame, head == id, !itemsChanged
        else { return nil }
        return ControlDelta(
            incarnation: incarnation,
            head: head,
            tenants: [],
            keys: nil,
            items: [],
            itemPosition: next
        )
    }

    private static func delta(
        after id: Int64?,
        items position: UInt64?,
        in transaction: inout PostgresTransaction
    ) throws(PostgresError) -> ControlDelta {
        let heads = try transaction.query(
            """
            SELECT i.id, (SELECT coalesce(max(id), 0) FROM control_log), pg_snapshot_xmin(pg_current_snapshot())
            FROM incarnation i
            """
        ) { row in
            (try row.decode(0, as: String.self), try row.decode(1, as: Int64.self), try row.decode(2, as: UInt64.self))
        }
        let (incarnation, head, next) = heads[0]
        let changes = try transaction.query(
            """
            SELECT t.tenant, t.tenant_id, coalesce(array_agg(DISTINCT c.kind) FILTER (WHERE c.kind IS NOT NULL), '{}')
            FROM tenants t LEFT JOIN control_log c ON c.tenant = t.tenant AND c.id > $1
            GROUP BY t.tenant, t.tenant_id
            """,
            [id ?? 0]
        ) { row in
            (
                try row.decode(0, as: Int32.self), Tenant.ID(trusted: try row.decode(1)),
                Set(try row.decode(2, as: [String].self))
            )
        }
        var controls: [TenantControl] = []
        for (number, tenant, kinds) in changes where id == nil || !kinds.isEmpty {
            controls.append(try Self.control(number, tenant, in: &transaction))
        }
        let keysChanged = id == nil || changes.contains { $0.2.contains(Kind.keys) }
        return ControlDelta(
            incarnation: incarnation,
            head: head,
            tenants: controls,
            keys: keysChanged ? try PostgresAPIKeyRepository.keys(in: &transaction) : nil,
            items: try PostgresItems.changed(since: position ?? 0, in: &transaction),
            // Who begins has nothing that could be deleted.
            deletedItems: try position.map { (position) throws(PostgresError) in
                try PostgresItems.deleted(since: position, in: &transaction)
            } ?? [],
            itemPosition: next
        )
    }

    private static func control(
        _ number: Int32,
        _ tenant: Tenant.ID,
        in transaction: inout PostgresTransaction
    ) throws(PostgresError) -> TenantControl {
        var generations = Generations()
        let rows = try transaction.query(
            "SELECT scope, key, generation FROM generations WHERE tenant = $1",
            [number]
        ) { row in
            (try row.decode(0, as: String.self), try row.decode(1, as: String.self), try row.decode(2, as: Int64.self))
        }
        for (scope, key, generation) in rows {
            switch scope {
            case "surface": generations.surfaces[key] = generation
            case "model": generations.models[key] = generation
            case "policy": generations.policies[key] = generation
            default: generations.tenant = generation
            }
        }
        let models = try transaction.query(
            """
            SELECT number, state FROM model_versions m WHERE tenant = $1 AND state <> 'building'
              AND EXISTS (SELECT FROM model_chunks c WHERE c.model = m.number) ORDER BY number DESC
            """,
            [number]
        ) { row in (try row.decode(0, as: Int64.self), try row.decode(1, as: String.self)) }
        let active = models.first { $0.1 == "active" }?.0
        let policies = try PostgresPolicyRepository.inForce(number, in: &transaction)
        return TenantControl(
            tenant: tenant,
            tombstones: try Self.tombstones(kind: nil, tenant: number, in: &transaction),
            generations: generations,
            activeModel: active,
            readyModel: models.first { $0.1 == "ready" && $0.0 > (active ?? 0) }?.0,
            previousModel: models.first { $0.1 == "retired" && $0.0 < (active ?? .max) }?.0,
            activePolicy: policies.active,
            previousPolicy: policies.previous
        )
    }

    // MARK: Changing

    package func addTombstones(
        _ tombstones: [Tombstone],
        reason: String?,
        expiresAt: Timestamp?,
        tenant: Tenant.ID
    ) async throws(RepositoryError) -> (epoch: Int64, changed: Int) {
        let number = try await self.store.requiredNumber(of: tenant)
        return try await self.store.transaction { transaction in
            let epoch = try PostgresStore.appendControl(&transaction, tenant: number, kind: Kind.tombstones)
            // One that is there already takes the new reason and expiry, and does not count as added.
            let added = try transaction.query(
                """
                INSERT INTO tombstones (tenant, kind, key, reason, expires_at, epoch)
                SELECT $1, kind, key, $4, $5, $6 FROM unnest($2::text[], $3::text[]) AS given (kind, key)
                ON CONFLICT (tenant, kind, key) DO UPDATE
                SET reason = excluded.reason, expires_at = excluded.expires_at, epoch = excluded.epoch
                RETURNING xmax = 0
                """,
                [
                    number, tombstones.map(\.kind.rawValue), tombstones.map(\.key.string), reason, expiresAt?.postgres,
                    epoch,
                ]
            ) { row in try row.decode(0, as: Bool.self) }
            return (epoch, added.count { $0 })
        }
    }

    package func removeTombstones(
        _ tombstones: [Tombstone],
        tenant: Tenant.ID
    ) async throws(RepositoryError) -> (epoch: Int64, changed: Int) {
        let number = try await self.store.requiredNumber(of: tenant)
        return try await self.store.transaction { transaction in
            let epoch = try PostgresStore.appendControl(&transaction, tenant: number, kind: Kind.tombstones)
            let removed = try transaction.execute(
                """
                DELETE FROM tombstones WHERE tenant = $1
                  AND (kind, key) IN (SELECT kind, key COLLATE "C" FROM unnest($2::text[], $3::text[]) AS given (kind, key))
                """,
                [number, tombstones.map(\.kind.rawValue), tombstones.map(\.key.string)]
            )
            return (epoch, removed)
        }
    }

    package func tombstones(
        kind: Tombstone.Kind?,
        tenant: Tenant.ID
    ) async throws(RepositoryError) -> [ListedTombstone] {
        guard let number = try await self.store.number(of: tenant) else { return [] }
        return try await self.store.transaction(readOnly: true) { transaction in
            try Self.tombstones(kind: kind, tenant: number, in: &transaction)
        }
    }

    private static func tombstones(
        kind: Tombstone.Kind?,
        tenant: Int32,
        in transaction: inout PostgresTransaction
    ) throws(PostgresError) -> [ListedTombstone] {
        let rows = try transaction.query(
            """
            SELECT kind, key, reason, expires_at, epoch, created_at FROM tombstones
            WHERE tenant = $1 AND ($2::text IS NULL OR kind = $2) ORDER BY epoch DESC, kind, key
            """,
            [tenant, kind?.rawValue]
        ) { row -> ListedTombstone? in
            guard let kind = Tombstone.Kind(rawValue: try row.decode(0)) else { return nil }
            return ListedTombstone(
                tombstone: Tombstone(kind: kind, key: Identifier(trusted: try row.decode(1))),
                reason: try row.decode(2),
                expiresAt: try row.decode(3, as: PostgresTimestamp?.self).map(Timestamp.init),
                epoch: try row.decode(4),
                createdAt: Timestamp(try row.decode(5))
            )
        }
        return rows.compactMap(\.self)
    }

    package func purge(_ scope: PurgeScope, tenant: Tenant.ID) async throws(RepositoryError) -> Int64 {
        let (name, key, owner): (String, String, Tenant.ID) =
            switch scope {
            case .surface(let surface): ("surface", surface, tenant)
            case .model(let model): ("model", model, tenant)
            case .policy(let policy): ("policy", policy, tenant)
            case .tenant(let other): ("tenant", "", other)
            case .user: throw .conflict("a user is purged by its version")
            }
        let number = try await self.store.requiredNumber(of: owner)
        return try await self.store.transaction { transaction in
            try Self.raiseGeneration(name, key, tenant: number, kind: Kind.purge, in: &transaction)
        }
    }

    static func raiseGeneration(
        _ scope: String,
        _ key: String,
        tenant: Int32,
        kind: String,
        in transaction: inout PostgresTransaction
    ) throws(PostgresError) -> Int64 {
        let id = try PostgresStore.appendControl(&transaction, tenant: tenant, kind: kind)
        try transaction.execute(
            """
            INSERT INTO generations (tenant, scope, key, generation) VALUES ($1, $2, $3, $4)
            ON CONFLICT (tenant, scope, key) DO UPDATE SET generation = greatest(generations.generation, excluded.generation)
            """,
            [tenant, scope, key, id]
        )
        return id
    }
}

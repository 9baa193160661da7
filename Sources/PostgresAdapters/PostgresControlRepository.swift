import Postgres
package import RecommendationCore

/// The control log, and the state it compacts to.
package struct PostgresControlRepository: ControlRepository {
    let store: PostgresStore

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
        static let experiment = "experiment"
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
                       \(PostgresIncarnation.isCurrent), \(Self.readsFirstTokens)
                FROM incarnation i
                """,
                [position]
            ) { row in
                (
                    try row.decode(0, as: String.self), try row.decode(1, as: Int64.self),
                    try row.decode(2, as: UInt64.self), try row.decode(3, as: Bool.self),
                    try row.decode(4, as: Bool.self), try row.decode(5, as: Bool.self)
                )
            }
        }
        guard let (incarnation, head, next, itemsChanged, isSame, readsFirst) = rows.first, isSame, head == id,
            !itemsChanged
        else { return nil }
        return ControlDelta(
            incarnation: incarnation,
            head: head,
            tenants: [],
            keys: nil,
            items: [],
            itemPosition: next,
            readsFirstTokens: readsFirst
        )
    }

    /// Whether a program of the version before serves, which reads tracking tokens of version 1 alone.
    private static let readsFirstTokens: PostgresStatement = """
        EXISTS (SELECT FROM nodes WHERE seen_at > now() - interval '10 seconds'
                AND reads_tokens_since IS DISTINCT FROM started_at)
        """

    private static func delta(
        after id: Int64?,
        items position: UInt64?,
        in transaction: inout PostgresTransaction
    ) throws(PostgresError) -> ControlDelta {
        let heads = try transaction.query(
            """
            SELECT i.id, (SELECT coalesce(max(id), 0) FROM control_log), pg_snapshot_xmin(pg_current_snapshot()),
                   (SELECT coalesce(min(id), 0) FROM control_log), \(Self.readsFirstTokens)
            FROM incarnation i
            """
        ) { row in
            (
                try row.decode(0, as: String.self), try row.decode(1, as: Int64.self),
                try row.decode(2, as: UInt64.self), try row.decode(3, as: Int64.self),
                try row.decode(4, as: Bool.self)
            )
        }
        let (incarnation, head, next, first, readsFirst) = heads[0]
        // What follows the id may be among what is not kept any more: then everything is read, as by who begins.
        let after = id.flatMap { first <= $0 + 1 ? $0 : nil }
        let changes = try Self.changes(after: after, in: &transaction)
        var controls: [TenantControl] = []
        var tombstones: [Tenant.ID: TombstoneDelta] = [:]
        for (number, tenant, _) in changes {
            controls.append(try Self.control(number, tenant, in: &transaction))
            tombstones[tenant] = try Self.tombstones(after: after, tenant: number, in: &transaction)
        }
        let keysChanged = after == nil || changes.contains { $0.kinds.contains(Kind.keys) }
        return ControlDelta(
            incarnation: incarnation,
            head: head,
            tenants: controls,
            tombstones: tombstones,
            keys: keysChanged ? try PostgresAPIKeyRepository.keys(in: &transaction) : nil,
            items: try PostgresItems.changed(since: position ?? 0, in: &transaction),
            // Who begins has nothing that could be deleted.
            deletedItems: try position.map { (position) throws(PostgresError) in
                try PostgresItems.deleted(since: position, in: &transaction)
            } ?? [],
            itemPosition: next,
            readsFirstTokens: readsFirst
        )
    }

    /// The tenants of which the log says something after an id, and of what kinds; nil: all tenants, whatever it says.
    private static func changes(
        after id: Int64?,
        in transaction: inout PostgresTransaction
    ) throws(PostgresError) -> [(number: Int32, tenant: Tenant.ID, kinds: Set<String>)] {
        guard let id else {
            return try transaction.query("SELECT tenant, tenant_id FROM tenants") { row in
                (try row.decode(0), Tenant.ID(trusted: try row.decode(1)), [])
            }
        }
        return try transaction.query(
            """
            SELECT t.tenant, t.tenant_id, array_agg(DISTINCT c.kind) FROM control_log c JOIN tenants t USING (tenant)
            WHERE c.id > $1 GROUP BY t.tenant, t.tenant_id
            """,
            [id]
        ) { row in
            (
                try row.decode(0), Tenant.ID(trusted: try row.decode(1)), Set(try row.decode(2, as: [String].self))
            )
        }
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
            SELECT number, state, warmed_at FROM model_versions m WHERE tenant = $1 AND state IN ('ready', 'retired')
              AND EXISTS (SELECT FROM model_chunks c WHERE c.model = m.number)
            ORDER BY warmed_at DESC NULLS LAST, number DESC
            """,
            [number]
        ) { row in
            (
                number: try row.decode(0, as: Int64.self), isReady: try row.decode(1, as: String.self) == "ready",
                isWarm: try row.decode(2, as: PostgresTimestamp?.self) != nil
            )
        }
        let withdrawn = try transaction.query("SELECT withdrawn FROM tenants WHERE tenant = $1", [number]) { row in
            try row.decode(0, as: Int64.self)
        }
        let standing = try PostgresModelRepository.standing(number, in: &transaction)
        let policies = try PostgresPolicyRepository.inForce(number, in: &transaction)
        return TenantControl(
            tenant: tenant,
            generations: generations,
            activeModel: standing.active,
            readyModel: models.filter { $0.isReady && $0.number > (standing.active ?? 0) }.map(\.number).max(),
            previousModel: standing.previous.flatMap { previous in
                models.contains { $0.number == previous } ? previous : nil
            },
            canaryModel: standing.canary,
            warmModel: models.first { $0.isWarm }?.number,
            activePolicy: policies.active,
            previousPolicy: policies.previous,
            canaryPolicy: policies.canary,
            canaryDocument: policies.canaryDocument,
            withdrawn: withdrawn.first ?? 0,
            experiments: try Self.running(number, in: &transaction)
        )
    }

    /// The experiments that run, with the policies that they serve by.
    private static func running(
        _ tenant: Int32,
        in transaction: inout PostgresTransaction
    ) throws(PostgresError) -> [RunningExperiment] {
        let experiments = try PostgresExperimentRepository.experiments(tenant, isRunning: true, in: &transaction)
        var running: [RunningExperiment] = []
        for experiment in experiments {
            var policies: [StoredPolicy] = []
            let versions = Set(experiment.variants.compactMap(\.policy)).subtracting([Policy.builtIn.version])
            for version in versions.sorted() {
                if let policy = try PostgresPolicyRepository.policy(version, tenant: tenant, in: &transaction) {
                    policies.append(policy)
                }
            }
            running.append(RunningExperiment(experiment: experiment, policies: policies))
        }
        return running
    }

    // MARK: Purging

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

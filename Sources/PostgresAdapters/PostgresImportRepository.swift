import Postgres
package import RecommendationCore

/// Whole files, a chunk a transaction.
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

    package func interactions(tenant: Tenant.ID) -> any InteractionImport {
        PostgresInteractionImport(store: self.store, tenant: tenant)
    }

    package func store(
        items: [ImportedItem],
        onlyNew: Bool,
        tenant: Tenant.ID
    ) async throws(RepositoryError) -> ImportedCounts {
        let number = try await self.store.requiredNumber(of: tenant)
        return try await self.store.transaction(timeout: .seconds(60)) { transaction in
            try ItemChunkWrite(tenant: number).run(items, onlyNew: onlyNew, in: &transaction)
        }
    }

    package func store(
        users: [ImportedUser],
        tenant: Tenant.ID
    ) async throws(RepositoryError) -> ImportedCounts {
        let number = try await self.store.requiredNumber(of: tenant)
        return try await self.store.transaction(timeout: .seconds(60)) { transaction in
            try UserChunkWrite(tenant: number).run(users, in: &transaction)
        }
    }

    package func analyze(_ kinds: Set<ImportedKind>) async throws(RepositoryError) {
        // A table that is being vacuumed is passed over: its statistics are about to come.
        let statements: [(kind: ImportedKind, statement: PostgresStatement)] = [
            (.items, "ANALYZE (SKIP_LOCKED) items"),
            (.users, "ANALYZE (SKIP_LOCKED) users, user_state, suppressions"),
            (.interactions, "ANALYZE (SKIP_LOCKED) interactions, user_state"),
        ]
        // Beside each other: each keeps one core of the server busy for a moment.
        let client = self.store.client
        try await self.store.mapped {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for (kind, statement) in statements where kinds.contains(kind) {
                    group.addTask { try await client.executeScript(statement, timeout: .seconds(60)) }
                }
                try await group.waitForAll()
            }
        }
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

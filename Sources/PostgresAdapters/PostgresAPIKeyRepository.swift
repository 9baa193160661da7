import Postgres
package import RecommendationCore

/// API keys; a change is a row of the control log.
package struct PostgresAPIKeyRepository: APIKeyRepository {
    private let store: PostgresStore

    package init(store: PostgresStore) {
        self.store = store
    }

    package func create(_ key: APIKey) async throws(RepositoryError) {
        try await self.store.transaction { transaction in
            try transaction.execute(
                "INSERT INTO tenants (tenant_id) VALUES ($1) ON CONFLICT DO NOTHING",
                [key.tenant.string]
            )
            let tenants = try transaction.query("SELECT tenant FROM tenants WHERE tenant_id = $1", [key.tenant.string])
            {
                row in try row.decode(0, as: Int32.self)
            }
            _ = try PostgresStore.appendControl(
                &transaction,
                tenant: tenants[0],
                kind: PostgresControlRepository.Kind.keys
            )
            try transaction.execute(
                "INSERT INTO api_keys (key_id, tenant, scopes, secret_hash, created_at) VALUES ($1, $2, $3, $4, $5)",
                [key.id, tenants[0], key.scopes.map(\.rawValue).sorted(), key.secretHash, key.createdAt.postgres]
            )
        }
    }

    package func keys() async throws(RepositoryError) -> [APIKey] {
        try await self.store.transaction(readOnly: true) { transaction in try Self.keys(in: &transaction) }
    }

    static func keys(in transaction: inout PostgresTransaction) throws(PostgresError) -> [APIKey] {
        try transaction.query(
            """
            SELECT k.key_id, t.tenant_id, k.scopes, k.secret_hash, k.created_at
            FROM api_keys k JOIN tenants t USING (tenant) WHERE k.revoked_at IS NULL ORDER BY k.created_at, k.key_id
            """
        ) { row in
            APIKey(
                id: try row.decode(0),
                tenant: Tenant.ID(trusted: try row.decode(1)),
                scopes: Set(try row.decode(2, as: [String].self).compactMap(Scope.init(rawValue:))),
                secretHash: try row.decode(3),
                createdAt: Timestamp(try row.decode(4))
            )
        }
    }

    package func revoke(_ id: String) async throws(RepositoryError) -> Bool {
        try await self.store.transaction { transaction in
            let tenants = try transaction.query(
                "UPDATE api_keys SET revoked_at = now() WHERE key_id = $1 AND revoked_at IS NULL RETURNING tenant",
                [id]
            ) { row in try row.decode(0, as: Int32.self) }
            guard let tenant = tenants.first else { return false }
            _ = try PostgresStore.appendControl(&transaction, tenant: tenant, kind: PostgresControlRepository.Kind.keys)
            return true
        }
    }
}

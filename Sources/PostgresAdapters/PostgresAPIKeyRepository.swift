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
                """
                INSERT INTO api_keys (key_id, tenant, scopes, secret_hash, created_at, rate_limit, rate_burst)
                VALUES ($1, $2, $3, $4, $5, $6, $7)
                """,
                [
                    key.id, tenants[0], key.scopes.map(\.rawValue).sorted(), key.secretHash, key.createdAt.postgres,
                    key.limit.map { Int32($0.rate) }, key.limit.map { Int32($0.burst) },
                ]
            )
        }
    }

    package func keys() async throws(RepositoryError) -> [APIKey] {
        try await self.store.transaction(readOnly: true) { transaction in try Self.keys(in: &transaction) }
    }

    static func keys(in transaction: inout PostgresTransaction) throws(PostgresError) -> [APIKey] {
        try transaction.query(
            """
            SELECT k.key_id, t.tenant_id, k.scopes, k.secret_hash, k.created_at, k.rate_limit, k.rate_burst
            FROM api_keys k JOIN tenants t USING (tenant) WHERE k.revoked_at IS NULL ORDER BY k.created_at, k.key_id
            """
        ) { row in
            let (rate, burst): (Int32?, Int32?) = (try row.decode(5), try row.decode(6))
            return APIKey(
                id: try row.decode(0),
                tenant: Tenant.ID(trusted: try row.decode(1)),
                scopes: Set(try row.decode(2, as: [String].self).compactMap(Scope.init(rawValue:))),
                secretHash: try row.decode(3),
                createdAt: Timestamp(try row.decode(4)),
                limit: RateLimit(rate: Int(rate ?? 0), burst: Int(burst ?? 0))
            )
        }
    }

    package func limit(_ id: String, to limit: RateLimit?) async throws(RepositoryError) -> Bool {
        try await self.change(
            "UPDATE api_keys SET rate_limit = $2, rate_burst = $3 WHERE key_id = $1 AND revoked_at IS NULL RETURNING tenant",
            [id, limit.map { Int32($0.rate) }, limit.map { Int32($0.burst) }]
        )
    }

    package func revoke(_ id: String) async throws(RepositoryError) -> Bool {
        try await self.change(
            "UPDATE api_keys SET revoked_at = now() WHERE key_id = $1 AND revoked_at IS NULL RETURNING tenant",
            [id]
        )
    }

    /// Changes a key and says so in the control log; false where the statement finds none.
    private func change(
        _ statement: PostgresStatement,
        _ arguments: PostgresBindings
    ) async throws(RepositoryError) -> Bool {
        try await self.store.transaction { transaction in
            let tenants = try transaction.query(statement, arguments) { row in try row.decode(0, as: Int32.self) }
            guard let tenant = tenants.first else { return false }
            _ = try PostgresStore.appendControl(&transaction, tenant: tenant, kind: PostgresControlRepository.Kind.keys)
            return true
        }
    }
}

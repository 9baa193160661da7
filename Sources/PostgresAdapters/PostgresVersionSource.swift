package import Caching
import Postgres
import RecommendationCore

/// The versions of users by the keys of their cache entries, any number in one statement.
package struct PostgresVersionSource: VersionSource {
    private let store: PostgresStore
    private let patience: Duration?
    private let incarnation: @Sendable () -> String

    /// - Parameters:
    ///   - patience: How long a read may take before the store counts as gone; nil: as long as any.
    ///   - incarnation: The current one; owners of another are unknown.
    package init(store: PostgresStore, patience: Duration? = nil, incarnation: @escaping @Sendable () -> String) {
        self.store = store
        self.patience = patience
        self.incarnation = incarnation
    }

    package func versions(of keys: [CacheKey]) async throws(VersionSourceError) -> [Int64] {
        let incarnation = self.incarnation()
        do {
            // A key that is none of a user's asks for a tenant that does not exist.
            var tenants: [Int32] = []
            var users: [String] = []
            for key in keys {
                var tenant: Int32?
                let parts = key.parts
                if let parts, parts.namespace == incarnation {
                    tenant = try await self.store.number(of: Tenant.ID(trusted: parts.owner))
                }
                tenants.append(tenant ?? -1)
                users.append(parts?.member ?? "")
            }
            let asked = (tenants, users)
            return try await self.store.mapped {
                try await self.store.client.query(
                    """
                    SELECT coalesce(s.version, 0)
                    FROM unnest($1::integer[], $2::text[]) WITH ORDINALITY AS asked (tenant, user_id, place)
                    LEFT JOIN user_state s ON s.tenant = asked.tenant AND s.user_id = asked.user_id
                    ORDER BY asked.place
                    """,
                    [asked.0, asked.1],
                    timeout: self.patience
                ) { row in try row.decode(0, as: Int64.self) }
            }
        } catch {
            throw .unavailable
        }
    }
}

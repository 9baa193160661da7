package import Caching
import Postgres
import RecommendationCore

/// The versions of users by the keys of their cache entries, any number in one statement.
package struct PostgresVersionSource: VersionSource {
    private let store: PostgresStore
    private let reads: ServingReads
    private let incarnation: @Sendable () -> String

    /// - Parameters:
    ///   - reads: Of the same store, for requests.
    ///   - incarnation: The current one; owners of another are unknown.
    package init(store: PostgresStore, reads: ServingReads, incarnation: @escaping @Sendable () -> String) {
        self.store = store
        self.reads = reads
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
                    tenant = try await self.store.number(of: Tenant.ID(trusted: parts.owner), by: self.reads)
                }
                tenants.append(tenant ?? -1)
                users.append(parts?.member ?? "")
            }
            let asked = (tenants, users)
            return try await self.store.mapped {
                try await self.reads.read(
                    """
                    SELECT coalesce(s.version, 0)
                    FROM unnest($1::integer[], $2::text[]) WITH ORDINALITY AS asked (tenant, user_id, place)
                    LEFT JOIN user_state s ON s.tenant = asked.tenant AND s.user_id = asked.user_id
                    ORDER BY asked.place
                    """,
                    [asked.0, asked.1]
                ) { row in try row.decode(0, as: Int64.self) }
            }
        } catch {
            throw .unavailable
        }
    }
}

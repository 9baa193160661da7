import PostgresAdapters
import RecommendationCore
import Testing

extension PostgresPolicyRepository {
    /// Puts a version in force, whatever is.
    func activated(
        _ version: String,
        share: Int = 10_000,
        tenant: Tenant.ID = .default
    ) async throws -> PolicyStanding {
        try #require(await self.activate(version, share: share, expected: nil, tenant: tenant))
    }

    /// Takes a version out of force, whatever is.
    func rolledBack(_ version: String, tenant: Tenant.ID = .default) async throws -> PolicyStanding {
        try #require(await self.rollback(version, expected: nil, tenant: tenant))
    }
}

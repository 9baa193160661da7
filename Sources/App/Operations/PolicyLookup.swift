import HTTPAPI
import PostgresAdapters
package import RecommendationCore
import Serving

/// Policies of the store, for commands that score or train by one.
package struct PolicyLookup: Sendable {
    private let policies: any PolicyRepository

    package enum Failure: Error, CustomStringConvertible, Sendable {
        case missing(version: String, tenant: Tenant.ID)
        case unreadable(version: String, reason: String)

        package var description: String {
            switch self {
            case .missing(let version, let tenant): "tenant \(tenant) has no policy \(version)"
            case .unreadable(let version, let reason): "policy \(version) cannot be read by this program: \(reason)"
            }
        }
    }

    package init(session: StoreSession) {
        self.policies = PostgresPolicyRepository(store: session.store)
    }

    /// The policy in force of a tenant.
    package func active(tenant: Tenant.ID) async throws -> Policy {
        try await self.policy(self.policies.versions(tenant: tenant).standing.active, tenant: tenant)
    }

    package func policy(_ version: String, tenant: Tenant.ID) async throws -> Policy {
        if version == Policy.builtIn.version { return .builtIn }
        guard let stored = try await self.policies.policy(version, tenant: tenant) else {
            throw Failure.missing(version: version, tenant: tenant)
        }
        do {
            return try PolicyCodec.json.decode(stored)
        } catch {
            throw Failure.unreadable(version: error.version, reason: error.reason)
        }
    }
}

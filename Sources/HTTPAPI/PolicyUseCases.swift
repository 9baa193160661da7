package import RecommendationCore
package import Serving

/// What the API can be asked for about policies.
package struct PolicyUseCases: Sendable {
    /// Stores a policy under its version; whether it is new.
    package var put: @Sendable (Policy, Tenant.ID) async throws(ServingError) -> Bool
    package var policy: @Sendable (String, Tenant.ID) async throws(ServingError) -> Policy?
    package var versions:
        @Sendable (Tenant.ID) async throws(ServingError) -> (versions: [PolicyVersion], standing: PolicyStanding)
    /// Version, `dry_run`, tenant; nil: there is no such version.
    package var activate: @Sendable (String, Bool, Tenant.ID) async throws(ServingError) -> PolicyChange?
    package var rollback: @Sendable (String, Bool, Tenant.ID) async throws(ServingError) -> PolicyChange

    package init(
        put: @escaping @Sendable (Policy, Tenant.ID) async throws(ServingError) -> Bool,
        policy: @escaping @Sendable (String, Tenant.ID) async throws(ServingError) -> Policy?,
        versions:
            @escaping @Sendable (Tenant.ID) async throws(ServingError) -> (
                versions: [PolicyVersion], standing: PolicyStanding
            ),
        activate: @escaping @Sendable (String, Bool, Tenant.ID) async throws(ServingError) -> PolicyChange?,
        rollback: @escaping @Sendable (String, Bool, Tenant.ID) async throws(ServingError) -> PolicyChange
    ) {
        self.put = put
        self.policy = policy
        self.versions = versions
        self.activate = activate
        self.rollback = rollback
    }
}

extension PolicyUseCases {
    /// The service, as the API asks it.
    package init(_ service: PolicyService) {
        self.init(
            put: { policy, tenant async throws(ServingError) in try await service.put(policy, tenant: tenant) },
            policy: { version, tenant async throws(ServingError) in
                try await service.policy(version, tenant: tenant)
            },
            versions: { tenant async throws(ServingError) in try await service.versions(tenant: tenant) },
            activate: { version, dryRun, tenant async throws(ServingError) in
                try await service.activate(version, dryRun: dryRun, tenant: tenant)
            },
            rollback: { version, dryRun, tenant async throws(ServingError) in
                try await service.rollback(version, dryRun: dryRun, tenant: tenant)
            }
        )
    }
}

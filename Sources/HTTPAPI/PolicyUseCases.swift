package import RecommendationCore
package import Serving

/// What the API can be asked for about policies.
package struct PolicyUseCases: Sendable {
    /// Stores a policy under its version; whether it is new.
    package var put: @Sendable (Policy, Tenant.ID) async throws(ServingError) -> Bool
    package var policy: @Sendable (String, Tenant.ID) async throws(ServingError) -> Policy?
    package var versions:
        @Sendable (Tenant.ID) async throws(ServingError) -> (versions: [PolicyVersion], standing: PolicyStanding)
    /// Version, how, tenant; nil: there is no such version.
    package var activate: @Sendable (String, PolicyActivation, Tenant.ID) async throws(ServingError) -> PolicyChange?
    package var rollback: @Sendable (String, PolicyActivation, Tenant.ID) async throws(ServingError) -> PolicyChange

    /// Version, on whom, tenant; nil: there is no such version.
    package var dryRun: @Sendable (String, PolicyTrial, Tenant.ID) async throws(ServingError) -> PolicyComparison?

    package init(
        put: @escaping @Sendable (Policy, Tenant.ID) async throws(ServingError) -> Bool,
        policy: @escaping @Sendable (String, Tenant.ID) async throws(ServingError) -> Policy?,
        versions:
            @escaping @Sendable (Tenant.ID) async throws(ServingError) -> (
                versions: [PolicyVersion], standing: PolicyStanding
            ),
        activate:
            @escaping @Sendable (String, PolicyActivation, Tenant.ID) async throws(ServingError) -> PolicyChange?,
        rollback:
            @escaping @Sendable (String, PolicyActivation, Tenant.ID) async throws(ServingError) -> PolicyChange,
        dryRun: @escaping @Sendable (String, PolicyTrial, Tenant.ID) async throws(ServingError) -> PolicyComparison?
    ) {
        self.put = put
        self.policy = policy
        self.versions = versions
        self.activate = activate
        self.rollback = rollback
        self.dryRun = dryRun
    }
}

extension PolicyUseCases {
    /// The services, as the API asks them.
    package init(_ service: PolicyService, _ trials: PolicyTrialService) {
        self.init(
            put: { policy, tenant async throws(ServingError) in try await service.put(policy, tenant: tenant) },
            policy: { version, tenant async throws(ServingError) in
                try await service.policy(version, tenant: tenant)
            },
            versions: { tenant async throws(ServingError) in try await service.versions(tenant: tenant) },
            activate: { version, activation, tenant async throws(ServingError) in
                try await service.activate(version, by: activation, tenant: tenant)
            },
            rollback: { version, activation, tenant async throws(ServingError) in
                try await service.rollback(version, by: activation, tenant: tenant)
            },
            dryRun: { version, trial, tenant async throws(ServingError) in
                try await trials.run(version, trial, tenant: tenant)
            }
        )
    }
}

package import RecommendationCore

/// Who calls: the tenant and scopes of a key.
package struct Principal: Sendable, Equatable {
    package let tenant: Tenant.ID
    package let scopes: Set<Scope>

    package init(tenant: Tenant.ID, scopes: Set<Scope>) {
        self.tenant = tenant
        self.scopes = scopes
    }

    /// The caller where authentication is off.
    package static let everyone = Principal(tenant: .default, scopes: Set(Scope.allCases))
}

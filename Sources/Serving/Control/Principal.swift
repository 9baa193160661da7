package import RecommendationCore

/// Who calls: the tenant, the scopes and the limit of a key.
package struct Principal: Sendable, Equatable {
    package let tenant: Tenant.ID
    package let scopes: Set<Scope>
    /// How often the key may be used; nil: as often as may be.
    package let limit: KeyLimit?

    package init(tenant: Tenant.ID, scopes: Set<Scope>, limit: KeyLimit? = nil) {
        self.tenant = tenant
        self.scopes = scopes
        self.limit = limit
    }

    /// The caller where authentication is off.
    package static let everyone = Principal(tenant: .default, scopes: Set(Scope.allCases))
}

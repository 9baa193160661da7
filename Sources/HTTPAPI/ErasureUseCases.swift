package import RecommendationCore
package import Serving

/// What the API can be asked for about erasures of users.
package struct ErasureUseCases: Sendable {
    package var erase: @Sendable (User.ID, Tenant.ID) async throws(ServingError) -> ErasureAnswer
    package var erasure: @Sendable (Erasure.Number, Tenant.ID) async throws(ServingError) -> Erasure?

    package init(
        erase: @escaping @Sendable (User.ID, Tenant.ID) async throws(ServingError) -> ErasureAnswer,
        erasure: @escaping @Sendable (Erasure.Number, Tenant.ID) async throws(ServingError) -> Erasure?
    ) {
        self.erase = erase
        self.erasure = erasure
    }

    package init(_ service: ErasureService) {
        self.init(
            erase: { user, tenant async throws(ServingError) in try await service.erase(user, tenant: tenant) },
            erasure: { number, tenant async throws(ServingError) in
                try await service.erasure(number, tenant: tenant)
            }
        )
    }
}

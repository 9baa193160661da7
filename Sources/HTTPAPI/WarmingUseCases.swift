package import RecommendationCore
package import Serving

/// What the API can be asked for about lists that are computed ahead of requests.
package struct WarmingUseCases: Sendable {
    /// Surface, tenant.
    package var start: @Sendable (String, Tenant.ID) async throws(ServingError) -> WarmJob.Number
    package var job: @Sendable (WarmJob.Number, Tenant.ID) async throws(ServingError) -> WarmJob?

    package init(
        start: @escaping @Sendable (String, Tenant.ID) async throws(ServingError) -> WarmJob.Number,
        job: @escaping @Sendable (WarmJob.Number, Tenant.ID) async throws(ServingError) -> WarmJob?
    ) {
        self.start = start
        self.job = job
    }

    package init(_ service: WarmingService) {
        self.init(
            start: { surface, tenant async throws(ServingError) in
                try await service.start(surface: surface, tenant: tenant)
            },
            job: { number, tenant async throws(ServingError) in try await service.job(number, tenant: tenant) }
        )
    }
}

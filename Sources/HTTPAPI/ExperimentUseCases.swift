package import RecommendationCore
package import Serving

/// What the API can be asked for about experiments.
package struct ExperimentUseCases: Sendable {
    package var start: @Sendable (ExperimentOrder, Tenant.ID) async throws(ServingError) -> ExperimentChange
    /// Variants, id, tenant; nil: there is no such experiment.
    package var setVariants:
        @Sendable ([Experiment.Variant], String, Tenant.ID) async throws(ServingError) -> ExperimentChange?
    package var stop: @Sendable (String, Tenant.ID) async throws(ServingError) -> ExperimentChange?
    package var experiments: @Sendable (Tenant.ID) async throws(ServingError) -> [Experiment]
    package var experiment: @Sendable (String, Tenant.ID) async throws(ServingError) -> Experiment?
    package var results: @Sendable (String, Tenant.ID) async throws(ServingError) -> ExperimentResults?

    package init(
        start: @escaping @Sendable (ExperimentOrder, Tenant.ID) async throws(ServingError) -> ExperimentChange,
        setVariants:
            @escaping @Sendable ([Experiment.Variant], String, Tenant.ID) async throws(ServingError) ->
            ExperimentChange?,
        stop: @escaping @Sendable (String, Tenant.ID) async throws(ServingError) -> ExperimentChange?,
        experiments: @escaping @Sendable (Tenant.ID) async throws(ServingError) -> [Experiment],
        experiment: @escaping @Sendable (String, Tenant.ID) async throws(ServingError) -> Experiment?,
        results: @escaping @Sendable (String, Tenant.ID) async throws(ServingError) -> ExperimentResults?
    ) {
        self.start = start
        self.setVariants = setVariants
        self.stop = stop
        self.experiments = experiments
        self.experiment = experiment
        self.results = results
    }
}

extension ExperimentUseCases {
    /// The service, as the API asks it.
    package init(_ service: ExperimentService) {
        self.init(
            start: { order, tenant async throws(ServingError) in try await service.start(order, tenant: tenant) },
            setVariants: { variants, id, tenant async throws(ServingError) in
                try await service.setVariants(variants, of: id, tenant: tenant)
            },
            stop: { id, tenant async throws(ServingError) in try await service.stop(id, tenant: tenant) },
            experiments: { tenant async throws(ServingError) in try await service.experiments(tenant: tenant) },
            experiment: { id, tenant async throws(ServingError) in try await service.experiment(id, tenant: tenant) },
            results: { id, tenant async throws(ServingError) in try await service.results(of: id, tenant: tenant) }
        )
    }
}

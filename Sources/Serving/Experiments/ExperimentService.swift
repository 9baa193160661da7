package import Caching
package import RecommendationCore
import RecommendationEngine

/// What came of a change of an experiment.
package struct ExperimentChange: Sendable {
    package let experiment: Experiment
    package let epoch: Int64
    package let announcement: Announcement

    package init(experiment: Experiment, epoch: Int64, announcement: Announcement) {
        self.experiment = experiment
        self.epoch = epoch
        self.announcement = announcement
    }
}

/// Experiments as an operator and a data scientist handle them: started, given other weights, stopped, judged.
package struct ExperimentService: Sendable {
    private let repository: any ExperimentRepository
    private let policies: PolicyService
    private let control: ControlState
    private let invalidator: Invalidator

    package init(
        repository: any ExperimentRepository,
        policies: PolicyService,
        control: ControlState,
        invalidator: Invalidator
    ) {
        self.repository = repository
        self.policies = policies
        self.control = control
        self.invalidator = invalidator
    }

    /// Starts an experiment on every node.
    ///
    /// - Throws: `unknownSurface`; `conflict` where a variant's policy does not offer the surface, and as
    ///   ``ExperimentRepository/start(_:tenant:)``.
    package func start(_ order: ExperimentOrder, tenant: Tenant.ID) async throws(ServingError) -> ExperimentChange {
        guard let state = self.control.state(of: tenant) else { throw .notReady }
        guard state.policy.offers(surface: order.surface) else {
            throw .unknownSurface(allowed: state.policy.surfaces)
        }
        try await self.check(order.variants, surface: order.surface, tenant)
        let (experiment, epoch) = try await AdminService.mapped { () async throws(RepositoryError) in
            try await self.repository.start(order, tenant: tenant)
        }
        return await self.changed(experiment, epoch)
    }

    /// Gives an experiment other weights and further variants; nil: there is none of that id.
    package func setVariants(
        _ variants: [Experiment.Variant],
        of id: String,
        ifWeighedAt time: Timestamp? = nil,
        tenant: Tenant.ID
    ) async throws(ServingError) -> ExperimentChange? {
        guard let experiment = try await self.experiment(id, tenant: tenant) else { return nil }
        try await self.check(variants, surface: experiment.surface, tenant)
        let change = try await AdminService.mapped { () async throws(RepositoryError) in
            try await self.repository.setVariants(variants, of: id, ifWeighedAt: time, tenant: tenant)
        }
        guard let (experiment, epoch) = change else { return nil }
        return await self.changed(experiment, epoch)
    }

    /// Ends an experiment on every node; nil: there is none of that id.
    package func stop(_ id: String, tenant: Tenant.ID) async throws(ServingError) -> ExperimentChange? {
        let change = try await AdminService.mapped { () async throws(RepositoryError) in
            try await self.repository.stop(id, tenant: tenant)
        }
        guard let (experiment, epoch) = change else { return nil }
        return await self.changed(experiment, epoch)
    }

    package func experiments(tenant: Tenant.ID) async throws(ServingError) -> [Experiment] {
        try await AdminService.reading { () async throws(RepositoryError) in
            try await self.repository.experiments(tenant: tenant)
        }
    }

    /// One; nil: there is none of that id.
    package func experiment(_ id: String, tenant: Tenant.ID) async throws(ServingError) -> Experiment? {
        try await AdminService.reading { () async throws(RepositoryError) in
            try await self.repository.experiment(id, tenant: tenant)
        }
    }

    /// What was counted of an experiment, and what that says; nil: there is none of that id.
    package func results(
        of id: String,
        tenant: Tenant.ID
    ) async throws(ServingError) -> ExperimentResults? {
        guard let experiment = try await self.experiment(id, tenant: tenant) else { return nil }
        let counts = try await AdminService.reading { () async throws(RepositoryError) in
            try await self.repository.counts(of: experiment, tenant: tenant)
        }
        return ExperimentResults(experiment, counts)
    }

    /// Users of each variant before there is a verdict.
    package static func required(_ design: Experiment.Design) -> Int {
        SampleSize.perVariant(
            baseline: design.baseline,
            effect: design.effect,
            alpha: design.alpha,
            power: design.power
        )
    }

    /// Refuses variants whose policy does not offer the surface. What is stored of a version never changes; one that is not
    /// stored is the repository's to refuse.
    private func check(
        _ variants: [Experiment.Variant],
        surface: String,
        _ tenant: Tenant.ID
    ) async throws(ServingError) {
        for version in Set(variants.compactMap(\.policy)).sorted() {
            guard let policy = try await self.policies.policy(version, tenant: tenant) else { continue }
            guard policy.offers(surface: surface) else {
                throw .conflict(
                    "policy \(version) does not offer \(surface); its surfaces are \(policy.surfaces.joined(separator: ", "))"
                )
            }
        }
    }

    private func changed(_ experiment: Experiment, _ epoch: Int64) async -> ExperimentChange {
        ExperimentChange(
            experiment: experiment,
            epoch: epoch,
            announcement: await self.invalidator.announce(epoch: epoch)
        )
    }
}

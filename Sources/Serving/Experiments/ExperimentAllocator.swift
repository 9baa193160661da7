package import Caching
package import Logging
package import RecommendationCore
import RecommendationEngine
import ServiceLifecycle

/// Gives users of experiments that ask for it to the variants that do best so far, on one node of the fleet.
///
/// Thompson sampling in batches: each variant gets as many users as it is probable that it is the best (Thompson, Biometrika 1933;
/// Chapelle and Li, NIPS 2011), and one of a hundred at least. Whoever has a variant keeps it, but for those that it gives up.
package struct ExperimentAllocator: Service {
    private let repository: any ExperimentRepository
    private let service: ExperimentService
    private let control: ControlState
    private let leadership: any Leadership
    private let every: Duration
    private let log: Logger

    /// - Parameter every: Between two changes of an experiment's weights.
    package init(
        repository: any ExperimentRepository,
        service: ExperimentService,
        control: ControlState,
        leadership: any Leadership,
        every: Duration,
        log: Logger
    ) {
        self.repository = repository
        self.service = service
        self.control = control
        self.leadership = leadership
        self.every = every
        self.log = log
    }

    package func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                try? await Task.sleep(for: self.every)
                guard !Task.isCancelled, await self.leadership.isLeader() else { continue }
                for tenant in self.control.tenants { await self.allocate(tenant) }
            }
        }
    }

    /// Gives the users of a tenant's experiments anew.
    func allocate(_ tenant: Tenant.ID) async {
        for running in self.control.state(of: tenant)?.control.experiments ?? []
        where running.experiment.allocation == .thompson {
            let experiment = running.experiment
            do throws(ServingError) {
                let counts = try await AdminService.reading { () async throws(RepositoryError) in
                    try await self.repository.counts(of: experiment, tenant: tenant)
                }
                // What has no users was switched off, and where nobody was seen nothing was found.
                let open = experiment.variants.indices.filter { experiment.variants[$0].weight > 0 }
                guard open.count > 1, counts.contains(where: { $0.exposed > 0 }) else { continue }
                let weights = VariantWeights.thompson(
                    open.map { Proportion(counts[$0].converted, of: counts[$0].exposed) },
                    total: experiment.variants.reduce(0) { $0 + $1.weight }
                )
                var variants = experiment.variants
                for (index, weight) in zip(open, weights) { variants[index].weight = weight }
                guard variants != experiment.variants else { continue }
                _ = try await self.service.setVariants(
                    variants,
                    of: experiment.id,
                    ifWeighedAt: experiment.weighedAt,
                    tenant: tenant
                )
            } catch {
                self.log.warning(
                    "users of an experiment are not given anew",
                    metadata: ["experiment": "\(experiment.id)", "error": "\(error)"]
                )
            }
        }
    }
}

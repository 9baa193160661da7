package import Logging
package import RecommendationCore
import ServiceLifecycle

/// Says which node builds: an advisory lock of the store.
package protocol BuildLeadership: Sendable {
    /// Whether this node is the builder now, becoming it if nobody is.
    func isLeader() async -> Bool
    /// Gives the job up.
    func resign() async
}

/// Rebuilds models on a schedule, on one node of the fleet, where the data, or what the policy says of events, has changed since
/// the last build.
package struct SnapshotSchedule: Service {
    private let trainer: ModelTrainer
    private let models: any ModelRepository
    private let leadership: any BuildLeadership
    private let tenants: @Sendable () -> [Tenant.ID]
    private let policy: @Sendable (Tenant.ID) -> Policy?
    private let interval: Duration
    private let announce: @Sendable () async -> Void
    private let wallClock: @Sendable () -> Timestamp
    private let log: Logger

    /// - Parameters:
    ///   - policy: The one in force of a tenant; a model is also rebuilt when another says other things of events. nil: it
    ///     cannot be read here, and another node is to build.
    ///   - announce: Called after a model was stored or activated, so that nodes do not wait for their own reads.
    package init(
        trainer: ModelTrainer,
        models: any ModelRepository,
        leadership: any BuildLeadership,
        interval: Duration,
        wallClock: @escaping @Sendable () -> Timestamp,
        log: Logger,
        tenants: @escaping @Sendable () -> [Tenant.ID],
        policy: @escaping @Sendable (Tenant.ID) -> Policy?,
        announce: @escaping @Sendable () async -> Void
    ) {
        self.trainer = trainer
        self.models = models
        self.leadership = leadership
        self.interval = interval
        self.wallClock = wallClock
        self.log = log
        self.tenants = tenants
        self.policy = policy
        self.announce = announce
    }

    package func run() async throws {
        await cancelWhenGracefulShutdown {
            var next = ContinuousClock.now
            while !Task.isCancelled {
                if ContinuousClock.now >= next, await self.leadership.isLeader() {
                    let begun = ContinuousClock.now
                    next = begun + self.interval
                    for tenant in self.tenants() { next = min(next, begun + (await self.look(after: tenant))) }
                }
                // Often, so that a node that becomes the builder does not wait a whole interval.
                try? await Task.sleep(for: min(self.interval, .seconds(1)))
            }
        }
        await self.leadership.resign()
    }

    /// Rebuilds a tenant's model if it is old enough: a node that starts does not build again what another has just built.
    ///
    /// - Returns: When to look again.
    private func look(after tenant: Tenant.ID) async -> Duration {
        do {
            let newest = try await self.models.versions(tenant: tenant).first
            let rest = newest.map { Self.rest(of: self.interval, since: $0.builtAt, at: self.wallClock()) } ?? .zero
            guard rest == .zero else { return rest }
            await self.rebuild(tenant)
        } catch {
            self.log.warning("models not read", metadata: ["tenant": "\(tenant)", "error": "\(error)"])
        }
        return self.interval
    }

    /// What is left of an interval that began with a build, by two clocks that may differ: not more than the interval.
    static func rest(of interval: Duration, since builtAt: Timestamp, at now: Timestamp) -> Duration {
        let age = Duration.microseconds(max(0, now.microseconds - builtAt.microseconds))
        return max(.zero, interval - age)
    }

    private func rebuild(_ tenant: Tenant.ID) async {
        do {
            guard let policy = self.policy(tenant) else {
                self.log.warning("model not rebuilt without the active policy", metadata: ["tenant": "\(tenant)"])
                return
            }
            let mark = try await self.trainer.mark(tenant: tenant, policy: policy)
            guard try await self.models.newestDataMark(tenant: tenant) != mark else { return }
            let report = try await self.trainer.train(tenant: tenant, policy: policy, recipe: .best, evaluates: false)
            await self.announce()
            // Somebody may have put a newer one into service meanwhile.
            let active = try await self.models.versions(tenant: tenant).first { $0.state == .active }
            guard active.map({ $0.number < report.version.number }) ?? true else { return }
            _ = try await self.trainer.activate(report.version.number, tenant: tenant)
            await self.announce()
        } catch TrainingError.emptyCatalogue {
            // A tenant without items has nothing to recommend.
        } catch {
            self.log.error(
                "model not rebuilt; the one before stays",
                metadata: ["tenant": "\(tenant)", "error": "\(error)"]
            )
        }
    }
}

import Dispatch
package import Logging
import Metrics
package import RecommendationCore
package import RecommendationEngine

/// Why a model could not be trained or put into service.
package enum TrainingError: Error, Sendable {
    case repository(RepositoryError)
    case fit(FitError)
    /// There is nothing to train on.
    case emptyCatalogue
}

/// From the store to a registered model: bulk reads, fit, artifact, registry, activation.
package struct ModelTrainer: Sendable {
    /// What training did and how long each step took.
    package struct Report: Sendable {
        package var version: ModelVersion
        package var read: Duration
        package var evaluation: Duration
        package var fit: Duration
        package var store: Duration
    }

    /// How many artifacts are kept beside what serves and what a rollback returns to, unless a setting says otherwise.
    package static let standardKept = 3

    private let data: any TrainingDataRepository
    private let models: any ModelRepository
    private let kept: Int
    private let threads: Int
    private let log: Logger
    private let wallClock: @Sendable () -> Timestamp
    private let buildTime = Metrics.Timer(label: "vireo_snapshot_build_seconds")

    /// - Parameter kept: Artifacts kept beside what serves and what a rollback returns to.
    package init(
        data: any TrainingDataRepository,
        models: any ModelRepository,
        kept: Int = Self.standardKept,
        threads: Int,
        log: Logger,
        wallClock: @escaping @Sendable () -> Timestamp
    ) {
        self.data = data
        self.models = models
        self.kept = kept
        self.threads = threads
        self.log = log
        self.wallClock = wallClock
    }

    /// What a model fitted now would depend on: the data, and what the policy says of events.
    package func mark(tenant: Tenant.ID, policy: Policy) async throws(RepositoryError) -> String {
        try await self.data.mark(tenant: tenant) + "|" + policy.fitMark
    }

    /// Fits a model of a tenant and registers it as ready.
    ///
    /// - Parameters:
    ///   - policy: Says what events weigh and how fast they fade.
    ///   - evaluates: Also fits without the last events of some users and measures how well those are found.
    package func train(
        tenant: Tenant.ID,
        policy: Policy,
        evaluates: Bool
    ) async throws(TrainingError) -> Report {
        let start = ContinuousClock.now
        let mark: String
        let set: TrainingSet
        do {
            mark = try await self.mark(tenant: tenant, policy: policy)
            set = try await TrainingSet.read(from: self.data, tenant: tenant)
        } catch {
            throw .repository(error)
        }
        guard set.itemCount > 0 else { throw .emptyCatalogue }
        let number: ModelVersion.Number
        do {
            number = try await self.models.begin(recipe: SnapshotBuilder.recipe, tenant: tenant)
        } catch {
            throw .repository(error)
        }
        do {
            return try await self.build(number, of: set, mark, tenant, policy, evaluates: evaluates, since: start)
        } catch {
            await self.abandon(number)
            throw error
        }
    }

    /// Takes a version that is not built off the registry. What fails here is put right by a later pruning.
    private func abandon(_ number: ModelVersion.Number) async {
        do {
            try await self.models.abandon(number)
        } catch {
            self.log.warning(
                "a model that was not built stays in the registry",
                metadata: ["model": "\(ModelVersion.name(number))", "error": "\(error)"]
            )
        }
    }

    private func build(
        _ number: ModelVersion.Number,
        of set: TrainingSet,
        _ mark: String,
        _ tenant: Tenant.ID,
        _ policy: Policy,
        evaluates: Bool,
        since start: ContinuousClock.Instant
    ) async throws(TrainingError) -> Report {
        let clock = ContinuousClock()
        let readAt = clock.now
        let builtAt = self.wallClock()
        let threads = self.threads
        var metrics: [String: Double] = [:]
        if evaluates {
            metrics = try await Self.offPool { () throws(FitError) in
                try HoldOut(set, users: 3_000).metrics(builtAt: builtAt, threads: threads, policy: policy)
            }
        }
        let evaluatedAt = clock.now
        let (snapshot, artifact) = try await Self.offPool { () throws(FitError) in
            let snapshot = try SnapshotBuilder.fit(
                set.fitInput(builtAt: builtAt, policy: policy),
                threads: threads
            )
            return (snapshot, SnapshotArtifact(snapshot).encode())
        }
        let fittedAt = clock.now
        var version = ModelVersion(
            number: number,
            tenant: tenant,
            state: .ready,
            recipe: SnapshotBuilder.recipe,
            builtAt: builtAt,
            interactions: Int64(snapshot.counts.interactions),
            users: Int64(snapshot.counts.users),
            items: Int64(set.items.count),
            bytes: Int64(artifact.count),
            checksum: SnapshotArtifact.checksum(of: artifact),
            metrics: metrics
        )
        do {
            version.number = try await self.models.store(version, artifact: artifact, dataMark: mark)
            try await self.models.prune(keeping: self.kept, tenant: tenant)
        } catch {
            throw .repository(error)
        }
        let storedAt = clock.now
        let (seconds, attoseconds) = (storedAt - start).components
        self.buildTime.recordNanoseconds(seconds * 1_000_000_000 + attoseconds / 1_000_000_000)
        self.log.info(
            "model built",
            metadata: [
                "model": "\(ModelVersion.name(version.number))", "tenant": "\(tenant)", "items": "\(version.items)",
                "interactions": "\(version.interactions)", "duration": "\(storedAt - start)",
            ]
        )
        return Report(
            version: version,
            read: readAt - start,
            evaluation: evaluatedAt - readAt,
            fit: fittedAt - evaluatedAt,
            store: storedAt - fittedAt
        )
    }

    /// Runs long synchronous work on a thread of its own, off the cooperative pool.
    private static func offPool<Result: Sendable>(
        _ body: @escaping @Sendable () throws(FitError) -> Result
    ) async throws(TrainingError) -> Result {
        let outcome: Swift.Result<Result, FitError> = await withCheckedContinuation { continuation in
            DispatchQueue.global(qos: .utility).async {
                do throws(FitError) {
                    continuation.resume(returning: .success(try body()))
                } catch {
                    continuation.resume(returning: .failure(error))
                }
            }
        }
        do { return try outcome.get() } catch { throw .fit(error) }
    }
}

extension Policy {
    /// What a fit takes from a policy, as a word.
    fileprivate var fitMark: String {
        let weights = self.eventWeights.sorted { $0.key.code < $1.key.code }.map { "\($0.key.code):\($0.value)" }
        return weights.joined(separator: ",") + "/" + String(self.halfLifeDays)
    }
}

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
        /// What the recipes that were tried reached, in the order in which they were tried.
        package var outcomes: [RecipeTrial.Outcome]
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
    ///   - recipe: What it is built by.
    ///   - evaluates: Also fits without the last events of some users and measures how well those are found; the choice of the
    ///     best recipe does so in any case.
    package func train(
        tenant: Tenant.ID,
        policy: Policy,
        recipe option: RecipeOption,
        evaluates: Bool
    ) async throws(TrainingError) -> Report {
        let start = ContinuousClock.now
        let mark: String
        let set: TrainingSet
        let active: ModelVersion?
        do {
            active = try await self.models.versions(tenant: tenant).first { $0.state == .active }
            mark = try await self.mark(tenant: tenant, policy: policy)
            set = try await TrainingSet.read(from: self.data, tenant: tenant)
        } catch {
            throw .repository(error)
        }
        guard set.itemCount > 0 else { throw .emptyCatalogue }
        let number: ModelVersion.Number
        do {
            number = try await self.models.begin(recipe: option.name, tenant: tenant)
        } catch {
            throw .repository(error)
        }
        do {
            return try await self.build(
                number,
                after: active,
                of: set,
                mark,
                tenant,
                policy,
                option,
                evaluates: evaluates,
                since: start
            )
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
        after active: ModelVersion?,
        of set: TrainingSet,
        _ mark: String,
        _ tenant: Tenant.ID,
        _ policy: Policy,
        _ option: RecipeOption,
        evaluates: Bool,
        since start: ContinuousClock.Instant
    ) async throws(TrainingError) -> Report {
        let clock = ContinuousClock()
        let readAt = clock.now
        let builtAt = self.wallClock()
        let threads = self.threads
        let tried: [Recipe]? = if case .fixed(let recipe) = option { [recipe] } else { nil }
        // A model that was brought from elsewhere has no recipe to be judged by: it may have seen what is held back.
        let standing = active.flatMap { Recipe(named: $0.recipe, parameters: $0.parameters) }
        var outcomes: [RecipeTrial.Outcome] = []
        var baseline: ModelBaseline?
        if evaluates || option == .best {
            let (tries, metrics) = try await Self.offPool {
                () throws(FitError) -> ([RecipeTrial.Outcome], [String: Double]?) in
                let holdOut = try HoldOut(set, users: 3_000, builtAt: builtAt, policy: policy)
                let tries = try holdOut.outcomes(of: tried, threads: threads)
                guard let standing, !tries.isEmpty else { return (tries, nil) }
                if let same = tries.first(where: { $0.recipe == standing }) { return (tries, same.metrics) }
                return (tries, try holdOut.outcomes(of: [standing], threads: threads).first?.metrics)
            }
            outcomes = tries
            if let active, let metrics { baseline = ModelBaseline(number: active.number, metrics: metrics) }
        }
        // Of equals the one that was tried first.
        let best = outcomes.reduce(nil as RecipeTrial.Outcome?) { best, outcome in
            best.map { outcome.gain > $0.gain } ?? true ? outcome : best
        }
        let recipe = tried?.first ?? best?.recipe ?? .standard
        let evaluatedAt = clock.now
        let (snapshot, artifact) = try await Self.offPool { () throws(FitError) in
            let snapshot = try SnapshotBuilder.fit(
                set.fitInput(builtAt: builtAt, policy: policy),
                recipe: recipe,
                threads: threads
            )
            return (snapshot, SnapshotArtifact(snapshot).encode())
        }
        let fittedAt = clock.now
        var version = ModelVersion(
            number: number,
            tenant: tenant,
            state: .ready,
            recipe: recipe.name,
            parameters: recipe.parameters,
            builtAt: builtAt,
            firstEvent: set.window?.lowerBound,
            lastEvent: set.window?.upperBound,
            interactions: Int64(snapshot.counts.interactions),
            users: Int64(snapshot.counts.users),
            items: Int64(set.items.count),
            bytes: Int64(artifact.count),
            checksum: SnapshotArtifact.checksum(of: artifact),
            metrics: best?.metrics ?? [:],
            baseline: baseline
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
                "interactions": "\(version.interactions)", "recipe": "\(version.recipe)",
                "duration": "\(storedAt - start)",
            ]
        )
        return Report(
            version: version,
            outcomes: outcomes,
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

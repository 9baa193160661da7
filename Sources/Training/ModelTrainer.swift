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
    case cancelled
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

    private let data: any TrainingDataRepository
    private let models: any ModelRepository
    private let nodes: any NodeRepository
    private let threads: Int
    private let log: Logger
    private let wallClock: @Sendable () -> Timestamp
    private let buildTime = Metrics.Timer(label: "vireo_snapshot_build_seconds")

    package init(
        data: any TrainingDataRepository,
        models: any ModelRepository,
        nodes: any NodeRepository,
        threads: Int,
        log: Logger,
        wallClock: @escaping @Sendable () -> Timestamp
    ) {
        self.data = data
        self.models = models
        self.nodes = nodes
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
        let clock = ContinuousClock()
        let start = clock.now
        let mark: String
        let set: TrainingSet
        do {
            mark = try await self.mark(tenant: tenant, policy: policy)
            set = try await TrainingSet.read(from: self.data, tenant: tenant)
        } catch {
            throw .repository(error)
        }
        guard set.itemCount > 0 else { throw .emptyCatalogue }
        let readAt = clock.now
        let builtAt = self.wallClock()
        let threads = self.threads
        let tried: [Recipe]? = if case .fixed(let recipe) = option { [recipe] } else { nil }
        var outcomes: [RecipeTrial.Outcome] = []
        if evaluates || option == .best {
            outcomes = try await Self.offPool { () throws(FitError) in
                try HoldOut(set, users: 3_000, builtAt: builtAt, policy: policy).outcomes(of: tried, threads: threads)
            }
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
            number: 0,
            tenant: tenant,
            state: .ready,
            recipe: recipe.name,
            parameters: recipe.parameters,
            builtAt: builtAt,
            lastEvent: snapshot.newestEvent,
            interactions: Int64(snapshot.counts.interactions),
            users: Int64(snapshot.counts.users),
            items: Int64(set.items.count),
            bytes: Int64(artifact.count),
            checksum: SnapshotArtifact.checksum(of: artifact),
            metrics: best?.metrics ?? [:]
        )
        do {
            version.number = try await self.models.store(version, artifact: artifact, dataMark: mark)
            try await self.models.prune(keeping: 3, tenant: tenant)
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

    /// Puts a version into service once every live node has loaded it, so that the switch costs no node a load.
    ///
    /// - Parameter limit: How long to wait for the nodes; those that are late load it when they apply the switch.
    /// - Returns: The control log id of the activation.
    package func activate(
        _ number: ModelVersion.Number,
        tenant: Tenant.ID,
        waiting limit: Duration = .seconds(10)
    ) async throws(TrainingError) -> Int64 {
        let deadline = ContinuousClock.now.advanced(by: limit)
        do {
            while true {
                let now = self.wallClock().microseconds
                let late = try await self.nodes.nodes().filter {
                    now - $0.seenAt.microseconds < 5_000_000 && !$0.loadedModels.contains(number)
                }
                if late.isEmpty { break }
                if ContinuousClock.now >= deadline {
                    self.log.warning(
                        "activating although nodes have not loaded the model",
                        metadata: ["nodes": "\(late.map(\.id).joined(separator: ","))"]
                    )
                    break
                }
                do { try await Task.sleep(for: .milliseconds(100)) } catch { throw TrainingError.cancelled }
            }
            return try await self.models.activate(number, tenant: tenant)
        } catch let error as RepositoryError {
            throw .repository(error)
        } catch let error as TrainingError {
            throw error
        } catch {
            throw .cancelled
        }
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

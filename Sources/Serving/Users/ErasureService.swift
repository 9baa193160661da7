package import Caching
package import Logging
import Metrics
package import RecommendationCore
import ServiceLifecycle

/// What became of the wish to erase a user: it is durable, and will be done.
package struct ErasureAnswer: Sendable, Equatable {
    package let number: Erasure.Number
    /// False: the invalidation goes out with the relay's next pass.
    package let propagated: Bool

    package init(number: Erasure.Number, propagated: Bool) {
        self.number = number
        self.propagated = propagated
    }
}

/// Erases users. From the acknowledgement on nobody knows them; what can no longer be reached is taken away afterwards, by
/// one node of the fleet, and by another one if that dies.
///
/// Not at once: what had begun before may still write, for ``FeedbackService/sessionWindow`` at most, and everything that
/// names the user is to stay in the journal until nodes have read it.
package final class ErasureService: Service {
    private static let interval = Duration.seconds(1)
    /// Of one look.
    private static let batch = 100
    /// How long the relay may be waited for.
    private static let relayLimit = Duration.seconds(1)

    private let erasures: any ErasureRepository
    private let traces: any UserTraces
    private let state: ControlState
    private let keeper: CoherenceKeeper
    private let invalidator: Invalidator
    private let selfCheck: SelfCheck?
    private let hash: LogHash
    private let leadership: any Leadership
    private let patience: Duration
    private let propagationLimit: Duration
    private let log: Logger
    private let metrics = ErasureMetrics()

    /// - Parameters:
    ///   - leadership: Of the node that relays: it reaches both stores.
    ///   - lease: The freshness lease of the fleet.
    package init(
        erasures: any ErasureRepository,
        traces: any UserTraces,
        state: ControlState,
        keeper: CoherenceKeeper,
        invalidator: Invalidator,
        selfCheck: SelfCheck?,
        hash: LogHash,
        leadership: any Leadership,
        lease: Duration,
        propagationLimit: Duration = .milliseconds(800),
        log: Logger
    ) {
        self.erasures = erasures
        self.traces = traces
        self.state = state
        self.keeper = keeper
        self.invalidator = invalidator
        self.selfCheck = selfCheck
        self.hash = hash
        self.leadership = leadership
        self.patience = max(.milliseconds(FeedbackService.sessionWindow), lease) + .milliseconds(500)
        self.propagationLimit = propagationLimit
        self.log = log
    }

    /// Erases a user, whether anybody knows them or not.
    package func erase(_ user: User.ID, tenant: Tenant.ID) async throws(ServingError) -> ErasureAnswer {
        // Before the transaction: what was added to a stream before this call is older.
        let now = self.keeper.milliseconds()
        let accepted = try await AdminService.mapped { () async throws(RepositoryError) in
            try await self.erasures.accept(
                user,
                hash: self.hash.erasure(of: user, tenant: tenant),
                at: now,
                tenant: tenant
            )
        }
        self.metrics.accepted.increment()
        let propagated = await self.invalidator.propagate(
            [Invalidation(key: self.key(accepted), version: accepted.version)],
            transaction: accepted.transaction,
            within: self.propagationLimit
        )
        return ErasureAnswer(number: accepted.number, propagated: propagated)
    }

    /// How far an erasure has come; nil: there is none of that number.
    package func erasure(_ number: Erasure.Number, tenant: Tenant.ID) async throws(ServingError) -> Erasure? {
        try await AdminService.reading { () async throws(RepositoryError) in
            try await self.erasures.erasure(number, tenant: tenant)
        }
    }

    private func key(_ erasure: OpenErasure) -> CacheKey {
        CacheKey(
            namespace: self.state.incarnation,
            owner: erasure.tenant.string,
            member: erasure.user.string
        )
    }

    package func run() async throws {
        await cancelWhenGracefulShutdown {
            var seen: [Erasure.Number: ContinuousClock.Instant] = [:]
            while !Task.isCancelled {
                do {
                    try await self.look(&seen)
                } catch {
                    self.log.warning("erasures wait", metadata: ["error": "\(error)"])
                }
                try? await Task.sleep(for: Self.interval)
            }
        }
    }

    /// - Parameter seen: When this node saw each for the first time. What began before an erasure was accepted, began before then.
    private func look(_ seen: inout [Erasure.Number: ContinuousClock.Instant]) async throws(RepositoryError) {
        let open = try await self.erasures.open(limit: Self.batch)
        let now = ContinuousClock.now
        seen = Dictionary(uniqueKeysWithValues: open.map { ($0.number, seen[$0.number] ?? now) })
        self.metrics.open.record(open.count)
        // What this node alone knows, on every node.
        for erasure in open { self.selfCheck?.forget(self.key(erasure)) }
        guard await self.leadership.isLeader() else { return }
        for erasure in open {
            while !Task.isCancelled, try await self.erasures.removeRows(of: erasure.number) {}
        }
        var attempts: [(number: Erasure.Number, attempt: ErasureAttempt)] = []
        for erasure in open where now - (seen[erasure.number] ?? now) >= self.patience {
            guard !Task.isCancelled,
                await self.keeper.relayed(past: erasure.transaction, within: Self.relayLimit)
            else { break }
            do throws(RepositoryError) {
                attempts.append((erasure.number, .done(redisKeys: try await self.traces.remove(erasure))))
                self.metrics.done.increment()
            } catch {
                attempts.append((erasure.number, .failed("\(error)")))
                self.metrics.failed.increment()
                self.log.warning(
                    "an erasure is to be tried again",
                    metadata: ["job": "\(Erasure.name(erasure.number))", "error": "\(error)"]
                )
            }
        }
        guard !attempts.isEmpty else { return }
        try await self.erasures.settle(attempts)
    }
}

private struct ErasureMetrics: Sendable {
    let accepted = Counter(label: "vireo_erasures_total", dimensions: [("result", "accepted")])
    let done = Counter(label: "vireo_erasures_total", dimensions: [("result", "done")])
    let failed = Counter(label: "vireo_erasures_total", dimensions: [("result", "failed")])
    let open = Gauge(label: "vireo_erasures_open")
}

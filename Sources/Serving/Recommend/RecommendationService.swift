package import Caching
package import Logging
import Metrics
package import RecommendationCore
import RecommendationEngine

/// Answers "what should this user see now?".
///
/// In order: the control state is current (lease, or one read) → the pool of the user, from the nearest tier that may serve it
/// → the final stage. Where no pool can be had the policy's fallbacks are tried in their order, through the same final stage.
package final class RecommendationService: Sendable {
    let cache: TieredCache
    let keeper: CoherenceKeeper
    private let control: ControlState
    let users: any UserRepository
    private let signer: TokenSigner
    private let limit: ComputeLimit
    let scorers = ScorerPool()
    private let metrics = RecommendationMetrics()
    private let log: Logger
    private let wallClock: @Sendable () -> Timestamp

    package init(
        cache: TieredCache,
        keeper: CoherenceKeeper,
        control: ControlState,
        users: any UserRepository,
        signer: TokenSigner,
        limit: ComputeLimit,
        log: Logger,
        wallClock: @escaping @Sendable () -> Timestamp
    ) {
        self.cache = cache
        self.keeper = keeper
        self.control = control
        self.users = users
        self.signer = signer
        self.limit = limit
        self.log = log
        self.wallClock = wallClock
    }

    struct Pooled {
        let pool: CandidatePool
        let tier: Tier
        let version: User.Version
        let computedAt: Int64
        let withoutRedis: Bool
        let lookup: Duration
        let compute: Duration
    }

    package func recommend(_ request: RecommendationRequest) async throws(ServingError) -> Recommendation {
        let clock = ContinuousClock()
        let start = clock.now
        var degraded: [Degradation] = []
        let standing = await self.keeper.controlStanding()
        // Taken after the check, so that it holds what the check has applied.
        guard let state = self.control.state(of: request.tenant) else { throw .notReady }
        if standing == .unverified {
            guard state.policy.onUnverified == .serve else { throw .unverified }
            degraded.append(.unverified)
        }
        if state.isOnLastGoodPolicy { degraded.append(.policy) }
        guard state.policy.offers(surface: request.surface) else {
            throw .unknownSurface(allowed: state.policy.surfaces)
        }
        let controlled = clock.now
        let now = self.wallClock()
        var generator = SystemRandomNumberGenerator()
        let id = RecommendationID(milliseconds: now.milliseconds, using: &generator)
        let builder = SlateBuilder(state: state, signer: self.signer, now: now)

        let place = Place(request: request, state: state, builder: builder, id: id, now: now)
        var answer: Recommendation
        do throws(PoolFailure) {
            guard let model = state.model else { throw .noModel }
            let pooled = try await self.pool(request, state, model)
            if pooled.withoutRedis || !self.keeper.isSharedReachable { degraded.append(.redis) }
            let pooledAt = clock.now
            answer = self.answer(place, of: pooled, model)
            answer.stages = [
                Recommendation.Stage(name: "control", duration: controlled - start),
                Recommendation.Stage(name: "cache", duration: pooled.lookup),
                Recommendation.Stage(name: "compute", duration: pooled.compute),
                Recommendation.Stage(name: "final", duration: clock.now - pooledAt),
            ]
        } catch {
            if let cause = error.degradation { degraded.append(cause) }
            if error.degradation != nil, !self.keeper.isSharedReachable { degraded.append(.redis) }
            answer = try await self.fallback(place, cause: error)
            // What this user has seen or hidden is in a stale list, and not known to the others.
            if answer.tier == .fallback, !degraded.contains(.unverified) { degraded.append(.unverified) }
            answer.stages = [
                Recommendation.Stage(name: "control", duration: controlled - start),
                Recommendation.Stage(name: "fallback", duration: clock.now - controlled),
            ]
        }
        answer.degraded = degraded
        self.metrics.served(answer, tier: answer.tier)
        return answer
    }

    // MARK: The pool

    /// Where the pool of a request is cached.
    func cachePlace(
        _ request: RecommendationRequest,
        _ state: TenantState,
        _ model: TenantState.LoadedModel
    ) -> (key: CacheKey, field: CacheField) {
        let key = CacheKey(namespace: state.incarnation, owner: request.tenant.string, member: request.user.string)
        let generation = state.control.generations.generation(
            surface: request.surface,
            model: model.name,
            policy: state.policy.version
        )
        let parts = [request.surface, model.name, state.policy.version, "", "", String(generation)]
        return (key, CacheField(parts: parts))
    }

    private func pool(
        _ request: RecommendationRequest,
        _ state: TenantState,
        _ model: TenantState.LoadedModel
    ) async throws(PoolFailure) -> Pooled {
        let policy = state.policy
        let (key, field) = self.cachePlace(request, state, model)
        let answer = try await self.cache.entry(
            for: key,
            field,
            lifetimes: Lifetimes(
                soft: policy.softTTL,
                hard: policy.hardTTL,
                // A tenth is what a jitter of 1 takes off.
                jitter: .random(in: 0...1) * policy.jitterPercent / 10
            ),
            servesStale: policy.fallback.first == .stale,
            primaryVersion: { try await self.users.version(of: request.user, tenant: request.tenant) },
            compute: { () async throws(PoolFailure) in try await self.compute(request, state, model) }
        )
        var entry = answer.entry
        guard let pool = PoolCodec.decode(entry.payload) else {
            // Bytes that passed the checksum and are no pool: another program writes these keys.
            self.metrics.undecodable.increment()
            let fresh = try await self.compute(request, state, model)
            entry.payload = fresh.payload
            guard let pool = PoolCodec.decode(fresh.payload) else { throw .undecodable }
            return Pooled(
                pool: pool,
                tier: .computed,
                version: fresh.version,
                computedAt: self.keeper.milliseconds(),
                withoutRedis: answer.withoutShared,
                lookup: answer.lookup,
                compute: answer.compute
            )
        }
        return Pooled(
            pool: pool,
            tier: Tier(answer.tier),
            version: entry.version,
            computedAt: entry.computedAt,
            withoutRedis: answer.withoutShared,
            lookup: answer.lookup,
            compute: answer.compute
        )
    }

    /// Reads the user and scores; the snapshot of the store is opened here, not before.
    private func compute(
        _ request: RecommendationRequest,
        _ state: TenantState,
        _ model: TenantState.LoadedModel
    ) async throws(PoolFailure) -> Computation {
        guard self.limit.enter() else { throw .overloaded }
        defer { self.limit.leave() }
        let user: UserState
        do {
            user = try await self.users.state(of: request.user, tenant: request.tenant)
        } catch {
            self.log.debug("user cannot be read", metadata: ["error": "\(error)"])
            throw .store(error)
        }
        let pool = self.scorers.withScorer { scorer in
            UserPool(state: state, snapshot: model.snapshot).pool(of: user, scorer: scorer)
        }
        self.metrics.poolSize.record(pool.unseen.count)
        return Computation(
            version: user.version,
            payload: PoolCodec.encode(pool),
            isCacheable: user.version > 0 && user.consent
        )
    }
}

extension Tier {
    init(_ tier: CacheTier) {
        self =
            switch tier {
            case .local: .l1
            case .shared: .l2
            case .stale: .stale
            case .computed: .computed
            }
    }
}

/// What serving counts.
private struct RecommendationMetrics: Sendable {
    let undecodable = Counter(label: "vireo_pools_undecodable_total")
    let poolSize = Recorder(label: "vireo_pool_candidates", aggregate: true)
    private let byTier: [Tier: Counter] = Dictionary(
        uniqueKeysWithValues: Tier.allCases.map {
            ($0, Counter(label: "vireo_recommendations_total", dimensions: [("tier", $0.rawValue)]))
        }
    )
    private let byFallback: [Fallback: Counter] = Dictionary(
        uniqueKeysWithValues: Fallback.allCases.map {
            ($0, Counter(label: "vireo_fallbacks_total", dimensions: [("fallback", $0.rawValue)]))
        }
    )
    private let age: [Tier: Metrics.Timer] = Dictionary(
        uniqueKeysWithValues: Tier.allCases.map {
            ($0, Metrics.Timer(label: "vireo_pool_age_seconds", dimensions: [("tier", $0.rawValue)]))
        }
    )
    private let stages: [Tier: [String: Metrics.Timer]] = Dictionary(
        uniqueKeysWithValues: Tier.allCases.map { tier in
            let names = ["control", "cache", "compute", "final", "fallback"]
            let timers = names.map { name in
                let dimensions = [("stage", name), ("cache", tier.rawValue)]
                return (name, Metrics.Timer(label: "vireo_stage_seconds", dimensions: dimensions))
            }
            return (tier, Dictionary(uniqueKeysWithValues: timers))
        }
    )
    let tombstoneHits = Counter(label: "vireo_final_stage_rejections_total", dimensions: [("reason", "tombstone")])
    let unavailableHits = Counter(label: "vireo_final_stage_rejections_total", dimensions: [("reason", "unavailable")])

    func served(_ answer: Recommendation, tier: Tier) {
        self.byTier[tier]?.increment()
        if let fallback = answer.fallback { self.byFallback[fallback]?.increment() }
        self.age[tier]?.recordMilliseconds(answer.ageMilliseconds)
        if answer.filtered.tombstone > 0 { self.tombstoneHits.increment(by: answer.filtered.tombstone) }
        if answer.filtered.unavailable > 0 { self.unavailableHits.increment(by: answer.filtered.unavailable) }
        for stage in answer.stages {
            let (seconds, attoseconds) = stage.duration.components
            self.stages[tier]?[stage.name.description]?.recordNanoseconds(
                seconds * 1_000_000_000 + attoseconds / 1_000_000_000
            )
        }
    }
}

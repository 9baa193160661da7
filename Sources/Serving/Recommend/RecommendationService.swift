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
    let control: ControlState
    private let users: any UserRepository
    let signer: TokenSigner
    private let limit: ComputeLimit
    let scorers = ScorerPool()
    private let coldLists = ColdLists()
    let finalStage = FinalStageMetrics()
    let metrics = RecommendationMetrics()
    private let log: Logger
    let wallClock: @Sendable () -> Timestamp

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
        /// Bytes that ``PoolView`` takes.
        let payload: [UInt8]
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
        self.metrics.served(answer)
        return answer
    }

    // MARK: The pool

    private func pool(
        _ request: RecommendationRequest,
        _ state: TenantState,
        _ model: TenantState.LoadedModel
    ) async throws(PoolFailure) -> Pooled {
        let policy = state.policy
        guard let (key, field) = Self.cachePlace(request, state) else { throw .undecodable }
        let answer = try await self.cache.entry(
            for: key,
            field,
            lifetimes: Lifetimes(policy),
            servesStale: policy.fallback.first == .stale,
            cold: { self.coldPayload(request, state, model) },
            compute: { () async throws(PoolFailure) in try await self.compute(request, state, model) }
        )
        var payload = answer.entry.payload
        var tier = Tier(answer.tier)
        var (version, computedAt) = (answer.entry.version, answer.entry.computedAt)
        if !Self.isPool(payload) {
            // Bytes that passed the checksum and are no pool: another program writes these keys.
            self.metrics.undecodable.increment()
            let fresh = try await self.compute(request, state, model)
            (payload, tier) = (fresh.payload, .computed)
            (version, computedAt) = (fresh.version, self.keeper.milliseconds())
            guard Self.isPool(payload) else { throw .undecodable }
        }
        return Pooled(
            payload: payload,
            tier: tier,
            version: version,
            computedAt: computedAt,
            withoutRedis: answer.withoutShared,
            lookup: answer.lookup,
            compute: answer.compute
        )
    }

    /// Where the pool of a request is cached; nil where the policy has no such surface.
    static func cachePlace(_ request: RecommendationRequest, _ state: TenantState) -> (CacheKey, CacheField)? {
        guard let field = state.field(surface: request.surface) else { return nil }
        return (CacheKey(prefix: state.keyPrefix, member: request.user.string), field)
    }

    static func isPool(_ payload: [UInt8]) -> Bool { payload.withUnsafeBytes { PoolView($0) != nil } }

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
        // Who has nothing of their own gets what all of them share; whoever suppresses something has a list of their own.
        guard user.version > 0, user.consent && !user.history.isEmpty || !user.suppressions.isEmpty else {
            return Computation(
                version: user.version,
                payload: self.coldPayload(request, state, model),
                isCacheable: false
            )
        }
        let pool = self.scorers.withScorer { scorer in
            UserPool(state: state, snapshot: model.snapshot).pool(of: user, scorer: scorer)
        }
        self.metrics.poolSize.record(pool.unseen.count)
        return Computation(version: user.version, payload: PoolCodec.encode(pool), isCacheable: true)
    }

    /// The pool of everybody who has none of their own.
    private func coldPayload(
        _ request: RecommendationRequest,
        _ state: TenantState,
        _ model: TenantState.LoadedModel
    ) -> [UInt8] {
        self.coldLists.payload(state, surface: request.surface) { PoolCodec.encode(self.popularPool(state, model)) }
    }
}

extension Recommendation {
    /// An answer without items that nothing is known of yet.
    init(_ id: RecommendationID, user: User.ID, surface: String, state: TenantState, now: Timestamp) {
        self.init(
            id: id,
            user: user,
            surface: surface,
            generatedAt: now,
            items: [],
            modelVersion: state.model?.name ?? "none",
            policyVersion: state.policy.version,
            tier: .fallback,
            ageMilliseconds: 0,
            fallback: nil,
            fallbackReason: nil,
            degraded: [],
            filtered: FilteredCounts(),
            userVersion: 0,
            stages: []
        )
    }

    /// Says where its pool was found.
    mutating func comes(from tier: Tier, isPersonal: Bool) {
        self.tier = tier
        if tier == .stale {
            self.fallback = .stale
            self.fallbackReason = "refresh_failed"
        } else if !isPersonal {
            self.fallback = .coldStart
            self.fallbackReason = "no_history"
        }
    }

    /// Says how old its pool is, both times in milliseconds of Redis time.
    mutating func isComputed(at computedAt: Int64, now: Int64) {
        let age = now.subtractingReportingOverflow(computedAt)
        self.ageMilliseconds = age.overflow ? 0 : max(0, age.partialValue)
    }
}

extension Lifetimes {
    /// How long a policy lets a pool be served, with a draw of its jitter.
    init(_ policy: Policy) {
        // A tenth is what a jitter of 1 takes off.
        let jitter = .random(in: 0...1) * policy.jitterPercent / 10
        self.init(soft: policy.softTTL, hard: policy.hardTTL, jitter: jitter)
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

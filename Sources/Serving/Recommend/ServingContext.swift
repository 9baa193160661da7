package import Caching
package import Logging
package import RecommendationCore

/// What the services that answer with slates are made of: the caches, the control state, the final stage's signer.
package struct ServingContext: Sendable {
    let cache: TieredCache
    let keeper: CoherenceKeeper
    let control: ControlState
    let pools: PoolComputer
    /// nil: none are kept.
    let precomputed: PrecomputedLists?
    let signer: TokenSigner
    /// nil: nobody counts, and what is under a frequency cap is shown nobody who is named.
    let caps: FrequencyCapService?
    /// nil: none are recorded.
    let decisions: DecisionLog?
    let clock: StageClock
    let metrics = RecommendationMetrics()
    let finalStage = FinalStageMetrics()
    let log: Logger
    let wallClock: @Sendable () -> Timestamp

    package init(
        cache: TieredCache,
        keeper: CoherenceKeeper,
        control: ControlState,
        users: any UserRepository,
        precomputed: PrecomputedLists?,
        signer: TokenSigner,
        caps: FrequencyCapService? = nil,
        decisions: DecisionLog? = nil,
        clock: StageClock = StageClock(),
        limit: ComputeLimit,
        log: Logger,
        wallClock: @escaping @Sendable () -> Timestamp
    ) {
        self.cache = cache
        self.keeper = keeper
        self.control = control
        self.pools = PoolComputer(users: users, limit: limit, log: log, faults: keeper.faults)
        self.precomputed = precomputed
        self.signer = signer
        self.caps = caps
        self.decisions = decisions
        self.clock = clock
        self.log = log
        self.wallClock = wallClock
    }

    /// What every call begins with: the control state is current (lease, or one read), or the policy lets serve without.
    func open(_ tenant: Tenant.ID) async throws(ServingError) -> Opening {
        let start = ContinuousClock.now
        let standing = await self.keeper.controlStanding()
        let epoch = self.control.appliedControl
        // Taken after the check, so that it holds what the check has applied.
        guard let state = self.control.state(of: tenant) else { throw .notReady }
        guard standing != .unverified || state.policy.onUnverified == .serve else { throw .unverified }
        var degraded: [Degradation] = []
        if standing == .unverified { degraded.append(.controlUnverified) }
        if state.isOnLastGoodPolicy { degraded.append(.policy) }
        let now = self.wallClock()
        return Opening(
            state: state,
            epoch: epoch,
            builder: SlateBuilder(state: state, signer: self.signer, now: now),
            now: now,
            degraded: degraded,
            start: start,
            controlled: ContinuousClock.now
        )
    }
}

/// What all answers of one call have in common, taken once.
struct Opening: Sendable {
    let state: TenantState
    /// The control log as far as this node has applied it; no newer than `state`.
    let epoch: Int64
    let builder: SlateBuilder
    let now: Timestamp
    /// What each of them has to do without.
    let degraded: [Degradation]
    let start: ContinuousClock.Instant
    let controlled: ContinuousClock.Instant
    /// The variants that they are of.
    var experiments: [ExperimentVariant] = []

    var control: Recommendation.Stage {
        Recommendation.Stage(name: "control", duration: self.controlled - self.start)
    }

    /// The same for one user: by the policy and the model that this user's answers are made of.
    func serving(_ user: User.ID?) -> Opening {
        guard let user else { return self }
        return self.by(self.state.serving(user))
    }

    /// The same for one user on one surface: by the policy and the model of that surface, of the user's canaries and experiments.
    func answering(_ user: User.ID?, on surface: String) -> Opening {
        let (state, variants) = self.state.answering(user, on: surface)
        var opening = self.by(state)
        // What was found before is found by the state of before alone.
        opening.experiments = self.experiments.isEmpty ? variants : self.experiments
        return opening
    }

    /// The same by another state of the tenant.
    func by(_ state: TenantState) -> Opening {
        guard state !== self.state else { return self }
        return Opening(
            state: state,
            epoch: self.epoch,
            builder: SlateBuilder(state: state, signer: self.builder.signer, now: self.now),
            now: self.now,
            degraded: self.degraded,
            start: self.start,
            controlled: self.controlled,
            experiments: self.experiments
        )
    }

    func makeID() -> RecommendationID {
        let random = QuickGenerator.sharing { ($0.next(), $0.next()) }
        return RecommendationID(milliseconds: self.now.milliseconds, random: random)
    }

    /// Refuses a surface that is not one of the policy's.
    func check(surface: String) throws(ServingError) {
        let policy = self.state.policy
        guard policy.offers(surface: surface) else { throw .unknownSurface(allowed: policy.surfaces) }
    }
}

extension [Degradation] {
    /// Says it once.
    mutating func note(_ degradation: Degradation) {
        if !self.contains(degradation) { self.append(degradation) }
    }
}

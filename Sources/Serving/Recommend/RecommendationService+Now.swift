import Caching
package import RecommendationCore

/// A request that is answered at once or by ``RecommendationService/recommend(_:)``: the user's own list, unfiltered.
package struct ImmediateRequest: Sendable {
    package let user: User.ID
    package let surface: String
    /// 1 to 100.
    package let limit: Int

    package init(user: User.ID, surface: String, limit: Int) {
        self.user = user
        self.surface = surface
        self.limit = limit
    }
}

/// How this node stands at the moment of a request, under a live lease.
package struct ImmediateStanding {
    /// ``ControlState/changeCount`` at that moment: what was learnt of keys and tenants under the same count still holds.
    package let changes: UInt64
    let moment: Moment
}

/// An answer whose items are not written out: their numbers are in the workspace, their texts in the state.
package struct ImmediateAnswer {
    /// All but the items.
    package fileprivate(set) var recommendation: Recommendation
    package let signing: TokenSigner.Response
    package let state: TenantState
}

/// What can be said to a request without waiting.
package enum ImmediateOutcome {
    case answer(ImmediateAnswer)
    /// L1 does not hold the list: another tier, or a computation, may give it (``RecommendationService/look(_:)``).
    case ask(ImmediateQuestion)
    /// The request has to be asked of ``RecommendationService/recommend(_:)``.
    case wait
}

/// What is kept between the immediate answers of one thread: buffers, a generator, the tenant's state.
package final class ImmediateWorkspace {
    package let slate = SlateWorkspace()
    private var generator = QuickGenerator()
    fileprivate var state: TenantState?
    fileprivate var changes: UInt64?

    package init() {}

    /// An id that nobody else has.
    package func newID(at now: Timestamp) -> RecommendationID {
        RecommendationID(milliseconds: now.milliseconds, random: (self.generator.next(), self.generator.next()))
    }
}

extension RecommendationService {
    /// How this node stands now; nil where requests must wait for a check.
    package func standNow() -> ImmediateStanding? {
        let moment = self.context.keeper.moment()
        // Loaded after the lease was seen live: what the lease vouches for has been counted.
        guard moment.isLive else { return nil }
        return ImmediateStanding(changes: self.context.control.changeCount, moment: moment)
    }

    /// Answers from L1 without waiting, as ``recommend(_:)`` would: the same standing, state, entry and final stage. Where that
    /// cannot be, nothing was counted.
    ///
    /// - Parameter workspace: Takes the places of the answer, until the next.
    package func recommendNow(
        _ request: ImmediateRequest,
        tenant: Tenant.ID,
        standing: ImmediateStanding,
        in workspace: ImmediateWorkspace
    ) -> ImmediateOutcome {
        guard let known = self.state(of: tenant, standing: standing, in: workspace) else { return .wait }
        let (state, experiments) = known.answering(request.user, on: request.surface)
        guard
            let model = state.model,
            // An answer by the last good policy has to say so.
            !state.isOnLastGoodPolicy, let field = state.field(surface: request.surface),
            // What is under a cap has to be reserved.
            !state.isCapped(on: request.surface),
            // The policy in force says which surfaces there are, whatever a variant's would offer.
            experiments.isEmpty || known.serving(request.user).policy.offers(surface: request.surface)
        else { return .wait }
        let controlled = ContinuousClock.now
        let key = CacheKey(prefix: state.keyPrefix, member: request.user.string)
        let question = ImmediateQuestion(
            request: request,
            state: state,
            model: model.number,
            experiments: experiments,
            place: CachePlace(key: key, field: field),
            start: standing.moment.instant,
            controlled: controlled
        )
        let (cache, moment) = (self.context.cache, standing.moment)
        guard
            let entry = cache.localEntry(for: key, field, at: moment)
                ?? cache.localColdEntry(
                    for: key,
                    field,
                    at: moment,
                    payload: { self.context.pools.shared(Asked(question, in: self.context), model) }
                )
        else { return moment.isSharedReachable ? .ask(question) : .wait }
        let pool = ImmediatePool(entry: entry, tier: .l1, lookup: .now - controlled, compute: .zero)
        let answer = self.answer(
            question,
            from: pool,
            at: moment.milliseconds,
            isSharedReachable: moment.isSharedReachable,
            in: workspace
        )
        return answer.map(ImmediateOutcome.answer) ?? .wait
    }

    /// The answer that a pool gives to a question; nil where its bytes are none.
    func answer(
        _ question: ImmediateQuestion,
        from pool: ImmediatePool,
        at milliseconds: Int64,
        isSharedReachable: Bool = true,
        in workspace: ImmediateWorkspace
    ) -> ImmediateAnswer? {
        let begun = ContinuousClock.now
        let (state, user) = (question.state, question.request.user)
        let now = self.context.wallClock()
        let isOld = self.context.keeper.faults.has(.cachedToken)
        let id = isOld ? RecommendationID(high: UInt64(pool.entry.computedAt) << 16, low: 0) : workspace.newID(at: now)
        var answer = Recommendation(id, user: user, surface: question.request.surface, state: state, now: now)
        let isRecorded = self.context.records(id, of: state)
        workspace.slate.isTracing = isRecorded
        let isPool = pool.entry.payload.withUnsafeBytes { bytes in
            guard let view = PoolView(bytes) else { return false }
            let builder = SlateBuilder(state: state, signer: self.context.signer, now: now)
            answer.filtered = builder.choose(question.request.limit, of: view, into: workspace.slate)
            answer.comes(from: pool.tier, isPersonal: view.isPersonal)
            self.context.finalStage.served(answer.filtered, from: pool.tier, suppressedBefore: view.suppressedCount)
            return true
        }
        guard isPool else { return nil }
        let signing = self.context.signer.response(
            id,
            tenant: state.tenant,
            state.origin(user, surface: question.request.surface, question.experiments).of(model: question.model)
        )
        answer.isComputed(at: pool.entry.computedAt, now: milliseconds)
        answer.userVersion = pool.entry.version
        answer.experiments = question.experiments
        answer.stages = [
            Recommendation.Stage(name: "control", duration: question.controlled - question.start),
            Recommendation.Stage(name: "cache", duration: pool.lookup),
            Recommendation.Stage(name: "compute", duration: pool.compute),
            Recommendation.Stage(name: "final", duration: ContinuousClock.now - begun),
        ]
        if !isSharedReachable { answer.degraded.note(.redis) }
        self.context.metrics.served(answer)
        if isRecorded, let trace = workspace.slate.takeTrace() {
            self.context.decisions?.note(DecisionDraft(.own, answer, .none, state, trace))
        }
        return ImmediateAnswer(recommendation: answer, signing: signing, state: state)
    }

    /// The state of a tenant, asked for again only when something was applied since.
    private func state(
        of tenant: Tenant.ID,
        standing: ImmediateStanding,
        in workspace: ImmediateWorkspace
    ) -> TenantState? {
        if workspace.changes == standing.changes, let state = workspace.state, state.tenant == tenant { return state }
        workspace.state = self.context.control.state(of: tenant)
        workspace.changes = standing.changes
        return workspace.state
    }
}

import Caching
package import RecommendationCore

/// A request that is answered at once or by ``RecommendationService/recommend(_:)``: the user's own list, unfiltered.
package struct ImmediateRequest {
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
    package let recommendation: Recommendation
    package let signing: TokenSigner.Response
    package let state: TenantState
}

/// What is kept between the immediate answers of one thread: buffers, a generator, the tenant's state.
package final class ImmediateWorkspace {
    package let slate = SlateWorkspace()
    package var generator = QuickGenerator()
    fileprivate var state: TenantState?
    fileprivate var changes: UInt64?

    package init() {}
}

extension RecommendationService {
    /// How this node stands now; nil where requests must wait for a check, or answers have to say what is missing.
    package func standNow() -> ImmediateStanding? {
        let moment = self.context.keeper.moment()
        // Loaded after the lease was seen live: what the lease vouches for has been counted.
        guard moment.isLive, moment.isSharedReachable else { return nil }
        return ImmediateStanding(changes: self.context.control.changeCount, moment: moment)
    }

    /// Answers from L1 without waiting, as ``recommend(_:)`` would: the same standing, state, entry and final stage. Nil: that
    /// has to be asked; nothing was counted.
    ///
    /// - Parameter workspace: Takes the places of the answer, until the next.
    package func recommendNow(
        _ request: ImmediateRequest,
        tenant: Tenant.ID,
        standing: ImmediateStanding,
        in workspace: ImmediateWorkspace
    ) -> ImmediateAnswer? {
        guard let state = self.state(of: tenant, standing: standing, in: workspace), let model = state.model,
            // An answer by the last good policy has to say so.
            !state.isOnLastGoodPolicy, let field = state.field(surface: request.surface)
        else { return nil }
        let controlled = ContinuousClock.now
        let key = CacheKey(prefix: state.keyPrefix, member: request.user.string)
        guard let entry = self.context.cache.localEntry(for: key, field, at: standing.moment) else { return nil }
        let found = ContinuousClock.now
        let now = self.context.wallClock()
        let id = RecommendationID(milliseconds: now.milliseconds, using: &workspace.generator)
        var answer = Recommendation(id, user: request.user, surface: request.surface, state: state, now: now)
        let isPool = entry.payload.withUnsafeBytes { bytes in
            guard let pool = PoolView(bytes) else { return false }
            let builder = SlateBuilder(state: state, signer: self.context.signer, now: now)
            answer.filtered = builder.choose(request.limit, of: pool, into: workspace.slate)
            answer.comes(from: .l1, isPersonal: pool.isPersonal)
            self.context.finalStage.served(answer.filtered, from: .l1, suppressedBefore: pool.suppressedCount)
            return true
        }
        guard isPool else { return nil }
        let signing = self.context.signer.response(id, model: model.number, tenant: tenant, user: request.user)
        answer.isComputed(at: entry.computedAt, now: standing.moment.milliseconds)
        answer.userVersion = entry.version
        answer.stages = [
            Recommendation.Stage(name: "control", duration: controlled - standing.moment.instant),
            Recommendation.Stage(name: "cache", duration: found - controlled),
            Recommendation.Stage(name: "compute", duration: .zero),
            Recommendation.Stage(name: "final", duration: ContinuousClock.now - found),
        ]
        self.context.metrics.served(answer)
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

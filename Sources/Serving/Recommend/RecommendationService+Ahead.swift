import Caching
import RecommendationCore

/// A request whose list L1 does not hold, and what its answer will be made of.
package struct ImmediateQuestion: Sendable {
    let request: ImmediateRequest
    let state: TenantState
    let model: ModelVersion.Number
    let experiments: [ExperimentVariant]
    let place: CachePlace
    let start: ContinuousClock.Instant
    let controlled: ContinuousClock.Instant
}

/// A pool that was found or computed for a question.
package struct ImmediatePool: Sendable {
    let entry: CacheEntry
    let tier: Tier
    let lookup: Duration
    let compute: Duration
}

/// What a look in L2 came to.
package enum ImmediateLook: Sendable {
    case found(ImmediatePool)
    /// No tier holds it: it may be computed (``RecommendationService/compute(_:)``).
    case missing
    /// The request has to be asked of ``RecommendationService/recommend(_:)``.
    case wait
}

/// Questions of many requests together: one read of L2, one statement, one round trip for leases and one for fills. What is
/// not plain is left to ``RecommendationService/recommend(_:)``.
extension RecommendationService {
    /// Looks for many questions in one read of L2.
    package func look(_ questions: [ImmediateQuestion]) async -> [ImmediateLook] {
        let looks = await self.context.cache.sharedEntries(of: questions.map(\.place))
        return zip(questions, looks).map { question, look in
            switch look {
            case .fresh(let entry):
                .found(ImmediatePool(entry: entry, tier: .l2, lookup: .now - question.controlled, compute: .zero))
            case .missing: .missing
            case .unclear: .wait
            }
        }
    }

    /// Computes the pools of many questions; nil, of each: it has to be asked of ``recommend(_:)``.
    package func compute(_ questions: [ImmediateQuestion]) async -> [ImmediatePool?] {
        let begun = ContinuousClock.now
        var pools = [ImmediatePool?](repeating: nil, count: questions.count)
        // Of one tenant and one moment: almost always all of them.
        for (_, group) in Dictionary(grouping: questions.indices, by: { ObjectIdentifier(questions[$0].state) }) {
            guard questions[group[0]].state.model != nil else { continue }
            let requests = group.map { index in
                CacheRequest(
                    place: questions[index].place,
                    lifetimes: Lifetimes(questions[index].state.policy),
                    servesStale: false
                )
            }
            let entries = await self.context.cache.computedEntries(for: requests) {
                (indices) async throws(PoolFailure) in
                try await self.context.pools.compute(indices.map { Asked(questions[group[$0]], in: self.context) })
            }
            for (index, entry) in zip(group, entries) {
                guard let entry else { continue }
                pools[index] = ImmediatePool(
                    entry: entry,
                    tier: .computed,
                    lookup: begun - questions[index].controlled,
                    compute: .now - begun
                )
            }
        }
        return pools
    }

    /// The answer to a question; nil: it has to be asked of ``recommend(_:)``.
    ///
    /// - Parameter workspace: Takes the places of the answer, until the next.
    package func answer(
        _ question: ImmediateQuestion,
        from pool: ImmediatePool,
        in workspace: ImmediateWorkspace
    ) -> ImmediateAnswer? {
        // Redis that was lost meanwhile must be told of.
        guard self.context.keeper.isSharedReachable else { return nil }
        return self.answer(question, from: pool, at: self.context.keeper.milliseconds(), in: workspace)
    }
}

extension Asked {
    init(_ question: ImmediateQuestion, in context: ServingContext) {
        let request = question.request
        let now = context.wallClock()
        self.init(
            RecommendationRequest(
                tenant: question.state.tenant,
                user: request.user,
                surface: request.surface,
                limit: request.limit
            ),
            checked: Opening(
                state: question.state,
                epoch: question.state.epoch,
                builder: SlateBuilder(state: question.state, signer: context.signer, now: now),
                now: now,
                degraded: [],
                start: question.start,
                controlled: question.controlled,
                experiments: question.experiments
            )
        )
    }
}

import Caching
import RecommendationCore
import RecommendationEngine

/// Why no pool could be had.
enum PoolFailure: Error {
    case noModel
    case store(RepositoryError)
    case overloaded
    case undecodable

    /// The reason in answers.
    var reason: String {
        switch self {
        case .noModel: "no_model"
        case .store: "store_unavailable"
        case .overloaded: "overloaded"
        case .undecodable: "internal"
        }
    }

    /// What the system did without; nil: nothing is missing that it once had.
    var degradation: Degradation? {
        switch self {
        case .noModel: nil
        case .store: .postgres
        case .overloaded, .undecodable: .overloaded
        }
    }
}

/// The fixed parts of one answer.
struct Place {
    let request: RecommendationRequest
    let state: TenantState
    let builder: SlateBuilder
    let id: RecommendationID
    let now: Timestamp
}

extension RecommendationService {
    /// The answer of a user's own pool.
    func answer(_ place: Place, of pooled: Pooled, _ model: TenantState.LoadedModel) -> Recommendation {
        let slate = self.slate(place, of: pooled.pool, model)
        var answer = self.answer(place, slate)
        answer.tier = pooled.tier
        let age = self.keeper.milliseconds().subtractingReportingOverflow(pooled.computedAt)
        answer.ageMilliseconds = age.overflow ? 0 : max(0, age.partialValue)
        answer.userVersion = pooled.version
        if pooled.tier == .stale {
            answer.fallback = .stale
            answer.fallbackReason = "refresh_failed"
        } else if !pooled.pool.isPersonal {
            answer.fallback = .coldStart
            answer.fallbackReason = "no_history"
        }
        return answer
    }

    /// The first of the policy's fallbacks that has something to show.
    ///
    /// What a user has blocked or hidden is not known to the lists that are everybody's: where the policy refuses to serve
    /// what is not verified, they are passed over.
    func fallback(_ place: Place, cause: PoolFailure) async throws(ServingError) -> Recommendation {
        let policy = place.state.policy
        var refused = false
        for step in policy.fallback {
            var answer: Recommendation
            switch step {
            case .stale:
                // Where it is first, the cache has looked for it.
                guard policy.fallback.first != .stale, let model = place.state.model,
                    let pooled = await self.heldPool(place, model)
                else { continue }
                answer = self.answer(place, of: pooled, model)
            case .precomputed:
                continue
            case .popular:
                guard let model = place.state.model else { continue }
                guard policy.onUnverified == .serve else {
                    refused = true
                    continue
                }
                answer = self.answer(place, self.slate(place, of: self.popularPool(place.state, model), model))
                answer.fallback = .popular
                answer.fallbackReason = cause.reason
            case .staticList:
                guard policy.onUnverified == .serve else {
                    refused = true
                    continue
                }
                let limit = place.request.limit
                answer = self.answer(
                    place,
                    place.builder.staticSlate(limit: limit, id: place.id, user: place.request.user)
                )
                answer.fallback = .staticList
                answer.fallbackReason = cause.reason
            }
            if !answer.items.isEmpty { return answer }
        }
        if case .noModel = cause { throw .notReady }
        throw refused ? .unverified : .nothingToServe
    }

    /// A pool that a tier of the cache still holds.
    private func heldPool(_ place: Place, _ model: TenantState.LoadedModel) async -> Pooled? {
        let request = place.request
        let (key, field) = self.cachePlace(request, place.state, model)
        let held = await self.cache.held(for: key, field) {
            try await self.users.version(of: request.user, tenant: request.tenant)
        }
        guard let held, let pool = PoolCodec.decode(held.entry.payload) else { return nil }
        return Pooled(
            pool: pool,
            tier: Tier(held.tier),
            version: held.entry.version,
            computedAt: held.entry.computedAt,
            withoutRedis: held.withoutShared,
            lookup: held.lookup,
            compute: .zero
        )
    }

    private func popularPool(_ state: TenantState, _ model: TenantState.LoadedModel) -> CandidatePool {
        self.scorers.withScorer { scorer in
            scorer.pool(history: [], snapshot: model.snapshot, policy: state.policy, excluded: state.excluded.words)
        }
    }

    private func slate(_ place: Place, of pool: CandidatePool, _ model: TenantState.LoadedModel) -> SlateBuilder.Slate {
        place.builder.slate(
            of: pool,
            limit: place.request.limit,
            id: place.id,
            user: place.request.user,
            model: model.number
        )
    }

    private func answer(_ place: Place, _ slate: SlateBuilder.Slate) -> Recommendation {
        Recommendation(
            id: place.id,
            user: place.request.user,
            surface: place.request.surface,
            generatedAt: place.now,
            items: slate.items,
            modelVersion: place.state.model?.name ?? "none",
            policyVersion: place.state.policy.version,
            tier: .fallback,
            ageMilliseconds: 0,
            fallback: nil,
            fallbackReason: nil,
            degraded: [],
            filtered: slate.filtered,
            userVersion: 0,
            stages: []
        )
    }
}

import Caching
import RecommendationCore
import RecommendationEngine

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
        pooled.payload.withUnsafeBytes { bytes in
            guard let pool = PoolView(bytes) else { preconditionFailure("the pool was checked when it was found") }
            let slate = place.builder.slate(
                of: pool,
                limit: place.request.limit,
                id: place.id,
                user: place.request.user,
                model: model.number
            )
            var answer = self.answer(place, slate)
            answer.comes(from: pooled.tier, isPersonal: pool.isPersonal)
            answer.isComputed(at: pooled.computedAt, now: self.keeper.milliseconds())
            answer.userVersion = pooled.version
            self.finalStage.served(slate.filtered, from: pooled.tier, suppressedBefore: pool.suppressedCount)
            return answer
        }
    }

    /// The first of the policy's fallbacks that has something to show.
    func fallback(_ place: Place, cause: PoolFailure) async throws(ServingError) -> Recommendation {
        let (request, state, builder) = (place.request, place.state, place.builder)
        let answer = try await FallbackLadder(policy: state.policy, cause: cause).climb(
            stale: {
                guard let model = state.model, let pooled = await self.heldPool(place) else { return nil }
                return self.answer(place, of: pooled, model)
            },
            popular: {
                guard let model = state.model else { return nil }
                let pool = self.popularPool(state, model)
                return self.answer(
                    place,
                    builder.slate(of: pool, limit: request.limit, id: place.id, user: request.user, model: model.number)
                )
            },
            curated: {
                self.answer(place, builder.staticSlate(limit: request.limit, id: place.id, user: request.user))
            }
        )
        if answer.tier == .fallback { self.finalStage.served(answer.filtered, from: .fallback, suppressedBefore: 0) }
        return answer
    }

    /// A pool that a tier of the cache still holds.
    private func heldPool(_ place: Place) async -> Pooled? {
        guard let (key, field) = Self.cachePlace(place.request, place.state),
            let held = await self.cache.held(for: key, field), Self.isPool(held.entry.payload)
        else { return nil }
        return Pooled(
            payload: held.entry.payload,
            tier: Tier(held.tier),
            version: held.entry.version,
            computedAt: held.entry.computedAt,
            withoutRedis: held.withoutShared,
            lookup: held.lookup,
            compute: .zero
        )
    }

    func popularPool(_ state: TenantState, _ model: TenantState.LoadedModel) -> CandidatePool {
        self.scorers.withScorer { scorer in
            scorer.pool(history: [], snapshot: model.snapshot, policy: state.policy, excluded: state.excluded.words)
        }
    }

    private func answer(_ place: Place, _ slate: SlateBuilder.Slate) -> Recommendation {
        var answer = Recommendation(
            place.id,
            user: place.request.user,
            surface: place.request.surface,
            state: place.state,
            now: place.now
        )
        answer.items = slate.items
        answer.filtered = slate.filtered
        return answer
    }
}

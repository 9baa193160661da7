import Caching
import RecommendationCore

/// Answers "what should this user see now?".
///
/// In order: the control state is current (lease, or one read) → the pool of the user, from the nearest tier that may serve it
/// → the final stage. Where no pool can be had the policy's fallbacks are tried in their order, through the same final stage.
package final class RecommendationService: Sendable {
    let context: ServingContext

    package init(_ context: ServingContext) {
        self.context = context
    }

    package func recommend(_ request: RecommendationRequest) async throws(ServingError) -> Recommendation {
        switch request.page {
        case .whole: break
        case .first: return try await self.firstPage(request)
        case .next(let cursor): return try await self.nextPage(request, after: cursor)
        }
        let opening = try await self.context.open(request.tenant)
        let asked = try Asked(request, opening)
        let found: Result<CacheAnswer, PoolFailure>
        do {
            found = .success(try await self.context.pool(asked))
        } catch {
            found = .failure(error)
        }
        return try await self.context.answer(asked, from: found, since: opening.controlled)
    }
}

extension ServingContext {
    /// The pool of a request, from the nearest tier that may serve it, or computed.
    func pool(_ asked: Asked) async throws(PoolFailure) -> CacheAnswer {
        guard let model = asked.state.model else { throw .noModel }
        let (place, pools) = (asked.place, self.pools)
        return try await self.timed(by: StageBudget.current?.pool) { () async throws(PoolFailure) in
            try await self.cache.entry(
                for: place.key,
                place.field,
                lifetimes: Lifetimes(asked.state.policy),
                minVersion: asked.request.minimumVersion,
                servesStale: asked.servesStale,
                cold: { pools.shared(asked, model) },
                compute: { () async throws(PoolFailure) in try await pools.compute(asked) }
            )
        }
    }
}

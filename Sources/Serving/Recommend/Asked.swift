import Caching
import RecommendationCore
import RecommendationEngine

/// One request of a call, with what its answer is made of.
struct Asked: Sendable {
    let request: RecommendationRequest
    let opening: Opening
    private(set) var id: RecommendationID
    /// Tells its pool from those that are drawn by other filters.
    let digest: String

    var state: TenantState { self.opening.state }

    /// - Throws: Where the surface is not one of the policy's.
    init(_ request: RecommendationRequest, _ opening: Opening) throws(ServingError) {
        try opening.serving(request.named).check(surface: request.surface)
        self.init(request, checked: opening)
    }

    /// Of a surface that is one of the policy's.
    init(_ request: RecommendationRequest, checked opening: Opening) {
        self.request = request
        let opening = opening.answering(request.named, on: request.surface)
        self.opening = opening
        self.id = opening.makeID()
        self.digest = request.filters.poolDigest(in: opening.state.catalog, policy: opening.state.policy)
    }

    /// Whether its pool holds items the user has had: most are shown none, and spared a fifth of the pool.
    var keepsSeen: Bool { !self.state.policy.seenFilter || self.request.filters.asksForSeen(of: self.state.policy) }

    /// As it was answered when its pool was computed: what ``SeededFault/cachedToken`` gets wrong.
    func answered(before computedAt: Int64) -> Asked {
        var asked = self
        asked.id = RecommendationID(milliseconds: computedAt, random: (0, UInt64(self.request.user.string.utf8.count)))
        return asked
    }

    /// Where its pool is cached.
    var place: CachePlace {
        CachePlace(
            key: CacheKey(prefix: self.state.keyPrefix, member: self.request.user.string),
            field: self.state.field(surface: self.request.surface, filters: self.digest)
        )
    }

    /// What its tokens say.
    var origin: SlateOrigin {
        self.state.origin(self.request.user, surface: self.request.surface, self.opening.experiments)
    }

    /// Whether a stale copy may be the answer where the cache finds nothing better.
    var servesStale: Bool { self.state.policy.fallback.first == .stale }

    /// What it asks of the final stage beyond the rules of every answer.
    var filter: SlateFilter {
        self.request.filters.isNone ? .none : SlateFilter(self.request.filters, catalog: self.state.catalog)
    }

    /// What no pool that it may be answered from holds.
    func excluded(in model: TenantState.LoadedModel) -> Bitmap {
        self.state.catalog.excluded(
            by: self.request.filters,
            of: self.state.excluded,
            itemCount: model.snapshot.itemCount
        )
    }

    /// The answer that holds a slate; where it comes from is not said yet.
    func answer(_ slate: SlateBuilder.Slate) -> Recommendation {
        var answer = Recommendation(
            self.id,
            user: self.request.named,
            surface: self.request.surface,
            state: self.state,
            now: self.opening.now
        )
        answer.items = slate.items
        answer.filtered = slate.filtered
        answer.degraded = self.opening.degraded
        answer.experiments = self.opening.experiments
        return answer
    }
}

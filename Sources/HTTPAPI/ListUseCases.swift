package import RecommendationCore
package import Serving

/// What the API can be asked for beside one user's own slate.
package struct ListUseCases: Sendable {
    /// Slates of many users of one tenant, each by itself an answer or an error, in order.
    package var recommendMany:
        @Sendable ([RecommendationRequest], Tenant.ID) async throws(ServingError) -> [Result<
            Recommendation, ServingError
        >]
    /// Why an item is in the list of a request, or why not.
    package var explain: @Sendable (Item.ID, RecommendationRequest) async throws(ServingError) -> ItemExplanation
    package var similar: @Sendable (SimilarRequest) async throws(ServingError) -> ItemList
    package var list: @Sendable (ListRequest) async throws(ServingError) -> ItemList
    package var session: @Sendable (SessionRequest) async throws(ServingError) -> Recommendation

    package init(
        recommendMany:
            @escaping @Sendable ([RecommendationRequest], Tenant.ID) async throws(ServingError) -> [Result<
                Recommendation, ServingError
            >],
        explain:
            @escaping @Sendable (Item.ID, RecommendationRequest) async throws(ServingError) -> ItemExplanation,
        similar: @escaping @Sendable (SimilarRequest) async throws(ServingError) -> ItemList,
        list: @escaping @Sendable (ListRequest) async throws(ServingError) -> ItemList,
        session: @escaping @Sendable (SessionRequest) async throws(ServingError) -> Recommendation
    ) {
        self.recommendMany = recommendMany
        self.explain = explain
        self.similar = similar
        self.list = list
        self.session = session
    }
}

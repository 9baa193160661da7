package import RecommendationCore
package import Serving

/// What can be asked for without waiting, on an event loop. Nil, of each: ask the use case that may wait.
package struct ImmediateUseCases: Sendable {
    package var stand: @Sendable () -> ImmediateStanding?
    /// The caller behind a presented key, among keys that a live lease vouches for.
    package var principal: @Sendable (String) -> Principal?
    package var recommend:
        @Sendable (ImmediateRequest, Tenant.ID, ImmediateStanding, ImmediateWorkspace) -> ImmediateAnswer?

    package init(
        stand: @escaping @Sendable () -> ImmediateStanding?,
        principal: @escaping @Sendable (String) -> Principal?,
        recommend:
            @escaping @Sendable (ImmediateRequest, Tenant.ID, ImmediateStanding, ImmediateWorkspace) -> ImmediateAnswer?
    ) {
        self.stand = stand
        self.principal = principal
        self.recommend = recommend
    }
}

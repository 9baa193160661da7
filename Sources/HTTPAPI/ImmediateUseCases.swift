package import RecommendationCore
package import Serving

/// What can be asked for on an event loop, ahead of the use cases that wait for themselves. Nil, of each: ask those.
package struct ImmediateUseCases: Sendable {
    package var stand: @Sendable () -> ImmediateStanding?
    /// The caller behind a presented key, among keys that a live lease vouches for.
    package var principal: @Sendable (String) -> Principal?
    package var recommend:
        @Sendable (ImmediateRequest, Tenant.ID, ImmediateStanding, ImmediateWorkspace) -> ImmediateOutcome
    /// Looks in L2 for what L1 does not hold, for many requests together. This waits, elsewhere.
    package var look: @Sendable ([ImmediateQuestion]) async -> [ImmediateLook]
    /// Computes what L2 does not hold, for many requests together. This waits, elsewhere.
    package var compute: @Sendable ([ImmediateQuestion]) async -> [ImmediatePool?]
    /// The answer of a pool that was looked for or computed.
    package var answer: @Sendable (ImmediateQuestion, ImmediatePool, ImmediateWorkspace) -> ImmediateAnswer?

    package init(
        stand: @escaping @Sendable () -> ImmediateStanding?,
        principal: @escaping @Sendable (String) -> Principal?,
        recommend:
            @escaping @Sendable (ImmediateRequest, Tenant.ID, ImmediateStanding, ImmediateWorkspace) -> ImmediateOutcome,
        look: @escaping @Sendable ([ImmediateQuestion]) async -> [ImmediateLook],
        compute: @escaping @Sendable ([ImmediateQuestion]) async -> [ImmediatePool?],
        answer: @escaping @Sendable (ImmediateQuestion, ImmediatePool, ImmediateWorkspace) -> ImmediateAnswer?
    ) {
        self.stand = stand
        self.principal = principal
        self.recommend = recommend
        self.look = look
        self.compute = compute
        self.answer = answer
    }
}

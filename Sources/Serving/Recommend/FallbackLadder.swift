import RecommendationCore

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

/// The lists that stand in for a user's own, in the order that the policy gives them.
struct FallbackLadder {
    let policy: Policy
    let cause: PoolFailure

    /// The first of the policy's fallbacks that has something to show.
    ///
    /// What a user has blocked or hidden is not known to the lists that are everybody's: where the policy refuses to serve
    /// what is not verified, they are passed over.
    ///
    /// - Parameters:
    ///   - stale: The answer of a pool that a tier of the cache still holds.
    ///   - popular: The answer of the popular list; nil without a model.
    ///   - curated: The answer of the policy's items of last resort.
    func climb(
        stale: () async -> Recommendation?,
        popular: () -> Recommendation?,
        curated: () -> Recommendation
    ) async throws(ServingError) -> Recommendation {
        var refused = false
        for step in self.policy.fallback {
            var answer: Recommendation
            switch step {
            case .stale:
                // Where it is first, the cache has looked for it.
                guard self.policy.fallback.first != .stale, let held = await stale() else { continue }
                answer = held
            case .precomputed:
                continue
            case .popular, .staticList:
                guard self.policy.onUnverified == .serve else {
                    refused = true
                    continue
                }
                guard let list = step == .popular ? popular() : curated() else { continue }
                answer = list
                answer.tier = .fallback
                answer.fallback = step == .popular ? .popular : .staticList
                answer.fallbackReason = self.cause.reason
            }
            if !answer.items.isEmpty { return answer }
        }
        if case .noModel = self.cause { throw .notReady }
        throw refused ? .unverified : .nothingToServe
    }
}

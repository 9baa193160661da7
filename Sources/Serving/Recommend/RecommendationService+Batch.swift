import Caching
package import RecommendationCore

extension RecommendationService {
    /// The slates of many requests of one tenant in order, each an answer or an error by itself: as
    /// ``recommend(_:)`` answers one, with one read of L2 for all pools that L1 may not serve and one statement for all users
    /// whose pools must be computed.
    ///
    /// - Throws: What holds for all of them.
    package func recommend(
        _ requests: [RecommendationRequest],
        tenant: Tenant.ID
    ) async throws(ServingError) -> [Result<Recommendation, ServingError>] {
        let opening = try await self.context.open(tenant)
        var pools = WantedPools()
        let asked = requests.map { request in
            Result { () throws(ServingError) in
                let asked = try Asked(request, opening)
                return (asked, pool: pools.index(of: asked))
            }
        }
        let found = await self.found(pools, opening.state)
        var answers = [Result<Recommendation, ServingError>?](repeating: nil, count: asked.count)
        await withTaskGroup(of: (Int, Result<Recommendation, ServingError>).self) { group in
            for (index, asked) in asked.enumerated() {
                switch asked {
                case .failure(let error): answers[index] = .failure(error)
                case .success(let asked):
                    let found = found[asked.pool]
                    if found.isFailure || asked.0.capSubject != nil {
                        // Fallbacks that read do so together, and so do reservations, which go out in one write.
                        group.addTask { (index, await self.answer(asked.0, from: found)) }
                    } else {
                        answers[index] = await self.answer(asked.0, from: found)
                    }
                }
            }
            for await (index, answer) in group { answers[index] = answer }
        }
        return answers.compactMap(\.self)
    }

    private func answer(
        _ asked: Asked,
        from found: Result<CacheAnswer, PoolFailure>
    ) async -> Result<Recommendation, ServingError> {
        do throws(ServingError) {
            return .success(try await self.context.answer(asked, from: found, since: .now))
        } catch {
            return .failure(error)
        }
    }

    private func found(_ wanted: WantedPools, _ state: TenantState) async -> [Result<CacheAnswer, PoolFailure>] {
        guard state.model != nil else { return wanted.requests.map { _ in .failure(.noModel) } }
        let found = await self.context.clock.value(by: StageBudget.current?.pool) {
            await self.context.cache.entries(for: wanted.requests) { indices async throws(PoolFailure) in
                try await self.context.pools.compute(indices.map { wanted.asked[$0] })
            }
        }
        return found ?? wanted.requests.map { _ in .failure(.deadline) }
    }
}

extension Result {
    fileprivate var isFailure: Bool { if case .failure = self { true } else { false } }
}

/// The pools that requests need, each once.
private struct WantedPools {
    private var known: [CachePlace: Int] = [:]
    /// The first request for each.
    private(set) var asked: [Asked] = []
    /// As the cache is asked for them.
    private(set) var requests: [CacheRequest] = []

    /// The place of a request's pool among all; no version below the highest that is asked of it will do.
    mutating func index(of asked: Asked) -> Int {
        let place = asked.place
        let minimum = asked.request.minimumVersion
        guard let index = self.known[place] else {
            self.known[place] = self.asked.count
            self.asked.append(asked)
            self.requests.append(Self.request(place, asked, minimum))
            return self.asked.count - 1
        }
        if self.requests[index].minimumVersion < minimum { self.requests[index] = Self.request(place, asked, minimum) }
        return index
    }

    private static func request(_ place: CachePlace, _ asked: Asked, _ minimum: User.Version) -> CacheRequest {
        CacheRequest(
            place: place,
            lifetimes: Lifetimes(asked.state.policy),
            minimumVersion: minimum,
            servesStale: asked.servesStale
        )
    }
}

package import Caching
package import Logging
import Metrics
package import RecommendationCore
import RecommendationEngine

/// Answers "what should these users see now?": many users at once, and requests with filters.
///
/// As ``RecommendationService`` answers for one, with one read of L2 for all users that L1 may not serve and one statement for all
/// whose pools must be computed.
package final class SlateService: Sendable {
    private let cache: TieredCache
    private let keeper: CoherenceKeeper
    private let control: ControlState
    private let users: any UserRepository
    private let signer: TokenSigner
    private let limit: ComputeLimit
    private let scorers = ScorerPool()
    private let metrics = RecommendationMetrics()
    private let finalStage = FinalStageMetrics()
    private let log: Logger
    private let wallClock: @Sendable () -> Timestamp

    package init(
        cache: TieredCache,
        keeper: CoherenceKeeper,
        control: ControlState,
        users: any UserRepository,
        signer: TokenSigner,
        limit: ComputeLimit,
        log: Logger,
        wallClock: @escaping @Sendable () -> Timestamp
    ) {
        self.cache = cache
        self.keeper = keeper
        self.control = control
        self.users = users
        self.signer = signer
        self.limit = limit
        self.log = log
        self.wallClock = wallClock
    }

    /// The slate of one request.
    package func recommend(_ request: RecommendationRequest) async throws(ServingError) -> Recommendation {
        try await self.recommend([request], tenant: request.tenant)[0].get()
    }

    /// The slates of many requests of one tenant in order, each an answer or an error by itself.
    ///
    /// - Throws: What holds for all of them.
    package func recommend(
        _ requests: [RecommendationRequest],
        tenant: Tenant.ID
    ) async throws(ServingError) -> [Result<Recommendation, ServingError>] {
        let start = ContinuousClock.now
        let standing = await self.keeper.controlStanding()
        // Taken after the check, so that it holds what the check has applied.
        guard let state = self.control.state(of: tenant) else { throw .notReady }
        guard standing != .unverified || state.policy.onUnverified == .serve else { throw .unverified }
        let now = self.wallClock()
        var round = Round(
            state: state,
            builder: SlateBuilder(state: state, signer: self.signer, now: now),
            now: now,
            isVerified: standing != .unverified,
            control: ContinuousClock.now - start
        )
        guard let model = state.model else {
            var answers: [Result<Recommendation, ServingError>] = []
            for request in requests { answers.append(await self.fallback(request, nil, &round, .noModel)) }
            return answers
        }
        let slots = Slots(requests, state: state, model: model)
        let entries = await self.cache.entries(for: slots.list.map(\.cacheRequest)) {
            (indices) async throws(PoolFailure) in
            try await self.compute(indices.map { slots.list[$0].request }, state, model)
        }
        var answers: [Result<Recommendation, ServingError>] = []
        for (request, slot) in zip(requests, slots.ofRequest) {
            guard let slot else {
                answers.append(.failure(.unknownSurface(allowed: state.policy.surfaces)))
                continue
            }
            let answer: Result<Recommendation, ServingError>
            switch entries[slot] {
            case .success(let entry):
                answer = await self.answer(request, slots.list[slot].place, entry, model, &round)
            case .failure(let error) where request.minimumVersion > 0:
                self.log.debug("no version known", metadata: ["reason": "\(error.reason)"])
                answer = .failure(.storeUnavailable)
            case .failure(let error):
                answer = await self.fallback(request, slots.list[slot].place, &round, error)
            }
            if case .success(let recommendation) = answer {
                self.metrics.served(recommendation)
            }
            answers.append(answer)
        }
        return answers
    }

    // MARK: Pools

    /// The entries that requests need, each once.
    private struct Slots {
        struct Slot {
            let place: CachePlace
            var request: RecommendationRequest
            let lifetimes: Lifetimes
            let servesStale: Bool

            var cacheRequest: CacheRequest {
                CacheRequest(
                    place: self.place,
                    lifetimes: self.lifetimes,
                    minimumVersion: self.request.minimumVersion,
                    servesStale: self.servesStale
                )
            }
        }

        private(set) var list: [Slot] = []
        /// By request; nil where its surface is not one of the policy's.
        private(set) var ofRequest: [Int?] = []

        init(_ requests: [RecommendationRequest], state: TenantState, model: TenantState.LoadedModel) {
            let policy = state.policy
            var known: [CachePlace: Int] = [:]
            for request in requests {
                guard policy.offers(surface: request.surface) else {
                    self.ofRequest.append(nil)
                    continue
                }
                let place = Self.place(request, state, model)
                let slot = known[place] ?? self.list.count
                self.ofRequest.append(slot)
                if slot < self.list.count {
                    let minimum = max(self.list[slot].request.minimumVersion, request.minimumVersion)
                    self.list[slot].request.minimumVersion = minimum
                } else {
                    known[place] = slot
                    self.list.append(
                        Slot(
                            place: place,
                            request: request,
                            lifetimes: Lifetimes(policy),
                            servesStale: policy.fallback.first == .stale
                        )
                    )
                }
            }
        }

        private static func place(
            _ request: RecommendationRequest,
            _ state: TenantState,
            _ model: TenantState.LoadedModel
        ) -> CachePlace {
            let generation = state.control.generations.generation(
                surface: request.surface,
                model: model.name,
                policy: state.policy.version
            )
            let parts = [
                request.surface, model.name, state.policy.version, "",
                request.filters.poolDigest(in: state.catalog), String(generation),
            ]
            return CachePlace(
                key: CacheKey(namespace: state.incarnation, owner: state.tenant.string, member: request.user.string),
                field: CacheField(parts: parts)
            )
        }
    }

    /// Reads the users and scores; the snapshot of the store is opened here, not before.
    private func compute(
        _ requests: [RecommendationRequest],
        _ state: TenantState,
        _ model: TenantState.LoadedModel
    ) async throws(PoolFailure) -> [Computation] {
        guard self.limit.enter() else { throw .overloaded }
        defer { self.limit.leave() }
        let names = Array(Set(requests.map(\.user)))
        var known: [User.ID: UserState] = [:]
        do {
            for (name, user) in zip(names, try await self.users.states(of: names, tenant: state.tenant)) {
                known[name] = user
            }
        } catch {
            self.log.debug("users cannot be read", metadata: ["error": "\(error)"])
            throw .store(error)
        }
        var excluded: [String: Bitmap] = [:]
        var cold: [String: [UInt8]] = [:]
        var computations: [Computation] = []
        for request in requests {
            let user = known[request.user] ?? .unknown
            let digest = request.filters.poolDigest(in: state.catalog)
            let isCold = (user.history.isEmpty || !user.consent) && user.suppressions.isEmpty
            let payload: [UInt8]
            if isCold, let made = cold[digest] {
                payload = made
            } else {
                let left =
                    excluded[digest]
                    ?? state.catalog.excluded(
                        by: request.filters,
                        of: state.excluded,
                        itemCount: model.snapshot.itemCount
                    )
                excluded[digest] = left
                let pool = self.scorers.withScorer { scorer in
                    UserPool(state: state, snapshot: model.snapshot, excluded: left).pool(of: user, scorer: scorer)
                }
                payload = PoolCodec.encode(pool)
                if isCold { cold[digest] = payload }
            }
            computations.append(
                Computation(
                    version: user.version,
                    payload: payload,
                    isCacheable: user.version > 0 && !isCold
                )
            )
            // A hundred users are some milliseconds: others may come between.
            await Task.yield()
        }
        return computations
    }

    // MARK: Answers

    /// What the answers of one call share.
    private struct Round {
        let state: TenantState
        let builder: SlateBuilder
        let now: Timestamp
        let isVerified: Bool
        let control: Duration
        var generator = SystemRandomNumberGenerator()
        /// The pool of everybody, by filters.
        var popular: [String: CandidatePool] = [:]

        mutating func makeID() -> RecommendationID {
            RecommendationID(milliseconds: self.now.milliseconds, using: &self.generator)
        }
    }

    private func answer(
        _ request: RecommendationRequest,
        _ place: CachePlace,
        _ found: CacheAnswer,
        _ model: TenantState.LoadedModel,
        _ round: inout Round
    ) async -> Result<Recommendation, ServingError> {
        guard found.entry.version >= request.minimumVersion else { return .failure(.versionUnknown) }
        let begun = ContinuousClock.now
        guard var answer = self.answer(request, found, model, &round) else {
            // Bytes that passed the checksum and are no pool: another program writes these keys.
            self.metrics.undecodable.increment()
            return await self.fallback(request, place, &round, .undecodable)
        }
        if found.withoutShared || !self.keeper.isSharedReachable { answer.degraded.append(.redis) }
        answer.stages = [
            Recommendation.Stage(name: "control", duration: round.control),
            Recommendation.Stage(name: "cache", duration: found.lookup),
            Recommendation.Stage(name: "compute", duration: found.compute),
            Recommendation.Stage(name: "final", duration: ContinuousClock.now - begun),
        ]
        return .success(answer)
    }

    /// The answer of a pool that a tier gave; nil where its bytes are none.
    private func answer(
        _ request: RecommendationRequest,
        _ found: CacheAnswer,
        _ model: TenantState.LoadedModel,
        _ round: inout Round
    ) -> Recommendation? {
        guard let pool = found.entry.payload.withUnsafeBytes({ PoolView($0)?.pool }) else { return nil }
        let id = round.makeID()
        let excludesSeen = request.filters.excludesSeen ?? round.state.policy.seenFilter
        let slate = round.builder.slate(
            of: pool,
            limit: request.limit,
            filter: SlateFilter(request.filters, catalog: round.state.catalog),
            includesSeen: !excludesSeen,
            id: id,
            user: request.user,
            model: model.number
        )
        var answer = self.answer(request, slate, id, round)
        answer.comes(from: Tier(found.tier), isPersonal: pool.isPersonal)
        answer.isComputed(at: found.entry.computedAt, now: self.keeper.milliseconds())
        answer.userVersion = found.entry.version
        self.finalStage.served(slate.filtered, from: answer.tier, suppressedBefore: pool.suppressedCount)
        return answer
    }

    /// The policy's lists that stand in for the user's own, by the filters of the request.
    private func fallback(
        _ request: RecommendationRequest,
        _ cachePlace: CachePlace?,
        _ round: inout Round,
        _ cause: PoolFailure
    ) async -> Result<Recommendation, ServingError> {
        let begun = ContinuousClock.now
        let (state, builder, filters) = (round.state, round.builder, request.filters)
        let filter = SlateFilter(filters, catalog: state.catalog)
        var held: Recommendation?
        if let cachePlace, let model = state.model, state.policy.fallback.dropFirst().contains(.stale),
            let found = await self.cache.held(for: cachePlace.key, cachePlace.field)
        {
            held = self.answer(request, found, model, &round)
        }
        let id = round.makeID()
        let digest = filters.poolDigest(in: state.catalog)
        var popular = round.popular[digest]
        if popular == nil, let model = state.model { popular = self.popularPool(filters, state, model) }
        round.popular[digest] = popular
        let base = round
        var answer: Recommendation
        do throws(ServingError) {
            answer = try await FallbackLadder(policy: state.policy, cause: cause).climb(
                stale: { held },
                popular: {
                    guard let popular, let model = state.model else { return nil }
                    let slate = builder.slate(
                        of: popular,
                        limit: request.limit,
                        filter: filter,
                        includesSeen: false,
                        id: id,
                        user: request.user,
                        model: model.number
                    )
                    return self.answer(request, slate, id, base)
                },
                curated: {
                    let slate = builder.slate(
                        of: ListCandidates(state: state).curated,
                        limit: request.limit,
                        reason: .curated,
                        filter: filter,
                        id: id,
                        user: request.user,
                        model: 0
                    )
                    return self.answer(request, slate, id, base)
                }
            )
        } catch {
            return .failure(error)
        }
        if let degradation = cause.degradation { answer.degraded.append(degradation) }
        if cause.degradation != nil, !self.keeper.isSharedReachable { answer.degraded.append(.redis) }
        if answer.tier == .fallback {
            // What this user has seen or hidden is in a stale list, and not known to the others.
            if !answer.degraded.contains(.unverified) { answer.degraded.append(.unverified) }
            self.finalStage.served(answer.filtered, from: .fallback, suppressedBefore: 0)
        }
        answer.stages = [
            Recommendation.Stage(name: "control", duration: round.control),
            Recommendation.Stage(name: "fallback", duration: ContinuousClock.now - begun),
        ]
        return .success(answer)
    }

    private func popularPool(
        _ filters: RequestFilters,
        _ state: TenantState,
        _ model: TenantState.LoadedModel
    ) -> CandidatePool {
        let excluded = state.catalog.excluded(
            by: filters,
            of: state.excluded,
            itemCount: model.snapshot.itemCount
        )
        return self.scorers.withScorer { scorer in
            UserPool(state: state, snapshot: model.snapshot, excluded: excluded).pool(of: .unknown, scorer: scorer)
        }
    }

    private func answer(
        _ request: RecommendationRequest,
        _ slate: SlateBuilder.Slate,
        _ id: RecommendationID,
        _ round: Round
    ) -> Recommendation {
        var answer = Recommendation(
            id,
            user: request.user,
            surface: request.surface,
            state: round.state,
            now: round.now
        )
        answer.items = slate.items
        answer.filtered = slate.filtered
        if !round.isVerified { answer.degraded.append(.unverified) }
        if round.state.isOnLastGoodPolicy { answer.degraded.append(.policy) }
        return answer
    }
}

package import Caching
package import Logging
import Metrics
package import RecommendationCore
import RecommendationEngine

/// Why something of a user could not be computed.
enum SlateFailure: Error {
    case store
    case overloaded

    /// The reason in answers.
    var reason: String { self == .store ? "store_unavailable" : "overloaded" }
    var degradation: Degradation { self == .store ? .postgres : .overloaded }
}

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
            return requests.map { self.fallback($0, &round, reason: "no_model", degradation: nil) }
        }
        let slots = Slots(requests, state: state, model: model)
        let entries = await self.cache.entries(for: slots.list.map(\.cacheRequest)) {
            (indices) async throws(SlateFailure) in
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
            case .success(let entry): answer = self.answer(request, entry, model, &round)
            case .failure(let error) where request.minimumVersion > 0:
                self.log.debug("no version known", metadata: ["reason": "\(error.reason)"])
                answer = .failure(.storeUnavailable)
            case .failure(let error):
                answer = self.fallback(request, &round, reason: error.reason, degradation: error.degradation)
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

            var cacheRequest: CacheRequest {
                CacheRequest(place: self.place, lifetimes: self.lifetimes, minimumVersion: self.request.minimumVersion)
            }
        }

        private(set) var list: [Slot] = []
        /// By request; nil where its surface is not one of the policy's.
        private(set) var ofRequest: [Int?] = []

        init(_ requests: [RecommendationRequest], state: TenantState, model: TenantState.LoadedModel) {
            let policy = state.policy
            var known: [CachePlace: Int] = [:]
            for request in requests {
                guard policy.surfaces.contains(where: { $0.utf8.elementsEqual(request.surface.utf8) }) else {
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
                    let jitter = Double.random(in: 0...1)
                    let lifetimes = Lifetimes(soft: policy.softTTL, hard: policy.hardTTL, jitter: jitter)
                    self.list.append(Slot(place: place, request: request, lifetimes: lifetimes))
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
                request.surface, model.name, state.policy.version, "", request.filters.poolDigest, String(generation),
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
    ) async throws(SlateFailure) -> [Computation] {
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
            throw .store
        }
        var excluded: [String: Bitmap] = [:]
        var cold: [String: [UInt8]] = [:]
        var computations: [Computation] = []
        for request in requests {
            let user = known[request.user] ?? .unknown
            let digest = request.filters.poolDigest
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
        _ found: CacheAnswer,
        _ model: TenantState.LoadedModel,
        _ round: inout Round
    ) -> Result<Recommendation, ServingError> {
        guard found.entry.version >= request.minimumVersion else { return .failure(.versionUnknown) }
        guard let pool = found.entry.payload.withUnsafeBytes({ PoolView($0)?.pool }) else {
            // Bytes that passed the checksum and are no pool: another program writes these keys.
            self.metrics.undecodable.increment()
            return self.fallback(request, &round, reason: "internal", degradation: .overloaded)
        }
        let begun = ContinuousClock.now
        let id = round.makeID()
        let slate = round.builder.slate(
            of: pool,
            limit: request.limit,
            filter: SlateFilter(request.filters, catalog: round.state.catalog),
            includesSeen: !(request.filters.excludesSeen ?? true),
            id: id,
            user: request.user,
            model: model.number
        )
        var answer = self.answer(request, slate, id, round)
        answer.tier = Tier(found.tier)
        let age = self.keeper.milliseconds().subtractingReportingOverflow(found.entry.computedAt)
        answer.ageMilliseconds = age.overflow ? 0 : max(0, age.partialValue)
        answer.userVersion = found.entry.version
        if found.tier == .stale {
            answer.fallback = .stale
            answer.fallbackReason = "refresh_failed"
        } else if !pool.isPersonal {
            answer.fallback = .coldStart
            answer.fallbackReason = "no_history"
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

    /// The popular list, or the policy's items of last resort, by the filters of the request.
    private func fallback(
        _ request: RecommendationRequest,
        _ round: inout Round,
        reason: String,
        degradation: Degradation?
    ) -> Result<Recommendation, ServingError> {
        let begun = ContinuousClock.now
        let state = round.state
        // What this user has seen or hidden is not known here.
        guard state.policy.onUnverified == .serve else { return .failure(.unverified) }
        let id = round.makeID()
        let filter = SlateFilter(request.filters, catalog: state.catalog)
        var slate = SlateBuilder.Slate(items: [], filtered: FilteredCounts())
        var fallback = Fallback.popular
        if let model = state.model {
            let digest = request.filters.poolDigest
            let pool = round.popular[digest] ?? self.popularPool(request.filters, state, model)
            round.popular[digest] = pool
            slate = round.builder.slate(
                of: pool,
                limit: request.limit,
                filter: filter,
                includesSeen: false,
                id: id,
                user: request.user,
                model: model.number
            )
        }
        if slate.items.isEmpty {
            fallback = .staticList
            slate = round.builder.slate(
                of: ListCandidates(state: state).curated,
                limit: request.limit,
                reason: .curated,
                filter: filter,
                id: id,
                user: request.user,
                model: 0
            )
            if state.model == nil, slate.items.isEmpty { return .failure(.notReady) }
        }
        var answer = self.answer(request, slate, id, round)
        answer.fallback = fallback
        answer.fallbackReason = reason
        if let degradation { answer.degraded.append(degradation) }
        if !self.keeper.isSharedReachable { answer.degraded.append(.redis) }
        if !answer.degraded.contains(.unverified) { answer.degraded.append(.unverified) }
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
        Recommendation(
            id: id,
            user: request.user,
            surface: request.surface,
            generatedAt: round.now,
            items: slate.items,
            modelVersion: round.state.model?.name ?? "none",
            policyVersion: round.state.policy.version,
            tier: .fallback,
            ageMilliseconds: 0,
            fallback: nil,
            fallbackReason: nil,
            degraded: round.isVerified ? [] : [.unverified],
            filtered: slate.filtered,
            userVersion: 0,
            stages: []
        )
    }
}

import Caching
import RecommendationCore

/// Why no pool could be had.
enum PoolFailure: Error {
    case noModel
    case store(RepositoryError)
    case overloaded
    case undecodable
    /// Its stage took too long.
    case deadline

    /// The reason in answers.
    var reason: String {
        switch self {
        case .noModel: "no_model"
        case .store: "store_unavailable"
        case .overloaded: "overloaded"
        case .undecodable: "internal"
        case .deadline: "deadline"
        }
    }

    /// What the system did without; nil: nothing is missing that it once had.
    var degradation: Degradation? {
        switch self {
        case .noModel: nil
        case .store: .postgres
        case .overloaded, .undecodable: .overloaded
        case .deadline: .deadline
        }
    }
}

/// The lists that stand in for a user's own, in the order that the policy gives them.
extension ServingContext {
    /// The first of the policy's fallbacks that has something to show, and what it does without.
    ///
    /// What a user has blocked or hidden is not known to the lists that are everybody's: where the policy refuses to serve
    /// what is not verified, they are passed over.
    ///
    /// - Parameters:
    ///   - begun: When the pool was asked for.
    ///   - hasLooked: Whether the cache was asked for it.
    func fallback(
        _ asked: Asked,
        cause: PoolFailure,
        since begun: ContinuousClock.Instant,
        hasLooked: Bool
    ) async throws(ServingError) -> Recommendation {
        var answer = try await self.climb(asked, cause, hasLooked: hasLooked)
        if let degradation = cause.degradation {
            answer.degraded.note(degradation)
            if !self.keeper.isSharedReachable { answer.degraded.note(.redis) }
        }
        if answer.tier == .fallback {
            // What this user has seen or hidden is in a stale list, and not known to the others.
            answer.degraded.note(.unverified)
            self.finalStage.served(answer.filtered, from: .fallback, suppressedBefore: 0)
        }
        answer.stages = [
            asked.opening.control,
            Recommendation.Stage(name: "fallback", duration: ContinuousClock.now - begun),
        ]
        return answer
    }

    private func climb(
        _ asked: Asked,
        _ cause: PoolFailure,
        hasLooked: Bool
    ) async throws(ServingError) -> Recommendation {
        let policy = asked.state.policy
        var refused = false
        for step in policy.fallback {
            var answer: Recommendation
            switch step {
            case .stale:
                // Where it is first, the cache has looked for it, if it had the time.
                guard !hasLooked || policy.fallback.first != .stale, let held = await self.held(asked) else { continue }
                answer = held
                if case .deadline = cause { answer.fallbackReason = cause.reason }
            case .precomputed:
                guard let list = await self.precomputed(asked, cause) else { continue }
                answer = list
                answer.fallbackReason = cause.reason
            case .popular, .staticList:
                guard policy.onUnverified == .serve else {
                    refused = true
                    continue
                }
                guard let list = await step == .popular ? self.popular(asked) : self.curated(asked) else { continue }
                answer = list
                answer.fallback = step == .popular ? .popular : .staticList
                answer.fallbackReason = cause.reason
            }
            if !answer.items.isEmpty { return answer }
        }
        if case .noModel = cause { throw .notReady }
        if case .deadline = cause, !refused { throw .deadline }
        throw refused ? .unverified : .nothingToServe
    }

    /// The answer of a pool that a tier of the cache still holds.
    private func held(_ asked: Asked) async -> Recommendation? {
        guard asked.state.model != nil else { return nil }
        let place = asked.place
        let held = await self.clock.value(by: StageBudget.current?.standIn) {
            await self.cache.held(for: place.key, place.field)
        }
        guard let found = held.flatMap(\.self) else { return nil }
        return await self.made(asked, of: found)
    }

    /// The answer of the list that was computed ahead for the user: its version was read with it. None stands in for one that
    /// is drawn by other filters.
    private func precomputed(_ asked: Asked, _ cause: PoolFailure) async -> Recommendation? {
        guard let precomputed, asked.digest.isEmpty, let user = asked.request.named,
            let lineage = asked.state.lineage(surface: asked.request.surface)
        else { return nil }
        let (tenant, now) = (asked.state.tenant, asked.opening.now)
        // Whose own list took too long has time kept back for this.
        let start = if case .deadline = cause { ContinuousClock.now } else { asked.opening.start }
        let read = await self.clock.value(by: StageBudget.current?.standIn) {
            await precomputed.list(of: user, lineage, tenant: tenant, at: now, since: start)
        }
        guard let list = read.flatMap(\.self) else { return nil }
        return await self.made(
            asked,
            of: list.pool,
            from: .precomputed,
            version: list.version,
            computedAt: list.computedAt.milliseconds
        )
    }

    /// The answer of the pool that everybody shares; nil without a model.
    private func popular(_ asked: Asked) async -> Recommendation? {
        guard let model = asked.state.model else { return nil }
        return await self.answer(asked, of: self.pools.shared(asked, model), faults: self.keeper.faults)?.0
    }

    /// The answer of the policy's items of last resort.
    private func curated(_ asked: Asked) async -> Recommendation? {
        let curated = ListCandidates(state: asked.state).curated
        let workspace = SlateWorkspace(isTracing: self.records(asked.id, of: asked.state))
        let drawn = await self.slate(asked.capSubject, asked.filter) { filter in
            let slate = asked.opening.builder.slate(
                of: curated,
                limit: asked.request.limit,
                reason: .curated,
                filter: filter,
                isOnSurface: true,
                id: asked.id,
                origin: asked.origin.of(model: 0),
                tracing: workspace
            )
            return SlateDraft(slate: slate, candidates: filter.gate.isNone ? [] : SlateBuilder.candidates(of: curated))
        }
        guard let (slate, degraded) = drawn else { return nil }
        var answer = asked.answer(slate)
        for degradation in degraded { answer.degraded.note(degradation) }
        answer.trace = workspace.trace.map(TracedSlate.init)
        return answer
    }
}

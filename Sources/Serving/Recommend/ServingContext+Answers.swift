import Caching
import Logging
import Metrics
import RecommendationCore

extension ServingContext {
    /// The answer to a request by what the cache gave, or else by the policy's fallbacks; it is counted.
    ///
    /// - Parameters:
    ///   - begun: When the cache was asked.
    ///   - hasLooked: Whether it was: then it has no list that could stand in.
    ///   - list: As what it is recorded.
    ///   - filters: As which its filters are recorded; nil: as they are.
    func answer(
        _ asked: Asked,
        from found: Result<CacheAnswer, PoolFailure>,
        since begun: ContinuousClock.Instant,
        hasLooked: Bool = true,
        as list: DecisionRecord.List = .own,
        filters: RequestFilters? = nil
    ) async throws(ServingError) -> Recommendation {
        let minimum = asked.request.minimumVersion
        let cause: PoolFailure
        switch found {
        case .success(let found) where found.entry.version < minimum:
            throw .versionUnknown
        case .success(let found):
            do throws(PoolFailure) {
                var answer = try await self.answer(asked, of: found)
                if answer.tier == .computed, StageBudget.current?.isOfFewer ?? false {
                    answer.degraded.note(.candidates)
                }
                self.metrics.served(answer)
                self.record(answer, as: list, asked, filters)
                return answer
            } catch {
                cause = error
            }
        case .failure(let error):
            cause = error
        }
        // No fallback is known to hold a version. Without a model there is none to be missed.
        guard minimum == 0 || cause.degradation == nil else {
            self.log.debug("no version known", metadata: ["reason": "\(cause.reason)"])
            if case .deadline = cause { throw .deadline }
            throw .storeUnavailable
        }
        // A look that was cut short has found nothing.
        let isWhole = if case .deadline = cause { false } else { hasLooked }
        let answer = try await self.fallback(asked, cause: cause, since: begun, hasLooked: isWhole)
        self.metrics.served(answer)
        self.record(answer, as: list, asked, filters)
        return answer
    }

    private func answer(_ asked: Asked, of found: CacheAnswer) async throws(PoolFailure) -> Recommendation {
        var begun = ContinuousClock.now
        var made = await self.made(asked, of: found)
        if made == nil {
            // Bytes that passed the checksum and are no pool: another program writes these keys.
            self.metrics.undecodable.increment()
            let pools = self.pools
            let fresh = try await self.timed(by: StageBudget.current?.pool) { () async throws(PoolFailure) in
                try await pools.compute(asked)
            }
            begun = .now
            made = await self.made(asked, of: fresh)
        }
        guard var answer = made else { throw .undecodable }
        if found.withoutShared || !self.keeper.isSharedReachable { answer.degraded.note(.redis) }
        answer.stages = [
            asked.opening.control,
            Recommendation.Stage(name: "cache", duration: found.lookup),
            Recommendation.Stage(name: "compute", duration: found.compute),
            Recommendation.Stage(name: "final", duration: ContinuousClock.now - begun),
        ]
        return answer
    }

    /// The answer of a pool that a tier gave; nil where its bytes are none.
    func made(_ asked: Asked, of found: CacheAnswer) async -> Recommendation? {
        await self.made(
            asked,
            of: found.entry.payload,
            from: Tier(found.tier),
            version: found.entry.version,
            computedAt: found.entry.computedAt
        )
    }

    /// The answer of a pool that was computed for it; nil where its bytes are none.
    func made(_ asked: Asked, of fresh: Computation) async -> Recommendation? {
        await self.made(
            asked,
            of: fresh.payload,
            from: .computed,
            version: fresh.version,
            computedAt: self.keeper.milliseconds()
        )
    }

    func made(
        _ asked: Asked,
        of payload: [UInt8],
        from tier: Tier,
        version: User.Version,
        computedAt: Int64
    ) async -> Recommendation? {
        let asked = self.keeper.faults.has(.cachedToken) ? asked.answered(before: computedAt) : asked
        guard let (answer, pool) = await self.answer(asked, of: payload) else { return nil }
        var made = answer
        made.comes(from: tier, isPersonal: pool.isPersonal)
        made.isComputed(at: computedAt, now: self.keeper.milliseconds())
        made.userVersion = version
        self.finalStage.served(made.filtered, from: tier, suppressedBefore: pool.suppressedCount)
        return made
    }

    /// The answer that the final stage draws from a pool, and what else the pool says; nil where its bytes are none.
    func answer(
        _ asked: Asked,
        of payload: [UInt8],
        faults: SeededFaults = SeededFaults()
    ) async -> (Recommendation, pool: (isPersonal: Bool, suppressedCount: Int))? {
        var builder = asked.opening.builder
        builder.faults = faults
        builder.economy = Economy(StageBudget.current, asked.state)
        let stage = builder
        var found = (isPersonal: false, suppressedCount: 0)
        let workspace = SlateWorkspace(isTracing: self.records(asked.id, of: asked.state))
        let drawn = await self.slate(asked.capSubject, asked.filter) { filter in
            payload.withUnsafeBytes { bytes in
                guard let pool = PoolView(bytes) else { return nil }
                found = (pool.isPersonal, pool.suppressedCount)
                let slate = stage.slate(
                    of: pool,
                    limit: asked.request.limit,
                    filter: filter,
                    id: asked.id,
                    origin: asked.origin,
                    in: workspace
                )
                guard !filter.gate.isNone else { return SlateDraft(slate: slate) }
                return SlateDraft(slate: slate, candidates: pool.items, labels: pool.facts?.labels ?? [])
            }
        }
        guard let (slate, degraded) = drawn else { return nil }
        var answer = asked.answer(slate)
        for degradation in degraded + stage.economy.degraded { answer.degraded.note(degradation) }
        answer.trace = workspace.trace.map(TracedSlate.init)
        return (answer, found)
    }
}

extension Recommendation {
    /// An answer without items that nothing is known of yet.
    init(_ id: RecommendationID, user: User.ID?, surface: String, state: TenantState, now: Timestamp) {
        self.init(
            id: id,
            user: user,
            surface: surface,
            generatedAt: now,
            items: [],
            modelVersion: state.model?.name ?? "none",
            policyVersion: state.policy.version,
            tier: .fallback,
            ageMilliseconds: 0,
            fallback: nil,
            fallbackReason: nil,
            degraded: [],
            filtered: FilteredCounts(),
            userVersion: 0,
            stages: []
        )
    }

    /// Says where its pool was found.
    mutating func comes(from tier: Tier, isPersonal: Bool) {
        self.tier = tier
        if tier == .stale {
            self.fallback = .stale
            self.fallbackReason = "refresh_failed"
        } else if tier == .precomputed {
            self.fallback = .precomputed
        } else if !isPersonal {
            self.fallback = .coldStart
            self.fallbackReason = "no_history"
        }
    }

    /// Says how old its pool is, both times in milliseconds of Redis time.
    mutating func isComputed(at computedAt: Int64, now: Int64) {
        let age = now.subtractingReportingOverflow(computedAt)
        self.ageMilliseconds = age.overflow ? 0 : max(0, age.partialValue)
    }
}

extension Lifetimes {
    /// How long a policy lets a pool be served, with a draw of its jitter.
    init(_ policy: Policy) {
        // A tenth is what a jitter of 1 takes off.
        let draw = QuickGenerator.sharing { Double.random(in: 0...1, using: &$0) }
        let jitter = draw * policy.jitterPercent / 10
        self.init(soft: policy.softTTL, hard: policy.hardTTL, jitter: jitter)
    }
}

extension Tier {
    init(_ tier: CacheTier) {
        self =
            switch tier {
            case .local: .l1
            case .shared: .l2
            case .stale: .stale
            case .computed: .computed
            }
    }
}

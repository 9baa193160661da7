import Caching
import Logging
import RecommendationCore

extension RecommendationService {
    /// The first page of a list that is gone on with.
    ///
    /// What later pages are held against is read before the list is: a list from before that is refused, by the version that the
    /// read names. Where it cannot be read there is a list, and no next page.
    func firstPage(_ request: RecommendationRequest) async throws(ServingError) -> Recommendation {
        let opening = try await self.context.open(request.tenant)
        var request = request
        let standing: UserStanding?
        do {
            let (user, tenant) = (request.user, request.tenant)
            let read = try await self.context.timed(by: StageBudget.current?.pool) { () async throws(PoolFailure) in
                do throws(RepositoryError) {
                    return try await self.context.pools.users.standing(of: user, tenant: tenant)
                } catch {
                    throw .store(error)
                }
            }
            request.minimumVersion = max(request.minimumVersion, read.changed)
            standing = read
        } catch {
            standing = nil
        }
        let asked = try Asked(request, opening)
        let found: Result<CacheAnswer, PoolFailure>
        do {
            found = .success(try await self.context.pool(asked))
        } catch {
            found = .failure(error)
        }
        if let standing, case .success(let pool) = found, pool.entry.version >= request.minimumVersion,
            let (list, filtered) = self.pinned(asked, pool, standing)
        {
            var answer = await self.page(of: list, asked, standing)
            // What was left out of the list as a whole, and of this page of it.
            let ofPage = answer.filtered
            answer.filtered = filtered
            answer.filtered.frequencyCap = ofPage.frequencyCap
            answer.filtered.poolExhausted = ofPage.poolExhausted
            if pool.withoutShared || !self.context.keeper.isSharedReachable { answer.degraded.note(.redis) }
            answer.stages = [
                opening.control, Recommendation.Stage(name: "cache", duration: pool.lookup),
                Recommendation.Stage(name: "compute", duration: pool.compute),
            ]
            self.context.metrics.served(answer)
            self.context.record(answer, as: .page, asked)
            return answer
        }
        var answer = try await self.context.answer(asked, from: found, since: opening.controlled)
        if standing == nil { answer.degraded.note(.postgres) }
        return answer
    }

    /// The page after the one that a cursor came with, by the rules of now.
    ///
    /// Whether it may be shown at all is read on the primary: where that cannot be done there is no page.
    func nextPage(_ request: RecommendationRequest, after cursor: String) async throws(ServingError) -> Recommendation {
        var opening = try await self.context.open(request.tenant)
        let list = self.context.signer.cursors.open(
            cursor,
            tenant: request.tenant,
            user: request.user,
            incarnation: opening.state.incarnation
        )
        guard let list else { throw .cursorGone(.foreign) }
        let origin = list.origin
        guard opening.now.milliseconds - origin.issuedAt < PinnedList.lifetime else { throw .cursorGone(.expired) }
        // The node of the first page may have known more.
        if opening.epoch < origin.epoch {
            guard await self.context.keeper.checkControl() else { throw .storeUnavailable }
            opening = try await self.context.open(request.tenant)
        }
        let state = opening.serving(request.user).state
        guard state.control.withdrawn <= origin.epoch, state.policy.offers(surface: origin.surface) else {
            throw .cursorGone(.withdrawn)
        }
        let model = origin.model == 0 ? "" : ModelVersion.name(origin.model)
        guard
            state.control.generations.generation(surface: origin.surface, model: model, policy: origin.policy)
                <= origin.generation
        else { throw .cursorGone(.purged) }
        let standing: UserStanding
        do {
            standing = try await self.context.pools.users.standing(of: request.user, tenant: request.tenant)
        } catch {
            self.context.log.debug("no page without the store", metadata: ["error": "\(error)"])
            throw .storeUnavailable
        }
        // Who had no row may have one now, by feedback alone.
        guard standing.changed == origin.changed, origin.user == 0 || standing.number == origin.user else {
            throw .cursorGone(.user)
        }
        guard request.minimumVersion <= origin.version else { throw .versionUnknown }
        var pinned = request
        pinned.surface = origin.surface
        pinned.filters = list.filters.request
        let asked = try Asked(pinned, opening)
        var answer = await self.page(of: list, asked, standing)
        if !self.context.keeper.isSharedReachable { answer.degraded.note(.redis) }
        answer.stages = [opening.control]
        self.context.metrics.served(answer)
        self.context.record(answer, as: .page, asked)
        return answer
    }

    /// The list of a pool, whole, and what the final stage left out of it; nil where the bytes are none.
    private func pinned(
        _ asked: Asked,
        _ found: CacheAnswer,
        _ standing: UserStanding
    ) -> (PinnedList, FilteredCounts)? {
        let state = asked.state
        let generations = state.control.generations
        let model = state.model
        let origin = PinnedList.Origin(
            surface: asked.request.surface,
            model: model?.number ?? 0,
            policy: state.policy.version,
            variant: asked.opening.experiments.text,
            generation: generations.generation(
                surface: asked.request.surface,
                model: model?.name ?? "",
                policy: state.policy.version
            ),
            epoch: asked.opening.epoch,
            user: standing.number,
            changed: standing.changed,
            version: found.entry.version,
            computedAt: found.entry.computedAt,
            tier: Tier(found.tier),
            issuedAt: asked.opening.now.milliseconds
        )
        return found.entry.payload.withUnsafeBytes { bytes in
            guard let view = PoolView(bytes) else { return nil }
            let workspace = SlateWorkspace()
            let filtered = asked.opening.builder.choose(
                PinnedList.maximumCount,
                of: view,
                filter: asked.filter,
                into: workspace
            )
            return (PinnedList(origin, asked.request.filters, of: view, workspace.places), filtered)
        }
    }

    private func page(of list: PinnedList, _ asked: Asked, _ standing: UserStanding) async -> Recommendation {
        let (request, origin) = (asked.request, list.origin)
        let tokens = SlateOrigin(
            user: request.user,
            model: origin.model,
            surface: origin.surface,
            policy: origin.policy,
            variant: origin.variant
        )
        var page: PinnedPage?
        let isTraced = self.context.records(asked.id, of: asked.state)
        let drawn = await self.context.slate(asked.capSubject, list.filter(asked.state.catalog)) { filter in
            let made = PinnedPage(
                request.limit,
                of: list,
                asked.state,
                standing,
                filter,
                now: asked.opening.now,
                isTraced: isTraced
            )
            page = made
            let items = asked.opening.builder.items(made.places, id: asked.id, origin: tokens, after: list.shown)
            let slate = SlateBuilder.Slate(items: items, filtered: made.filtered)
            guard !filter.gate.isNone else { return SlateDraft(slate: slate) }
            return SlateDraft(
                slate: slate,
                candidates: list.pool.unseen.map(\.item),
                labels: asked.state.rules.compiled.asked(of: standing.labels)
            )
        }
        var answer = asked.answer(drawn?.slate ?? SlateBuilder.Slate(items: [], filtered: FilteredCounts()))
        for degradation in drawn?.degraded ?? [] { answer.degraded.note(degradation) }
        answer.comes(from: origin.tier, isPersonal: list.pool.isPersonal)
        answer.isComputed(at: origin.computedAt, now: self.context.keeper.milliseconds())
        answer.modelVersion = origin.model == 0 ? "none" : ModelVersion.name(origin.model)
        answer.policyVersion = origin.policy
        answer.experiments = [ExperimentVariant](text: origin.variant)
        answer.userVersion = origin.version
        answer.nextCursor = page?.rest.map { rest in
            self.context.signer.cursors.seal(
                rest,
                tenant: request.tenant,
                user: request.user,
                incarnation: asked.state.incarnation
            )
        }
        answer.trace = page?.trace.map(TracedSlate.init)
        self.context.finalStage.served(answer.filtered, from: origin.tier, suppressedBefore: 0)
        return answer
    }
}

import Caching
import Crypto
import Logging
import Metrics
import RecommendationCore
import RecommendationEngine

/// Answers with lists that belong to no user: popular, trending, latest, and what is like an item.
///
/// They come from the snapshot and the catalogue in memory, through the same final stage as a user's own slate. With a user,
/// what that user has had or does not want is left out.
package final class ListService: Sendable {
    private let context: ServingContext
    private let exclusions: ExclusionReader
    private let served: [String: Counter] = Dictionary(
        uniqueKeysWithValues: (ListKind.allCases.map(\.rawValue) + ["similar"]).map {
            ($0, Counter(label: "vireo_lists_total", dimensions: [("list", $0)]))
        }
    )

    package init(_ context: ServingContext) {
        self.context = context
        self.exclusions = ExclusionReader(context)
    }

    /// A popular, trending or latest list.
    package func list(_ request: ListRequest) async throws(ServingError) -> ItemList {
        let opening = try await self.context.open(request.tenant).serving(request.user)
        let state = opening.state
        // Without a model there are the policy's items of last resort, and what is newest needs none.
        let isStatic = request.kind != .latest && state.model == nil
        guard !isStatic || !state.policy.staticItems.isEmpty else { throw .notReady }
        let exclusions = try await self.exclusions.exclusions(of: request.user, opening)
        var filters = RequestFilters()
        filters.categories = request.categories
        let id = request.isTracked ? opening.makeID() : nil
        let candidates = ListCandidates(state: state)
        let ranked =
            isStatic
            ? candidates.curated
            : candidates.items(of: request.kind, window: request.window, categories: request.categories)
        let surface = request.kind.rawValue
        let workspace = SlateWorkspace(isTracing: id.map { self.context.records($0, of: state) } ?? false)
        let subject = state.capSubject(of: request.user, on: surface, id: id ?? opening.makeID())
        let drawn = await self.context.slate(subject, SlateFilter(filters, catalog: state.catalog)) { filter in
            let slate = opening.builder.slate(
                of: ranked,
                limit: request.limit,
                reason: isStatic ? .curated : Reason(request.kind),
                filter: filter,
                exclusions: exclusions.value,
                labels: exclusions.labels,
                id: id,
                origin: state.origin(request.user, surface: surface),
                tracing: workspace
            )
            guard !filter.gate.isNone else { return SlateDraft(slate: slate) }
            return SlateDraft(
                slate: slate,
                candidates: SlateBuilder.candidates(of: ranked),
                labels: exclusions.labels
            )
        }
        guard let drawn else { throw .failed("a list has no slate") }
        let query = [request.kind.rawValue, request.window.rawValue, String(request.limit)]
        var list = self.answer(
            opening,
            drawn,
            id: id,
            surface: surface,
            exclusions,
            query: query + request.categories.map(\.string)
        )
        if isStatic {
            list.fallback = .staticList
            list.fallbackReason = "no_model"
        }
        self.count(list, named: request.kind.rawValue)
        self.record(list, as: DecisionRecord.List(request.kind), of: request.user, filters, state, workspace)
        return list
    }

    /// What is like an item.
    package func similar(_ request: SimilarRequest) async throws(ServingError) -> ItemList {
        let open = try await self.context.open(request.tenant)
        let opening = open.answering(request.user, on: request.surface)
        let state = opening.state
        // An item that is denied is not told from one that is not there.
        guard let number = state.catalog.number(of: request.item), state.catalog.holds(number),
            !state.blocked[Int(number)]
        else { throw .unknownItem }
        try open.serving(request.user).check(surface: request.surface)
        guard state.model != nil else { throw .notReady }
        let exclusions = try await self.exclusions.exclusions(of: request.user, opening)
        let taste = await self.taste(of: request, opening)
        let ranked = self.context.pools.scorers.withScorer { scorer in
            ListCandidates(state: state).similar(to: number, by: taste, scorer: scorer)
        }
        let id = opening.makeID()
        let subject = state.capSubject(of: request.user, on: request.surface, id: id)
        let workspace = SlateWorkspace(isTracing: self.context.records(id, of: state))
        let drawn = await self.context.slate(subject, .none) { filter in
            let slate = opening.builder.slate(
                of: ranked,
                limit: request.limit,
                reason: .similarToItem,
                seed: number,
                filter: filter,
                exclusions: exclusions.value,
                isOnSurface: true,
                labels: exclusions.labels,
                id: id,
                origin: state.origin(request.user, surface: request.surface, opening.experiments),
                tracing: workspace
            )
            guard !filter.gate.isNone else { return SlateDraft(slate: slate) }
            return SlateDraft(slate: slate, candidates: ranked.map(\.item), labels: exclusions.labels)
        }
        guard let drawn else { throw .failed("a list has no slate") }
        let list = self.answer(opening, drawn, id: id, surface: request.surface, exclusions, query: [])
        self.count(list, named: "similar")
        self.record(list, as: .similar, of: request.user, .none, state, workspace)
        return list
    }

    /// What the user's own list says of items, 1 for the best; empty where nobody is named, or who has none of their own or does
    /// not allow one. Where it cannot be had, likeness alone counts.
    private func taste(of request: SimilarRequest, _ opening: Opening) async -> [Item.Number: Float] {
        guard let user = request.user else { return [:] }
        let own = RecommendationRequest(tenant: request.tenant, user: user, surface: request.surface, limit: 1)
        do {
            let payload = try await self.context.pool(Asked(own, checked: opening)).entry.payload
            return payload.withUnsafeBytes { PoolView($0)?.taste ?? [:] }
        } catch {
            self.context.log.debug("similar items without a user's own list", metadata: ["reason": "\(error.reason)"])
            return [:]
        }
    }

    /// Has a list recorded whose final stage was traced.
    private func record(
        _ list: ItemList,
        as kind: DecisionRecord.List,
        of user: User.ID?,
        _ filters: RequestFilters,
        _ state: TenantState,
        _ workspace: SlateWorkspace
    ) {
        guard let id = list.id, let trace = workspace.takeTrace() else { return }
        var answer = Recommendation(id, user: user, surface: list.surface, state: state, now: list.generatedAt)
        answer.experiments = list.experiments
        answer.tier = list.fallback == nil ? .computed : .fallback
        answer.fallback = list.fallback
        answer.fallbackReason = list.fallbackReason
        answer.degraded = list.degraded
        answer.filtered = list.filtered
        answer.userVersion = list.userVersion
        self.context.decisions?.note(DecisionDraft(kind, answer, filters, state, trace))
    }

    private func count(_ list: ItemList, named name: String) {
        self.served[name]?.increment()
        self.context.finalStage.served(
            list.filtered,
            from: list.fallback == nil ? .computed : .fallback,
            // Lists are nobody's own: what is suppressed is in all of them.
            suppressedBefore: list.filtered.suppressed
        )
    }

    private func answer(
        _ opening: Opening,
        _ drawn: (slate: SlateBuilder.Slate, degraded: [Degradation]),
        id: RecommendationID?,
        surface: String,
        _ exclusions: ReadExclusions,
        query: [String]
    ) -> ItemList {
        let state = opening.state
        var list = ItemList(
            id: id,
            surface: surface,
            generatedAt: opening.now,
            items: drawn.slate.items,
            modelVersion: state.model?.name ?? "none",
            policyVersion: state.policy.version,
            degraded: opening.degraded,
            filtered: drawn.slate.filtered,
            userVersion: exclusions.version
        )
        list.experiments = opening.experiments
        for degradation in exclusions.degraded + drawn.degraded { list.degraded.note(degradation) }
        list.tag = Self.tag(opening, list, query: query)
        list.stages = [
            opening.control,
            Recommendation.Stage(name: "cache", duration: exclusions.lookup),
            Recommendation.Stage(name: "compute", duration: exclusions.compute),
            Recommendation.Stage(
                name: "final",
                duration: ContinuousClock.now - opening.controlled - exclusions.lookup - exclusions.compute
            ),
        ]
        return list
    }

    /// The same for the same list on every node; of another tenant, query or content it is another.
    private static func tag(_ opening: Opening, _ list: ItemList, query: [String]) -> String {
        var hash = SHA256()
        func update(_ text: String) {
            withUnsafeBytes(of: UInt32(text.utf8.count).littleEndian) { hash.update(data: Array($0)) }
            hash.update(data: Array(text.utf8))
        }
        update(opening.state.incarnation)
        update(opening.state.tenant.string)
        update(String(query.count))
        for part in query { update(part) }
        for item in list.items {
            update(item.item.string)
            update(String(item.score.bitPattern))
        }
        // What is said of the list, too, and of the node that gives it.
        update("\(list.filtered)")
        for part in list.degraded { update(part.rawValue) }
        let digest = Base64URL.encode(Array(hash.finalize().prefix(12)))
        return "\(opening.epoch).\(list.modelVersion).\(list.policyVersion).\(digest)"
    }
}

extension DecisionRecord.List {
    init(_ kind: ListKind) {
        self =
            switch kind {
            case .popular: .popular
            case .trending: .trending
            case .latest: .latest
            }
    }
}

extension Reason {
    init(_ kind: ListKind) {
        self =
            switch kind {
            case .popular: .popular
            case .trending: .trending
            case .latest: .latest
            }
    }
}

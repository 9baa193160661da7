import Caching
package import RecommendationCore
import RecommendationEngine

extension RecommendationService {
    /// Why an item is in the list that a request would be answered with, or why not; of the pool that the request would be served
    /// from. What a user allows and suppresses, and has had, is read anew.
    ///
    /// - Throws: `unknownItem` where the catalogue does not hold the item, `storeUnavailable` where the user cannot be read.
    package func explain(
        _ item: Item.ID,
        to request: RecommendationRequest
    ) async throws(ServingError) -> ItemExplanation {
        let opening = try await self.context.open(request.tenant)
        let asked = try Asked(request, opening)
        guard let number = asked.state.catalog.number(of: item) else { throw .unknownItem }
        let known: UserState
        do {
            known = try await self.context.pools.users.state(of: request.user, tenant: request.tenant)
        } catch {
            throw .storeUnavailable
        }
        let found: CacheAnswer
        do {
            found = try await self.context.pool(asked)
        } catch .noModel {
            throw .notReady
        } catch {
            throw .storeUnavailable
        }
        guard found.entry.version >= request.minimumVersion else { throw .versionUnknown }
        let (gate, degraded) = await self.gate(asked, found.entry.payload, known, number)
        var filter = asked.filter
        filter.gate = gate
        let explanation = found.entry.payload.withUnsafeBytes { bytes in
            PoolView(bytes).map {
                Question(asked, $0, known, number, filter, degraded).answer(item, from: found, in: self.context)
            }
        }
        guard let explanation else { throw .nothingToServe }
        return explanation
    }

    /// What frequency caps let through: nothing is reserved.
    private func gate(
        _ asked: Asked,
        _ payload: [UInt8],
        _ known: UserState,
        _ item: Item.Number
    ) async -> (CapGate, [Degradation]) {
        guard let subject = asked.capSubject else { return (.none, []) }
        let items = payload.withUnsafeBytes { PoolView($0)?.items ?? [] }
        let labels = asked.state.rules.compiled.asked(of: known.labels)
        let full = await self.context.caps?.full(among: items + [item], subject, asked.filter, labels: labels)
        guard let full else { return (.reserved([], subject.caps), [.frequencyCap]) }
        return (.shut(full), [])
    }
}

/// One item, held against one pool.
private struct Question {
    private let asked: Asked
    private let pool: PoolView
    private let known: UserState
    private let item: Item.Number
    private let admission: Admission
    private let excludesSeen: Bool
    private let filter: SlateFilter
    private let degraded: [Degradation]

    init(
        _ asked: Asked,
        _ pool: PoolView,
        _ known: UserState,
        _ item: Item.Number,
        _ filter: SlateFilter,
        _ degraded: [Degradation]
    ) {
        self.filter = filter
        self.degraded = degraded
        self.asked = asked
        self.pool = pool
        self.known = known
        self.item = item
        let state = asked.state
        self.admission = Admission(
            state,
            at: asked.opening.now,
            UserExclusions(seen: [], suppressed: state.catalog.suppressed(by: known.suppressions)),
            filter,
            labels: state.rules.compiled.asked(of: known.labels)
        )
        self.excludesSeen = asked.filter.excludesSeen ?? state.policy.seenFilter
    }

    func answer(_ name: Item.ID, from found: CacheAnswer, in context: ServingContext) -> ItemExplanation {
        let workspace = SlateWorkspace()
        let filtered = self.asked.opening.builder.choose(
            self.asked.request.limit,
            of: self.pool,
            filter: self.filter,
            into: workspace
        )
        let candidate = (0..<self.pool.tried.upperBound).first { self.pool.item($0) == self.item }
        let rank = workspace.places.firstIndex { $0.item == self.item }.map { $0 + 1 }
        var list = self.asked.answer(SlateBuilder.Slate(items: [], filtered: filtered))
        list.comes(from: Tier(found.tier), isPersonal: self.pool.isPersonal)
        list.isComputed(at: found.entry.computedAt, now: context.keeper.milliseconds())
        list.userVersion = found.entry.version
        for degradation in self.degraded { list.degraded.note(degradation) }
        if found.withoutShared || !context.keeper.isSharedReachable { list.degraded.note(.redis) }
        return ItemExplanation(
            item: name,
            rank: rank,
            removedBy: rank == nil ? self.removal(candidate, workspace.places) : nil,
            candidacy: candidate.map(self.candidacy),
            candidates: self.pool.unseenCount + self.pool.seenCount,
            list: list
        )
    }

    private func candidacy(_ candidate: Int) -> ItemExplanation.Candidacy {
        let components = self.components(candidate)
        let order = self.pool.merged
        return ItemExplanation.Candidacy(
            // Those that are tried out and nothing else are behind all others.
            rank: 1 + (order.firstIndex { self.pool.item($0) == self.item } ?? order.count),
            score: components.sum,
            collaborative: components.collaborative,
            content: components.content,
            popularity: components.popularity,
            seed: self.pool.seed(candidate).flatMap {
                self.admission.mayBeNamed($0) ? self.asked.state.catalog[$0]?.id : nil
            }
        )
    }

    private func components(_ candidate: Int) -> ScoreComponents {
        let (collaborative, content, popularity) = self.pool.components(candidate)
        return ScoreComponents(collaborative: collaborative, content: content, popularity: popularity)
            .boosted(by: self.admission.factor(self.pool.item(candidate)))
    }

    /// What keeps the item out of a list.
    private func removal(_ candidate: Int?, _ places: [SlatePlace]) -> ItemExplanation.Removal {
        if let rule = self.rule { return rule }
        let isSeen =
            candidate.map { $0 >= self.pool.unseenCount && !self.pool.tried.contains($0) } ?? false
            || self.known.history.contains { $0.item == self.item && $0.type != .view }
        if isSeen, self.excludesSeen { return self.known.consent ? .seen : .withheld }
        guard let candidate, !self.pool.tried.contains(candidate) else {
            let pins = self.admission.pins(within: .max, self.pool.facts, excludesSeen: self.excludesSeen)
            // Its place by the policy is behind the end of so short a list.
            return pins.contains { $0.item == self.item } ? .limit : .notACandidate
        }
        // By score alone it would be in the list, beside those whose place is not by score.
        let given = places.count { $0.isTried || $0.reason == .curated }
        return self.place(of: candidate) < self.asked.request.limit - given ? .diversity : .limit
    }

    /// The rule that does not admit the item.
    private var rule: ItemExplanation.Removal? {
        let removal = self.admission.removal(of: self.item)
        return removal == .suppressed && !self.known.consent ? .withheld : removal
    }

    /// How many that are admitted come before a candidate, by score alone.
    private func place(of candidate: Int) -> Int {
        let score = self.components(candidate).sum
        let others = self.excludesSeen ? 0..<self.pool.unseenCount : 0..<self.pool.unseenCount + self.pool.seenCount
        var passedOver = FilteredCounts()
        return self.asked.state.suspects.withUnsafeBufferPointer { suspects in
            others.count { other in
                guard other != candidate, self.admission.admits(self.pool.item(other), suspects: suspects, &passedOver)
                else { return false }
                let theirs = self.components(other).sum
                return theirs > score || theirs == score && self.pool.item(other) < self.item
            }
        }
    }
}

import RecommendationCore

/// The state of a ``Scorer``: scratch and buffers, reused from call to call.
struct ScoringWorkspace {
    private var scratch = ItemScratch()
    private var history = WeighedHistory()
    private var fresh = FreshEdges()
    private var candidates = CandidateColumns()
    private var unseen = TopKeys()
    private var seen = TopKeys()
    /// Kept so that the reads ahead are made.
    private var touched: UInt32 = 0

    mutating func pool(
        _ events: [HistoryEvent],
        snapshot: Snapshot,
        policy: Policy,
        excluded: [UInt64],
        keepsSeen: Bool,
        fresh: FreshItems
    ) -> CandidatePool {
        let itemCount = max(snapshot.itemCount, fresh.end)
        self.scratch.resize(itemCount: itemCount)
        self.history.weigh(
            events.span,
            terms: EventTerms(policy),
            itemCount: itemCount,
            scratch: &self.scratch
        )
        defer { self.scratch.clear(self.history) }
        let isPersonal = self.history.isPersonal
        if isPersonal {
            self.touched &+= self.touchRows(snapshot)
            for (item, weight) in zip(self.history.items, self.history.weights)
            where weight != 0 && Int(item) < snapshot.itemCount {
                self.scratch.addCollaborative(weight, neighboursOf: item, in: snapshot)
                self.scratch.addContent(weight, neighboursOf: item, in: snapshot)
            }
            self.fresh.gather(self.history, fresh, snapshot: snapshot)
            for edge in self.fresh.edges {
                self.scratch.addContent(self.history.weights[edge.source] * edge.similarity, to: edge.item)
            }
        }
        self.candidates.gather(self.scratch, history: self.history, snapshot: snapshot, excluded: excluded)
        let factors = self.candidates.factors(policy.weights, isPersonal: isPersonal)
        let seenCount = min(self.candidates.seen.count, Scorer.seenLimit)
        self.seen.reset(capacity: keepsSeen ? seenCount : 0)
        self.select(factors, snapshot: snapshot, poolSize: policy.poolSize, of: itemCount, excluded: excluded)
        var draft = PoolDraft(
            unseen: self.unseen.keys.map { self.scored(RankKey.number($0), factors, snapshot) },
            seen: self.seen.keys.map { self.scored(RankKey.number($0), factors, snapshot) },
            tried: self.tried(of: fresh, itemCount: itemCount, excluded).map { self.scored($0, factors, snapshot) }
        )
        if isPersonal {
            draft.explain(self.history, self.fresh.edges, snapshot: snapshot, scratch: &self.scratch)
        }
        return draft.pool(seenLeftOut: keepsSeen ? 0 : seenCount, isPersonal: isPersonal, lot: fresh.lot)
    }

    /// Leaves the list in `ranked`.
    mutating func rank(
        _ events: Span<HistoryEvent>,
        snapshot: Snapshot,
        limit: Int,
        terms: EventTerms,
        into ranked: inout [Item.Number]
    ) {
        self.scratch.resize(itemCount: snapshot.itemCount)
        self.history.weigh(events, terms: terms, itemCount: snapshot.itemCount, scratch: &self.scratch)
        defer { self.scratch.clear(self.history) }
        self.touched &+= self.touchCollaborativeRows(snapshot)
        for index in self.history.items.indices where self.history.weights[index] > 0 {
            self.scratch.addRanked(self.history.weights[index], neighboursOf: self.history.items[index], in: snapshot)
        }
        let limit = min(max(limit, 0), snapshot.itemCount)
        self.unseen.reset(capacity: limit)
        self.scratch.takeCollaborative(into: &self.unseen)
        self.unseen.sortDescending()
        ranked.removeAll(keepingCapacity: true)
        for key in self.unseen.keys { ranked.append(RankKey.number(key)) }
        guard ranked.count < limit else { return }
        let own = ranked.count
        for item in ranked { _ = self.scratch.mark(item, .listed) }
        for item in snapshot.popularityOrder where self.scratch.isUnseen(item) && !self.scratch.has(item, .listed) {
            ranked.append(item)
            if ranked.count == limit { break }
        }
        self.scratch.unmark(ranked.prefix(own), .listed)
    }

    /// Brings the rows of the history into the processor's caches.
    private func touchRows(_ snapshot: Snapshot) -> UInt32 {
        var sum: UInt32 = 0
        for (item, weight) in zip(self.history.items, self.history.weights)
        where weight != 0 && Int(item) < snapshot.itemCount {
            let (before, after) = snapshot.content.rows(of: item)
            sum &+= snapshot.collaborative.touch(snapshot.collaborative.row(Int(item)))
            sum &+= snapshot.content.lists.touch(before) &+ snapshot.content.lists.touch(after)
        }
        return sum
    }

    /// The same for the positive part alone.
    private func touchCollaborativeRows(_ snapshot: Snapshot) -> UInt32 {
        let graph = snapshot.collaborative
        var sum: UInt32 = 0
        for index in self.history.items.indices where self.history.weights[index] > 0 {
            sum &+= graph.touch(graph.row(Int(self.history.items[index])))
        }
        return sum
    }

    /// Fills ``unseen`` and ``seen`` with the best of the candidates and of the popularity order.
    private mutating func select(
        _ factors: ComponentFactors,
        snapshot: Snapshot,
        poolSize: Int,
        of itemCount: Int,
        excluded: [UInt64]
    ) {
        self.unseen.reset(capacity: min(max(poolSize, 0), itemCount, Scorer.poolLimit))
        self.candidates.insertUnseen(factors, into: &self.unseen)
        for candidate in self.candidates.seen {
            self.seen.insert(RankKey.make(factors.score(candidate), candidate.item))
        }
        var remaining = min(max(poolSize, 0), Scorer.poolLimit)
        for item in snapshot.popularityOrder where self.scratch.isUnmarked(item) {
            let popularity = snapshot.popularity[Int(item)]
            guard popularity > 0, remaining > 0 else { return }
            guard !excluded.contains(item) else { continue }
            // The order descends, so the first one that does not make it is the last one to try.
            guard self.unseen.insert(RankKey.make(factors.popularity * popularity, item)) else { return }
            remaining -= 1
        }
    }

    private func tried(of fresh: FreshItems, itemCount: Int, _ excluded: [UInt64]) -> [Item.Number] {
        var tried: [Item.Number] = []
        for item in fresh.tried where Int(item) < itemCount {
            guard tried.count < fresh.triedLimit else { break }
            if self.scratch.isUnseen(item), !excluded.contains(item) { tried.append(item) }
        }
        return tried
    }

    private func scored(_ item: Item.Number, _ factors: ComponentFactors, _ snapshot: Snapshot) -> PoolDraft.Entry {
        let sums = self.scratch.sums(of: item)
        let components = factors.components(
            CandidateColumns.Candidate(
                item: item,
                collaborative: sums.collaborative,
                content: sums.content,
                popularity: snapshot.popularity(of: item)
            )
        )
        return PoolDraft.Entry(
            item: item,
            components: SIMD3(components.collaborative, components.content, components.popularity)
        )
    }
}

import RecommendationCore
import RecommendationEngine

/// An item at its place in a list, before the final stage.
struct RankedItem {
    let item: Item.Number
    let score: Float
    var collaborative: Float = 0
    var content: Float = 0
    var popularity: Float = 0
}

extension RankedItem {
    /// One whose score is the sum of its components.
    init(_ item: Item.Number, _ components: ScoreComponents) {
        self.init(
            item: item,
            score: components.sum,
            collaborative: components.collaborative,
            content: components.content,
            popularity: components.popularity
        )
    }
}

/// Where the items of lists come from: the snapshot, and the catalogue, both in memory.
struct ListCandidates {
    /// How much popularity counts beside likeness: enough to part what is equally like, and no more.
    private static let popularityShare: Float = 0.1
    /// Likenesses looked at; the scorer never gives more.
    private static let similarLimit = 500

    let state: TenantState

    /// Items of a list in order, those of the categories asked for where there are any.
    func items(of kind: ListKind, window: ListWindow, categories: [ItemCategory.ID]) -> AnySequence<RankedItem> {
        let wanted = categories.isEmpty ? nil : self.members(of: categories)
        switch kind {
        case .latest: return self.latest(wanted)
        case .popular:
            guard let snapshot = self.state.model?.snapshot else { return AnySequence(EmptyCollection()) }
            let numbers = snapshot.popularityOrder.lazy.filter { wanted?[Int($0)] ?? true }
            return AnySequence(
                numbers.map { number in
                    let popularity = snapshot.popularity[Int(number)]
                    return RankedItem(item: number, score: popularity, popularity: popularity)
                }
            )
        case .trending:
            guard let snapshot = self.state.model?.snapshot else { return AnySequence(EmptyCollection()) }
            let trending = snapshot.trending(in: window.trend).lazy.filter { wanted?[Int($0.item)] ?? true }
            return AnySequence(
                trending.map { RankedItem(item: $0.item, score: $0.weight, popularity: $0.weight) }
            )
        }
    }

    /// The policy's items of last resort.
    var curated: AnySequence<RankedItem> {
        let numbers = self.state.policy.staticItems.lazy.compactMap { self.state.catalog.number(of: $0) }
        return AnySequence(numbers.map { RankedItem(item: $0, score: 0) })
    }

    /// The newest first: numbers are given in the order in which items come, and never again. The score is the place in that
    /// order, 1 for the last.
    private func latest(_ wanted: Bitmap?) -> AnySequence<RankedItem> {
        let catalog = self.state.catalog
        let count = catalog.count
        let places = (0..<count).reversed().lazy.filter { place in
            (wanted?[place] ?? true) && catalog[Item.Number(place)] != nil
        }
        return AnySequence(
            places.map { place -> RankedItem in
                RankedItem(item: Item.Number(place), score: Float(place + 1) / Float(count))
            }
        )
    }

    private func members(of categories: [ItemCategory.ID]) -> Bitmap {
        var members = Bitmap()
        for category in categories {
            for number in self.state.catalog.categories.members(of: category.string) { members[Int(number)] = true }
        }
        return members
    }

    /// What is like an item, the closest first: what the model would show to someone of whom it knows only that they like it,
    /// less what is there for its popularity alone.
    ///
    /// - Parameter taste: What a user is known to care for, 0 to 1 by item: what is most to their taste counts twice what nothing
    ///   is known of. Empty: likeness alone counts.
    func similar(
        to number: Item.Number,
        by taste: [Item.Number: Float] = [:],
        scorer: Scorer
    ) -> [RankedItem] {
        guard let snapshot = self.state.model?.snapshot, Int(number) < max(snapshot.itemCount, self.state.catalog.count)
        else { return [] }
        var policy = self.state.policy
        policy.weights.popularity *= Self.popularityShare
        policy.poolSize = Self.similarLimit
        let liked = HistoryEvent(item: number, type: .like, value: 1, occurredAt: snapshot.builtAt)
        policy.eventWeights[.like] = 1
        let pool = scorer.pool(
            history: [liked],
            snapshot: snapshot,
            policy: policy,
            excluded: self.state.excluded.words,
            keepsSeen: false,
            fresh: self.state.freshIndex(of: snapshot).items(
                Policy.Exploration(share: 0, maximumAgeDays: 0),
                lot: 0,
                now: snapshot.builtAt,
                excluded: self.state.excluded
            )
        )
        let similar: [RankedItem] = pool.unseen.compactMap { candidate in
            let (collaborative, content, popularity) = pool.components(candidate)
            guard collaborative > 0 || content > 0 else { return nil }
            return RankedItem(
                item: candidate.item,
                score: collaborative + content + popularity,
                collaborative: collaborative,
                content: content,
                popularity: popularity
            )
        }
        guard !taste.isEmpty else { return similar }
        return similar.map { $0.weighted(by: (1 + (taste[$0.item] ?? 0)) / 2) }
            .sorted { $0.score != $1.score ? $0.score > $1.score : $0.item < $1.item }
    }
}

extension RankedItem {
    fileprivate func weighted(by factor: Float) -> RankedItem {
        RankedItem(
            item: self.item,
            score: self.score * factor,
            collaborative: self.collaborative * factor,
            content: self.content * factor,
            popularity: self.popularity * factor
        )
    }
}

package import RecommendationCore

/// How well recipes find what was held back.
package enum RecipeTrial {
    /// What one recipe reached.
    package struct Outcome: Sendable {
        package let recipe: Recipe
        /// `ndcg_at_10`, `recall_at_10`, `ndcg_at_20`, `recall_at_20`, `coverage_at_10`, `users`.
        package let metrics: [String: Double]

        /// What recipes are compared by.
        package var gain: Double { self.metrics["ndcg_at_20"] ?? 0 }
    }

    /// Items up to which a regression is tried with several ridges; up to ``RidgeFit/maximumItemCount`` it is tried with one, for
    /// its time grows with their third power.
    static let smallCatalogue = 5_000
    /// Of MovieLens' small ratings the middle one finds most, and the others 97 % of that (`fit-bench ridge`).
    private static let ridges = [100.0, middleRidge, 500]
    private static let middleRidge = 250.0

    /// What is tried where no recipe is named: the sparse product with the exponents that differ between catalogues, and the
    /// regression where it costs seconds.
    ///
    /// - Parameter isByTime: Whether they are judged by what came last. What is drawn is less popular than what comes, and
    ///   so favours recipes that count popularity off, and hardly tells the rest apart: without times one sparse product is
    ///   tried, which counts nothing off.
    static func candidates(usedItems: Int, isByTime: Bool = true) -> [Recipe] {
        var recipes: [Recipe] = []
        let popularity = isByTime ? [(0.1, 0.1), (0.15, 0.15), (0.0, 0.0), (0.1, 0.0), (0.25, 0.35)] : [(0.0, 0.0)]
        let bases = [(0.5, 0.34, 1.3, 1.0, 0.0), (0.35, 0.34, 1.35, 0.9, 0.0), (0.8, 0.31, 1.45, 1.5, 0.24)]
        for base in isByTime ? bases[...] : bases.suffix(1) {
            for (neighbour, columnSum) in popularity {
                recipes.append(
                    .product(
                        Recipe.Product(
                            user: base.0,
                            choice: base.1,
                            power: base.2,
                            item: base.3,
                            neighbour: neighbour,
                            rowSum: base.4,
                            columnSum: columnSum
                        )
                    )
                )
            }
        }
        switch usedItems {
        case 1...Self.smallCatalogue: recipes += Self.ridges.map { .ease(lambda: $0) }
        case 1...RidgeFit.maximumItemCount: recipes.append(.ease(lambda: Self.middleRidge))
        default: break
        }
        return recipes
    }

    /// Tries recipes on a split, in their order.
    ///
    /// - Parameter recipes: nil: what is tried where none is named.
    package static func outcomes(
        of recipes: [Recipe]?,
        _ input: FitInput,
        _ split: Split,
        threads: Int
    ) throws(FitError) -> [Outcome] {
        guard !split.users.isEmpty else { return [] }
        var input = input
        input.heldBack = split.heldBack
        let fit = try GraphFit(input, threads: threads)
        let (popularity, order) = fit.popularity
        let noContent = ContentGraph(
            groupOfItem: [UInt32](repeating: ContentGraph.noGroup, count: input.itemCount),
            lists: .empty(rowCount: 0)
        )
        var outcomes: [Outcome] = []
        let terms = EventTerms(eventWeights: input.eventWeights, halfLifeDays: input.halfLifeDays)
        try fit.graphs(of: recipes ?? Self.candidates(usedItems: fit.usedItemCount, isByTime: split.isByTime)) {
            recipe,
            graph in
            let snapshot = Snapshot(
                counts: fit.weighed.counts,
                newestEvent: nil,
                builtAt: input.builtAt,
                collaborative: graph,
                content: noContent,
                popularity: popularity,
                popularityOrder: order
            )
            let metrics = Self.metrics(of: snapshot, split, terms: terms, threads: threads)
            outcomes.append(Outcome(recipe: recipe, metrics: metrics))
        }
        return outcomes
    }

    /// A list a user, in the order of the users.
    package static func lists(
        _ users: [Split.User],
        _ snapshot: Snapshot,
        limit: Int,
        terms: EventTerms,
        threads: Int
    ) -> [[Item.Number]] {
        var lists = [[Item.Number]](repeating: [], count: users.count)
        lists.withPlaces { lists in
            Dealer.deal(users.count, atOnce: 64, threads: threads, state: Scorer.init) { scorer, index in
                let history = users[index].history
                var list: [Item.Number] = []
                scorer.rank(history.span, snapshot: snapshot, limit: limit, terms: terms, into: &list)
                lists[index] = list
            }
        }
        return lists
    }

    /// What a model reaches on a split.
    static func metrics(
        of snapshot: Snapshot,
        _ split: Split,
        terms: EventTerms,
        threads: Int
    ) -> [String: Double] {
        let lists = Self.lists(split.users, snapshot, limit: 20, terms: terms, threads: threads)
        var atTen = RankingMetrics(cutoff: 10)
        var atTwenty = RankingMetrics(cutoff: 20)
        for (list, user) in zip(lists, split.users) {
            atTen.add(recommended: list, relevant: user.relevant)
            atTwenty.add(recommended: list, relevant: user.relevant)
        }
        return [
            "recall_at_10": atTen.recall, "ndcg_at_10": atTen.ndcg, "recall_at_20": atTwenty.recall,
            "ndcg_at_20": atTwenty.ndcg, "coverage_at_10": atTen.coverage(of: snapshot.itemCount),
            "users": Double(split.users.count),
        ]
    }
}

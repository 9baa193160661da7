package import RecommendationCore

/// Fits models.
package enum SnapshotBuilder {
    /// The most items a model can have: a row of 100 neighbours each must not overflow 32-bit offsets.
    package static let maximumItemCount = 40_000_000

    /// Fits a model, the same from the same input whatever the number of threads; blocks its thread.
    package static func fit(
        _ input: FitInput,
        recipe: Recipe = .standard,
        threads: Int
    ) throws(FitError) -> Snapshot {
        let fit = try GraphFit(input, threads: threads)
        let (popularity, popularityOrder) = fit.popularity
        return Snapshot(
            counts: fit.weighed.counts,
            newestEvent: fit.weighed.newest.map(Timestamp.init(seconds:)),
            builtAt: input.builtAt,
            collaborative: try fit.graph(recipe),
            content: ContentFit.graph(input, popularityOrder: popularityOrder, threads: threads),
            popularity: popularity,
            popularityOrder: popularityOrder,
            trending: fit.weighed.trending(input)
        )
    }

    /// The graph alone, from which items which users took to: row by row the item numbers of a user, each once.
    ///
    /// - Parameters:
    ///   - offsets: Where a user's items begin, ascending from 0; one more than there are users.
    ///   - items: Below the count of items.
    package static func graph(
        offsets: [Int],
        items: [Item.Number],
        itemCount: Int,
        recipe: Recipe,
        neighbours: Int = 100,
        threads: Int
    ) throws(FitError) -> NeighbourGraph {
        guard (0...Self.maximumItemCount).contains(itemCount) else { throw .itemCountOutOfRange(itemCount) }
        guard offsets.first == 0, offsets.last == items.count, zip(offsets, offsets.dropFirst()).allSatisfy(<=),
            items.allSatisfy({ Int($0) < itemCount })
        else { throw .rowsInconsistent }
        let pairs = PositivePairs(itemsOfUser: CompressedRows(offsets: offsets, values: items), itemCount: itemCount)
        return try GraphFit.graph(pairs, recipe, neighbours: neighbours, threads: threads)
    }
}

import RecommendationCore

/// Fits models.
package enum SnapshotBuilder {
    /// The name of the recipe in the model registry.
    package static let recipe = "item-cosine-1"

    /// The most items a model can have: a row of 100 neighbours each must not overflow 32-bit offsets.
    package static let maximumItemCount = 40_000_000

    /// Fits a model, the same from the same input whatever the number of threads; blocks its thread.
    package static func fit(_ input: FitInput, threads: Int) throws(FitError) -> Snapshot {
        guard (0...Self.maximumItemCount).contains(input.itemCount) else {
            throw .itemCountOutOfRange(input.itemCount)
        }
        let weighed = try WeighedInteractions(input)
        let popularity = weighed.popularity(input)
        let popularityOrder = Popularity.order(popularity)
        let pairs = PositivePairs(input, weighed: weighed)
        let neighbours = min(max(input.limits.neighbours, 0), 100)
        return Snapshot(
            counts: weighed.counts,
            newestEvent: weighed.newest.map(Timestamp.init(seconds:)),
            builtAt: input.builtAt,
            collaborative: CollaborativeFit.graph(pairs, neighbours: neighbours, threads: threads),
            content: ContentFit.graph(input, popularityOrder: popularityOrder, threads: threads),
            popularity: popularity,
            popularityOrder: popularityOrder,
            trending: weighed.trending(input)
        )
    }
}

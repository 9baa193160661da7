package import RecommendationCore

/// One fitted model of a tenant, immutable, everything by item number: what candidates are drawn from.
///
/// Every id in it is below ``itemCount``: the builder makes it so and the decoder checks it, and the scorer's inner loops,
/// which leave out bounds checks, rely on it.
package final class Snapshot: Sendable {
    /// What the model was fitted on.
    package struct Counts: Sendable, Equatable {
        /// Interactions that could be used.
        package let interactions: Int
        /// Users with at least one of them.
        package let users: Int
        /// Items with at least one of them.
        package let items: Int

        package init(interactions: Int, users: Int, items: Int) {
            self.interactions = interactions
            self.users = users
            self.items = items
        }
    }

    /// The highest item number it can name, plus one.
    package let itemCount: Int
    package let counts: Counts
    /// The moment from which popularity decays backwards; nil without interactions.
    package let newestEvent: Timestamp?
    package let builtAt: Timestamp
    /// Items that go together in histories.
    package let collaborative: NeighbourGraph
    /// Items of like categories.
    package let content: ContentGraph
    /// 0 to 1 by item number.
    package let popularity: [Float]
    /// Every item number, the most popular first, ties by number.
    package let popularityOrder: [Item.Number]
    /// A row a ``TrendWindow``: what was used in it, the most used first.
    let trending: NeighbourGraph

    init(
        counts: Counts,
        newestEvent: Timestamp?,
        builtAt: Timestamp,
        collaborative: NeighbourGraph,
        content: ContentGraph,
        popularity: [Float],
        popularityOrder: [Item.Number],
        trending: NeighbourGraph = .empty(rowCount: TrendWindow.allCases.count)
    ) {
        self.itemCount = popularity.count
        self.counts = counts
        self.newestEvent = newestEvent
        self.builtAt = builtAt
        self.collaborative = collaborative
        self.content = content
        self.popularity = popularity
        self.popularityOrder = popularityOrder
        self.trending = trending
    }

    /// How popular an item is; 0 for one that came later.
    @inline(__always)
    package func popularity(of item: Item.Number) -> Float {
        Int(item) < self.popularity.count ? self.popularity[Int(item)] : 0
    }

    /// What was used in a window, the most used first; weights above 0, at most 1.
    package func trending(in window: TrendWindow) -> [Neighbour] {
        self.trending.neighbours(in: self.trending.row(window.rawValue))
    }

    /// The model of a tenant that has none yet.
    package static func empty(builtAt: Timestamp) -> Snapshot {
        Snapshot(
            counts: Counts(interactions: 0, users: 0, items: 0),
            newestEvent: nil,
            builtAt: builtAt,
            collaborative: .empty(rowCount: 0),
            content: ContentGraph(groupOfItem: [], lists: .empty(rowCount: 0)),
            popularity: [],
            popularityOrder: []
        )
    }
}

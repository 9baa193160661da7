package import RecommendationCore

/// What is known of items that a model was not fitted on, or of which it has seen no use, for one user's pool.
package struct FreshItems: Sendable {
    package static let none = FreshItems(end: 0, tried: [], triedLimit: 0, lot: 0) { _ in [] }

    /// One more than the highest number that there may be; 0: there are none beyond the model's.
    let end: Int
    /// Items to be tried out on the user, in this order; those the user has had are passed over.
    package let tried: [Item.Number]
    /// The most of them that a pool takes.
    package let triedLimit: Int
    /// As ``CandidatePool/triedLot``.
    let lot: UInt16
    /// Items that have categories in common with an item, and how much, 0 to 1: of an item of the model those that it does not
    /// know, of any other all.
    let neighbours: @Sendable (Item.Number) -> [Neighbour]

    package init(
        end: Int,
        tried: [Item.Number],
        triedLimit: Int,
        lot: UInt16,
        neighbours: @escaping @Sendable (Item.Number) -> [Neighbour]
    ) {
        self.end = end
        self.tried = tried
        self.triedLimit = triedLimit
        self.lot = lot
        self.neighbours = neighbours
    }
}

/// Likenesses of a history's items to others that no row of the model has.
struct FreshEdges {
    struct Edge {
        /// Index into the history.
        let source: Int
        let item: Item.Number
        let similarity: Float
    }

    private(set) var edges: [Edge] = []

    /// What half floats round a similarity by, at most.
    private static let rounding: Float = 0.001

    /// Takes the place of the last history's.
    ///
    /// A fresh item is a neighbour where one that the model knows would be: it needs a place in a list that is full.
    mutating func gather(_ history: WeighedHistory, _ fresh: FreshItems, snapshot: Snapshot) {
        self.edges.removeAll(keepingCapacity: true)
        guard fresh.end > snapshot.itemCount else { return }
        for (source, item) in history.items.enumerated() where history.weights[source] != 0 {
            let least = snapshot.content.leastSimilarity(of: item) - Self.rounding
            for neighbour in fresh.neighbours(item) where neighbour.item != item && Int(neighbour.item) < fresh.end {
                guard neighbour.weight >= least else { continue }
                self.edges.append(Edge(source: source, item: neighbour.item, similarity: neighbour.weight))
            }
        }
    }
}

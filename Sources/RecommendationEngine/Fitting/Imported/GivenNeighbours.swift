package import RecommendationCore

/// Edges that were made elsewhere, to become rows of a graph.
package struct GivenNeighbours: Sendable {
    /// The most neighbours of an item that a graph takes.
    package static let maximumNeighbours = 1_000

    private var items: [Item.Number] = []
    private var neighbours: [Item.Number] = []
    private var weights: [Float] = []

    package init() {}

    package var count: Int { self.weights.count }

    /// - Parameter weight: A finite number.
    package mutating func append(item: Item.Number, neighbour: Item.Number, weight: Float) {
        self.items.append(item)
        self.neighbours.append(neighbour)
        self.weights.append(weight)
    }

    /// The graph of the heaviest edges of each item, ties by number.
    ///
    /// Weights mean something only beside each other. Where the largest is above 1, or so small that half floats of the others
    /// would lose digits, all of them are multiplied by the same power of two, which loses none; what is still too small for a
    /// half float is left out.
    ///
    /// - Parameter itemCount: Above every number.
    package func graph(itemCount: Int, limit: Int) -> NeighbourGraph {
        let scale = Self.scale(self.weights.reduce(0) { max($0, $1.magnitude) })
        var starts = [Int](repeating: 0, count: itemCount + 1)
        for item in self.items { starts[Int(item) + 1] += 1 }
        for row in 0..<itemCount { starts[row + 1] += starts[row] }
        var next = starts
        var keys = [UInt64](repeating: 0, count: self.items.count)
        for edge in self.items.indices {
            let row = Int(self.items[edge])
            keys[next[row]] = RankKey.make(self.weights[edge] * scale, self.neighbours[edge])
            next[row] += 1
        }
        var offsets: [UInt32] = [0]
        offsets.reserveCapacity(itemCount + 1)
        var ids: [Item.Number] = []
        var halves: [UInt16] = []
        for row in 0..<itemCount {
            var kept = 0
            for key in keys[starts[row]..<starts[row + 1]].sorted(by: >) where kept < limit {
                let half = HalfFloat.encode(RankKey.score(key))
                guard half & 0x7FFF != 0 else { continue }
                ids.append(RankKey.number(key))
                halves.append(half)
                kept += 1
            }
            offsets.append(UInt32(ids.count))
        }
        return NeighbourGraph(offsets: offsets, ids: ids, weights: halves)
    }

    /// A power of two that brings the largest weight into 0.5 to 1 where that is needed; 1 elsewhere.
    private static func scale(_ largest: Float) -> Float {
        guard largest > 0, largest > 1 || largest < 0.0625 else { return 1 }
        // 2^-(exponent + 1): a significand of 1 to 2 becomes 0.5 to 1.
        return Float(sign: .plus, exponent: max(-126, min(127, -(Int(largest.exponent) + 1))), significand: 1)
    }
}

extension SnapshotBuilder {
    /// A model whose collaborative graph was made elsewhere; popularity, content and trends are fitted from the input.
    package static func snapshot(
        _ input: FitInput,
        collaborative: NeighbourGraph,
        threads: Int
    ) throws(FitError) -> Snapshot {
        guard (0...Self.maximumItemCount).contains(input.itemCount), collaborative.rowCount == input.itemCount else {
            throw .itemCountOutOfRange(input.itemCount)
        }
        let weighed = try WeighedInteractions(input)
        let popularity = weighed.popularity(input)
        let popularityOrder = Popularity.order(popularity)
        return Snapshot(
            counts: weighed.counts,
            newestEvent: weighed.newest.map(Timestamp.init(seconds:)),
            builtAt: input.builtAt,
            collaborative: collaborative,
            content: ContentFit.graph(input, popularityOrder: popularityOrder, threads: threads),
            popularity: popularity,
            popularityOrder: popularityOrder,
            trending: weighed.trending(input)
        )
    }
}

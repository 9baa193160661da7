import RecommendationCore

/// What was used of late.
enum Trends {
    /// Items kept of a window.
    static let limit = 10_000
    /// Windows after which a use says nothing of what trends: it would count less than a two hundredth.
    static let reach = 8.0
}

extension WeighedInteractions {
    /// A row a window: log1p(count) / log1p(largest count) of what was used in it, the most used first, ties by number.
    /// Counts are weighted as in popularity and halve with each window; only uses of the last eight windows are in them.
    func trending(_ input: FitInput) -> NeighbourGraph {
        var offsets: [UInt32] = [0]
        var ids: [Item.Number] = []
        var weights: [UInt16] = []
        for window in TrendWindow.allCases {
            for key in self.trending(input, in: window) {
                ids.append(RankKey.number(key))
                weights.append(HalfFloat.encode(RankKey.score(key)))
            }
            offsets.append(UInt32(ids.count))
        }
        return NeighbourGraph(offsets: offsets, ids: ids, weights: weights)
    }

    private func trending(_ input: FitInput, in window: TrendWindow) -> [UInt64] {
        guard let newest = self.newest else { return [] }
        let rows = input.interactions
        let decay = Decay(halfLifeDays: window.length / 86_400)
        var counts = [Double](repeating: 0, count: input.itemCount)
        for row in 0..<rows.count where self.weights[row] != 0 {
            let age = Double(newest) - Double(rows.seconds[row])
            guard age < Trends.reach * window.length else { continue }
            counts[Int(rows.items[row])] += Double(self.weights[row]) * decay.factor(ageInSeconds: age)
        }
        var top = TopKeys()
        top.reset(capacity: min(Trends.limit, input.itemCount))
        for (item, weight) in Popularity.normalised(counts).enumerated() {
            // Ranked as it is stored, so that the order is that of the weights that are read.
            let stored = HalfFloat.decode(HalfFloat.encode(weight))
            if stored > 0 { top.insert(RankKey.make(stored, UInt32(item))) }
        }
        top.sortDescending()
        return top.keys
    }
}

import Glibc
package import RecommendationCore

/// Figures of ranked lists against held-back items, by LightGCN's definitions: means over every user with a held-back item,
/// among them users without a list, who count 0.
package struct RankingMetrics: Sendable {
    /// Ranks that count.
    package let cutoff: Int
    /// Users with at least one held-back item.
    package private(set) var users = 0

    private var recallSum = 0.0
    private var gainSum = 0.0
    private var precisionSum = 0.0
    private var hits = 0
    private var recommended: Set<Item.Number> = []
    /// 1 / log2(rank + 1), rank from 1.
    private let discounts: [Double]
    /// Sums of the first discounts: the gain of a list that could not be better.
    private let idealGains: [Double]

    package init(cutoff: Int) {
        self.cutoff = max(cutoff, 0)
        self.discounts = (0..<self.cutoff).map { 1 / log2(Double($0) + 2) }
        self.idealGains = self.discounts.reduce(into: [0]) { $0.append($0[$0.count - 1] + $1) }
    }

    /// Counts one user; an item that is repeated in a list counts where it comes first.
    package mutating func add(recommended list: [Item.Number], relevant: [Item.Number]) {
        var missing = Set(relevant)
        guard !missing.isEmpty else { return }
        let wanted = missing.count
        var gain = 0.0
        var precision = 0.0
        var found = 0
        for (rank, item) in list.prefix(self.cutoff).enumerated() {
            self.recommended.insert(item)
            guard missing.remove(item) != nil else { continue }
            found += 1
            gain += self.discounts[rank]
            precision += Double(found) / Double(rank + 1)
        }
        self.users += 1
        self.recallSum += Double(found) / Double(wanted)
        self.hits += found > 0 ? 1 : 0
        guard self.cutoff > 0 else { return }
        self.gainSum += gain / self.idealGains[min(self.cutoff, wanted)]
        self.precisionSum += precision / Double(min(self.cutoff, wanted))
    }

    /// Found items over held-back items.
    package var recall: Double { self.mean(self.recallSum) }
    /// Discounted gain over the best that was possible.
    package var ndcg: Double { self.mean(self.gainSum) }
    /// Mean over the found of the precision up to them, over as many as could be found.
    package var meanAveragePrecision: Double { self.mean(self.precisionSum) }
    /// Users with at least one item found.
    package var hitRate: Double { self.mean(Double(self.hits)) }

    /// The part of a catalogue that was recommended to anybody.
    package func coverage(of itemCount: Int) -> Double {
        itemCount > 0 ? Double(self.recommended.count) / Double(itemCount) : 0
    }

    private func mean(_ sum: Double) -> Double { self.users > 0 ? sum / Double(self.users) : 0 }
}

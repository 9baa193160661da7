import Glibc
package import RecommendationCore

/// What lists are worth against held-back items, and what they are like; over all users, and by how much is known of them.
package struct ListReport: Sendable {
    /// Users by how many events other than looks their history has.
    package enum Segment: String, CaseIterable, Sendable {
        /// Fewer than 5.
        case cold
        /// 5 to 49.
        case warm
        /// 50 and more.
        case heavy

        init(events: Int) {
            switch events {
            case ..<5: self = .cold
            case ..<50: self = .warm
            default: self = .heavy
            }
        }
    }

    /// Means over the users of a group.
    package struct Figures: Sendable, Equatable {
        package var users = 0
        package var recall = 0.0
        package var ndcg = 0.0
        package var map = 0.0
        package var hitRate = 0.0
        /// The part of the catalogue that is in a list at all.
        package var coverage = 0.0
        /// One less the mean cosine of two items of a list, by the users who took to them; nil where no list has two items.
        package var diversity: Double?
        /// The mean of −log2 of the part of the users who took to a listed item.
        package var novelty: Double?
        /// How many users took to a listed item, over how many took to an item of the same user's history: 1 is no bias.
        package var popularityBias: Double?

        /// Names as they are written, with their values.
        package var named: [(name: String, value: Double?)] {
            [
                ("recall", self.recall), ("ndcg", self.ndcg), ("map", self.map), ("hit_rate", self.hitRate),
                ("coverage", self.coverage), ("diversity", self.diversity), ("novelty", self.novelty),
                ("popularity_bias", self.popularityBias),
            ]
        }
    }

    package let cutoff: Int
    package let all: Figures
    /// Without segments that nobody is in.
    package let segments: [(segment: Segment, figures: Figures)]

    /// - Parameters:
    ///   - lists: A list a user, best first.
    ///   - input: What the model was fitted on, by which items are compared and users counted.
    package init(
        _ lists: [[Item.Number]],
        _ users: [Split.User],
        cutoff: Int,
        input: FitInput
    ) throws(FitError) {
        let weighed = try WeighedInteractions(input)
        let likeness = ItemLikeness(PositivePairs(input, weighed: weighed))
        var all = FigureSums(cutoff: cutoff, likeness)
        var bySegment: [Segment: FigureSums] = [:]
        // Diversity costs a comparison of every two items of a list.
        let compared = max(1, users.count / 2_000)
        for (index, user) in users.enumerated() {
            let known = user.history.count { $0.type != .view }
            let segment = Segment(events: known)
            let list = Array(lists[index].prefix(cutoff))
            let diversity = index % compared == 0 ? likeness.diversity(of: list) : nil
            all.add(list, user, diversity: diversity)
            bySegment[segment, default: FigureSums(cutoff: cutoff, likeness)].add(list, user, diversity: diversity)
        }
        self.cutoff = cutoff
        self.all = all.figures(itemCount: input.itemCount)
        self.segments = Segment.allCases.compactMap { segment in
            bySegment[segment].map { (segment, $0.figures(itemCount: input.itemCount)) }
        }
    }
}

/// Who took to which items, for comparisons of items.
private struct ItemLikeness {
    private let pairs: PositivePairs
    private let userCount: Int

    init(_ pairs: PositivePairs) {
        self.pairs = pairs
        self.userCount = pairs.userDegrees.count { $0 > 0 }
    }

    func users(of item: Item.Number) -> Int {
        Int(item) < self.pairs.itemCount ? self.pairs.usersOfItem[Int(item)].count : 0
    }

    /// −log2 of the part of the users who took to an item; as if it were one where nobody did.
    func novelty(of item: Item.Number) -> Double {
        log2(Double(max(self.userCount, 1)) / Double(max(self.users(of: item), 1)))
    }

    func diversity(of list: [Item.Number]) -> Double? {
        guard list.count > 1 else { return nil }
        var sum = 0.0
        for (index, item) in list.enumerated() {
            for other in list[..<index] {
                let shared = self.pairs.usersOfItem.sharedCount(Int(item), Int(other))
                let product = Double(self.users(of: item)) * Double(self.users(of: other))
                if shared > 0 { sum += Double(shared) / product.squareRoot() }
            }
        }
        return 1 - sum / Double(list.count * (list.count - 1) / 2)
    }
}

private struct FigureSums {
    private let likeness: ItemLikeness
    private var metrics: RankingMetrics
    private var diversity = Mean()
    private var novelty = Mean()
    private var bias = Mean()

    private struct Mean {
        private var sum = 0.0
        private var count = 0

        mutating func add(_ value: Double) {
            self.sum += value
            self.count += 1
        }

        var value: Double? { self.count > 0 ? self.sum / Double(self.count) : nil }
    }

    init(cutoff: Int, _ likeness: ItemLikeness) {
        self.likeness = likeness
        self.metrics = RankingMetrics(cutoff: cutoff)
    }

    mutating func add(_ list: [Item.Number], _ user: Split.User, diversity: Double?) {
        self.metrics.add(recommended: list, relevant: user.relevant)
        if let diversity { self.diversity.add(diversity) }
        for item in list { self.novelty.add(self.likeness.novelty(of: item)) }
        let own = Set(user.history.lazy.filter { $0.type != .view }.map(\.item)).map {
            Double(self.likeness.users(of: $0))
        }
        let ownMean = own.reduce(0, +) / Double(max(own.count, 1))
        guard ownMean > 0, !list.isEmpty else { return }
        let listed = list.reduce(0.0) { $0 + Double(self.likeness.users(of: $1)) } / Double(list.count)
        self.bias.add(listed / ownMean)
    }

    func figures(itemCount: Int) -> ListReport.Figures {
        ListReport.Figures(
            users: self.metrics.users,
            recall: self.metrics.recall,
            ndcg: self.metrics.ndcg,
            map: self.metrics.meanAveragePrecision,
            hitRate: self.metrics.hitRate,
            coverage: self.metrics.coverage(of: itemCount),
            diversity: self.diversity.value,
            novelty: self.novelty.value,
            popularityBias: self.bias.value
        )
    }
}

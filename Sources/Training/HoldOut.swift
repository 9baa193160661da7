import RecommendationCore
import RecommendationEngine

/// Measures a recipe on events it has not seen: the last positive event of some users is held back, a model is fitted on the
/// rest, and the held-back item is looked for among the first ten.
///
/// Last events, not a random share: a random hold-out lets the model see the future and misleads.
struct HoldOut {
    private let set: TrainingSet
    private let users: Int

    /// - Parameter users: How many users at most; they are taken evenly over all who have at least two items.
    init(_ set: TrainingSet, users: Int) {
        self.set = set
        self.users = users
    }

    func metrics(builtAt: Timestamp, threads: Int, policy: Policy = .builtIn) throws(FitError) -> [String: Double] {
        let histories = self.set.histories()
        var heldBack: [UInt32: Item.Number] = [:]
        let eligible = histories.indices.filter { index in
            let positive = histories[index].filter { (policy.eventWeights[$0.type] ?? 0) > 0 && $0.type != .view }
            return Set(positive.map(\.item)).count >= 2
        }
        let stride = max(1, eligible.count / self.users)
        for index in Swift.stride(from: 0, to: eligible.count, by: stride) {
            let user = eligible[index]
            let last = histories[user].first { (policy.eventWeights[$0.type] ?? 0) > 0 && $0.type != .view }
            heldBack[UInt32(user)] = last?.item
        }
        guard !heldBack.isEmpty else { return [:] }
        var rest = InteractionColumns()
        rest.reserveCapacity(self.set.interactions.count)
        let columns = self.set.interactions
        for row in 0..<columns.count where heldBack[columns.users[row]] != columns.items[row] {
            rest.append(
                user: columns.users[row],
                item: columns.items[row],
                type: columns.types[row],
                value: columns.values[row],
                seconds: columns.seconds[row]
            )
        }
        let snapshot = try SnapshotBuilder.fit(
            self.set.fitInput(rest, builtAt: builtAt, policy: policy),
            threads: threads
        )
        let scorer = Scorer()
        var metrics = RankingMetrics(cutoff: 10)
        for (user, item) in heldBack.sorted(by: { $0.key < $1.key }) {
            let history = histories[Int(user)].filter { $0.item != item }
            let ranked = scorer.ranked(history: history, snapshot: snapshot, limit: 10, policy: policy)
            metrics.add(recommended: ranked, relevant: [item])
        }
        return [
            "recall_at_10": metrics.recall, "ndcg_at_10": metrics.ndcg,
            "coverage_at_10": metrics.coverage(of: self.set.itemCount), "users": Double(heldBack.count),
        ]
    }
}

package import RecommendationCore

/// How many users variants get.
package enum VariantWeights {
    /// Of the weights together, what each variant has at least: one of a hundred.
    private static let least = 100

    /// As many as it is probable that each is the best, but for the least that each has; they add to `total`.
    ///
    /// - Parameter total: In hundredths of a percent of the experiment's users.
    package static func thompson(_ counts: [Proportion], total: Int) -> [Int] {
        guard !counts.isEmpty else { return [] }
        // None is switched off by rounding.
        let floor = max(1, total / Self.least)
        let free = total - floor * counts.count
        guard free > 0 else { return counts.indices.map { total / counts.count + ($0 < total % counts.count ? 1 : 0) } }
        let shares = BestVariant.probabilities(counts).map { $0 * Double(free) }
        var weights = shares.map { floor + Int($0) }
        // What rounding leaves goes to those that lost most by it.
        let order = shares.indices.sorted {
            shares[$0] - shares[$0].rounded(.down) > shares[$1] - shares[$1].rounded(.down)
        }
        for index in order.prefix(total - weights.reduce(0, +)) { weights[index] += 1 }
        return weights
    }
}

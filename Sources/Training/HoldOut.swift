package import RecommendationCore
package import RecommendationEngine

/// Judges recipes on the last items of some users: see ``Split/lastItems(of:users:order:)``.
package struct HoldOut: Sendable {
    private let input: FitInput
    private let split: Split

    /// - Parameter users: How many users at most.
    package init(_ set: TrainingSet, users: Int, builtAt: Timestamp, policy: Policy) throws(FitError) {
        self.input = set.fitInput(builtAt: builtAt, policy: policy)
        self.split = try Split.lastItems(of: self.input, users: users, order: set.usersByNumber)
    }

    /// What each recipe reaches when it is fitted without what is held back; empty where there is nobody to judge by.
    ///
    /// - Parameter recipes: nil: what is tried where none is named.
    package func outcomes(of recipes: [Recipe]?, threads: Int) throws(FitError) -> [RecipeTrial.Outcome] {
        try RecipeTrial.outcomes(of: recipes, self.input, self.split, threads: threads)
    }
}

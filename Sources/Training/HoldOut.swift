package import RecommendationCore
package import RecommendationEngine

/// Judges recipes and models on the last items of some users: see ``Split/lastItems(of:users:order:)``.
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

    /// What a model that is there already reaches on the same events, which it may have been fitted on.
    package func metrics(of snapshot: Snapshot, threads: Int) -> [String: Double] {
        let terms = EventTerms(eventWeights: self.input.eventWeights, halfLifeDays: self.input.halfLifeDays)
        return RecipeTrial.metrics(of: snapshot, self.split, terms: terms, threads: threads)
    }
}

package import RecommendationEngine

/// Which recipe a model is built by.
package enum RecipeOption: Sendable, Equatable {
    /// The one that finds the last events of some users best.
    case best
    case fixed(Recipe)
}

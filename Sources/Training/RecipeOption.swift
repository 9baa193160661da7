package import RecommendationEngine

/// Which recipe a model is built by.
package enum RecipeOption: Sendable, Equatable {
    /// The one that finds the last events of some users best.
    case best
    case fixed(Recipe)

    /// Every name: `best`, and those of the recipes.
    package static var names: [String] { ["best"] + Recipe.names }

    /// The option of a name; nil for a name that is none.
    package init?(named name: String) {
        if name == "best" {
            self = .best
        } else if let recipe = Recipe(named: name) {
            self = .fixed(recipe)
        } else {
            return nil
        }
    }

    /// As it is asked for.
    package var name: String {
        switch self {
        case .best: "best"
        case .fixed(let recipe): recipe.name
        }
    }
}

package import RecommendationCore

/// Everything a model is fitted from.
package struct FitInput: Sendable {
    /// Bounds of the work and of the model.
    package struct Limits: Sendable {
        /// Collaborative neighbours of an item.
        package var neighbours = 100
        /// Newest events of a user that say which items go together.
        package var history = 500
        /// Groups of equal category sets that one category leads to; see ``ContentFit``.
        package var groupsPerCategory = 1_024

        package init() {}
    }

    package var interactions: InteractionColumns
    /// The highest item number plus one.
    package var itemCount: Int
    package var categories: CategorySets
    package var eventWeights: [EventType: Float]
    package var halfLifeDays: Double
    package var builtAt: Timestamp
    package var limits = Limits()
    /// Interactions that are as if they were not there.
    package var heldBack = RowMask()

    package init(
        interactions: InteractionColumns,
        itemCount: Int,
        categories: CategorySets = CategorySets(),
        eventWeights: [EventType: Float] = Policy.builtIn.eventWeights,
        halfLifeDays: Double = Policy.builtIn.halfLifeDays,
        builtAt: Timestamp
    ) {
        self.interactions = interactions
        self.itemCount = itemCount
        self.categories = categories
        self.eventWeights = eventWeights
        self.halfLifeDays = halfLifeDays
        self.builtAt = builtAt
    }
}

/// Why no model can be fitted.
package enum FitError: Error, Equatable, Sendable {
    /// A negative count of items, or more than rows of 32-bit offsets can hold.
    case itemCountOutOfRange(Int)
    /// More interactions than 32 bits count.
    case tooManyInteractions(Int)
    /// A user index that is not below the number of interactions, so the indices are not dense.
    case usersNotDense(highest: UInt32)
    /// Rows of items that do not ascend, or that name an item beyond the last.
    case rowsInconsistent
    /// More items with users than the recipe can be fitted for.
    case tooManyItems(Int, recipe: String, maximum: Int)
    /// A regression whose ridge is not above 0, so that the matrix need not have an inverse.
    case ridgeNotPositive
}

extension FitError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .itemCountOutOfRange(let count): "a model cannot have \(count) items"
        case .tooManyInteractions(let count): "a model cannot be fitted on \(count) interactions at once"
        case .usersNotDense(let highest): "users are not numbered densely: there is a number \(highest)"
        case .rowsInconsistent: "rows of items that are not in order, or an item beyond the last"
        case .tooManyItems(let count, let recipe, let maximum):
            "the recipe \(recipe) takes at most \(maximum) items that somebody took to, and there are \(count)"
        case .ridgeNotPositive: "the lambda of the recipe ease must be above 0"
        }
    }
}

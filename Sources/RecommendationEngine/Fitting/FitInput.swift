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
}

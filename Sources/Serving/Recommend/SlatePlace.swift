package import RecommendationCore
import RecommendationEngine

/// One place of a slate as the final stage chose it, in numbers: what an answer writes of it is looked up when it is written.
package struct SlatePlace: Sendable {
    package let item: Item.Number
    /// The item that explains the place, if one may be named.
    package let seed: Item.Number?
    package let reason: Reason
    /// Whether it is there to be tried out, not by its score.
    package let isTried: Bool
    package let score: Float
    /// Weighted components; in a user's own slate they sum to the score.
    package let collaborative: Float
    package let content: Float
    package let popularity: Float
}

/// The buffers of the final stage, kept from slate to slate. Serves one caller at a time.
package final class SlateWorkspace {
    /// What was chosen last, in rank order.
    package private(set) var places: [SlatePlace] = []
    private var allowed: [Int] = []
    private var chosen: [Int] = []
    private var diversity = Diversity(maximumPerWindow: 0, window: 0)

    package init() {}

    func takeAllowed() -> [Int] {
        var taken: [Int] = []
        swap(&taken, &self.allowed)
        taken.removeAll(keepingCapacity: true)
        return taken
    }

    func takeDiversity() -> (Diversity, [Int]) {
        var taken = (Diversity(maximumPerWindow: 0, window: 0), [Int]())
        swap(&taken.0, &self.diversity)
        swap(&taken.1, &self.chosen)
        return taken
    }

    func takePlaces() -> [SlatePlace] {
        var taken: [SlatePlace] = []
        swap(&taken, &self.places)
        taken.removeAll(keepingCapacity: true)
        return taken
    }

    func put(_ allowed: [Int], _ diversity: Diversity, _ chosen: [Int], _ places: [SlatePlace]) {
        self.allowed = allowed
        self.diversity = diversity
        self.chosen = chosen
        self.places = places
    }
}

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

extension SlatePlace {
    /// Of a candidate of a pool: what its score is the sum of says why it is there.
    ///
    /// - Parameter seed: The history item that explains it, which may be one that must not be named.
    @inline(__always)
    init(
        _ item: Item.Number,
        _ components: ScoreComponents,
        seed: Item.Number?,
        isPersonal: Bool,
        isTried: Bool,
        _ admission: Admission
    ) {
        let (collaborative, content, popularity) = (components.collaborative, components.content, components.popularity)
        let reason: Reason =
            if isTried {
                .latest
            } else if isPersonal, collaborative >= content, collaborative >= popularity {
                .becauseYouLiked
            } else if isPersonal, content >= popularity {
                .similarToHistory
            } else {
                .popular
            }
        let named = reason == .popular || isTried ? nil : seed.flatMap { admission.mayBeNamed($0) ? $0 : nil }
        self.init(
            item: item,
            seed: named,
            // "Because you liked" names what; without a seed it is likeness.
            reason: reason == .becauseYouLiked && named == nil ? .similarToHistory : reason,
            isTried: isTried,
            score: components.sum,
            collaborative: collaborative,
            content: content,
            popularity: popularity
        )
    }

    /// Of an item that nothing is known of but that the policy gives it a place.
    init(pinned item: Item.Number) {
        self.init(
            item: item,
            seed: nil,
            reason: .curated,
            isTried: false,
            score: 0,
            collaborative: 0,
            content: 0,
            popularity: 0
        )
    }

    /// The same at a place that the policy gives it.
    var pinned: SlatePlace {
        SlatePlace(
            item: self.item,
            seed: nil,
            reason: .curated,
            isTried: false,
            score: self.score,
            collaborative: self.collaborative,
            content: self.content,
            popularity: self.popularity
        )
    }
}

/// What a score is the sum of.
struct ScoreComponents {
    var collaborative: Float
    var content: Float
    var popularity: Float

    var sum: Float { self.collaborative + self.content + self.popularity }

    /// The same times a factor. A score below 0 stays: to multiply it would turn what a boost says around.
    func boosted(by factor: Float) -> ScoreComponents {
        guard factor != 1, self.sum > 0 else { return self }
        return ScoreComponents(
            collaborative: self.collaborative * factor,
            content: self.content * factor,
            popularity: self.popularity * factor
        )
    }
}

/// The buffers of the final stage, kept from slate to slate. Serves one caller at a time.
package final class SlateWorkspace {
    /// What was chosen last, in rank order.
    package private(set) var places: [SlatePlace] = []
    /// Whether what the slate was chosen from is written down.
    var isTracing: Bool
    /// Of the last slate.
    private(set) var trace: SlateTrace?
    private var allowed: [Int] = []
    private var chosen: [Int] = []
    private var diversity = Diversity(maximumPerWindow: 0, window: 0)

    package init() {
        self.isTracing = false
    }

    init(isTracing: Bool) {
        self.isTracing = isTracing
    }

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

    /// Writes down what a slate was chosen from, where that is asked for.
    @inline(__always)
    func trace(_ make: () -> SlateTrace) {
        if self.isTracing { self.trace = make() }
    }

    func takeTrace() -> SlateTrace? {
        defer { self.trace = nil }
        return self.trace
    }

    func put(_ allowed: [Int], _ diversity: Diversity, _ chosen: [Int], _ places: [SlatePlace]) {
        self.allowed = allowed
        self.diversity = diversity
        self.chosen = chosen
        self.places = places
    }
}

import RecommendationCore
import RecommendationEngine

/// What the final stage had before it when it chose a slate, in numbers, and what it chose.
struct SlateTrace: Sendable {
    struct Candidate: Sendable {
        let item: Item.Number
        let standing: Decision.Candidate.Standing
        let score: Float
        let components: ScoreComponents
        var factor: Float = 1
        /// As diversity takes it.
        var category = Diversity.noCategory
        /// Whether caps do not count it.
        var isFree = false
        var seed: Item.Number?
        var removedBy: ItemExplanation.Removal?
    }

    var rules: Decision.Rules
    /// What stood on earlier pages, with the categories they count under.
    var earlier: [(item: Item.Number, category: UInt32)] = []
    var candidates: [Candidate]
    var places: [SlatePlace]
}

/// The pool of a slate as it was chosen from.
struct TracedChoice {
    let limit: Int
    /// All that were looked at, in order.
    let order: [Int]
    /// Those of them that no rule removed.
    let admitted: [Int]
    /// As many as were tried out, also those that have a place by the policy.
    let tried: [Int]
    let pins: [(item: Item.Number, place: Int)]
    let excludesSeen: Bool
    let isBoosted: Bool
    /// What was gone by: there may have been no time for the policy's.
    let marginalRelevance: Float?
}

extension SlateTrace {
    /// Of a pool.
    init(_ made: TracedChoice, of pool: PoolView, _ policy: PolicyRules, _ admission: Admission, _ places: [SlatePlace])
    {
        self.init(
            rules: Decision.Rules(
                policy,
                limit: made.limit,
                isBoosted: made.isBoosted,
                tried: made.tried.count,
                excludesSeen: made.excludesSeen
            ),
            candidates: [],
            places: places
        )
        self.rules.marginalRelevance = made.marginalRelevance
        func candidate(_ index: Int, _ standing: Decision.Candidate.Standing) -> Candidate {
            let (item, seed) = (pool.item(index), pool.seed(index))
            let (collaborative, content, popularity) = pool.components(index)
            let components = ScoreComponents(
                collaborative: collaborative,
                content: content,
                popularity: popularity
            )
            return Candidate(
                item: item,
                standing: standing,
                score: components.sum,
                components: components,
                factor: made.isBoosted ? admission.factor(item) : 1,
                category: admission.category(of: item),
                seed: seed.flatMap { admission.mayBeNamed($0) ? $0 : nil }
            )
        }
        let triedItems = Set(made.tried.map(pool.item))
        let pinned = Set(made.pins.map(\.item))
        let admitted = Set(made.admitted)
        let had = made.excludesSeen ? Array(pool.unseenCount..<pool.unseenCount + pool.seenCount) : []
        for index in made.order + had {
            let item = pool.item(index)
            guard !triedItems.contains(item), !pinned.contains(item) else { continue }
            var candidate = candidate(index, .scored)
            if !admitted.contains(index) { candidate.removedBy = admission.removal(of: item) ?? .seen }
            self.candidates.append(candidate)
        }
        for (number, index) in made.tried.enumerated() where !pinned.contains(pool.item(index)) {
            self.candidates.append(candidate(index, .tried(number: number)))
        }
        for pin in made.pins {
            // Of one that is tried out and nothing else, the place says no score.
            let index = (0..<pool.unseenCount + pool.seenCount).first { pool.item($0) == pin.item }
            var known =
                index.map { candidate($0, .pinned(place: pin.place)) } ?? Candidate(pinned: pin.item, at: pin.place)
            known.seed = nil
            self.candidates.append(known)
        }
    }
}

extension SlateTrace.Candidate {
    /// One that nothing is known of but that the policy gives it a place.
    init(pinned item: Item.Number, at place: Int) {
        self.init(
            item: item,
            standing: .pinned(place: place),
            score: 0,
            components: ScoreComponents(collaborative: 0, content: 0, popularity: 0)
        )
    }

    /// One of a list.
    init(_ ranked: RankedItem, factor: Float, category: UInt32, removedBy: ItemExplanation.Removal?) {
        self.init(
            item: ranked.item,
            standing: .scored,
            score: ranked.score,
            components: ScoreComponents(
                collaborative: ranked.collaborative,
                content: ranked.content,
                popularity: ranked.popularity
            ),
            factor: factor,
            category: category,
            removedBy: removedBy
        )
    }
}

extension Decision.Rules {
    /// Those of a policy.
    init(_ rules: PolicyRules, limit: Int, isBoosted: Bool, tried: Int, excludesSeen: Bool) {
        let policy = rules.compiled.policy
        self.init(
            limit: limit,
            categoryCap: Policy.DiversityCap(maximum: policy.maximumPerWindow, window: policy.window),
            creatorCap: policy.creatorCap,
            marginalRelevance: policy.marginalRelevance.map(Float.init),
            isBoosted: isBoosted,
            tried: tried,
            excludesSeen: excludesSeen
        )
    }
}

package import RecommendationCore

/// Chooses a slate under caps of categories and of creators, by score or by maximal marginal relevance.
///
/// Each rank takes the best candidate that both caps allow there: without ``lambda`` the first in order, with it the one of the
/// largest `lambda × relevance − (1 − lambda) × likeness`, where likeness is the largest to anything chosen before (Carbonell
/// and Goldstein, SIGIR 1998). Where the caps allow nobody, the slate ends, short.
///
/// ``Diversity`` does the same for one cap of categories alone, without a look at what waits.
package struct DiverseChoice {
    /// What is known of a candidate.
    package struct Candidate {
        /// ``Diversity/noCategory``: none, and it falls under no cap.
        package let category: UInt32
        /// The same of its creator.
        package let creator: UInt32
        /// In order, the best is largest.
        package let score: Float
        /// What makes it like others, in order of number; it is looked at with ``lambda`` alone.
        package let features: [UInt64]

        package init(category: UInt32, creator: UInt32, score: Float, features: [UInt64] = []) {
            self.category = category
            self.creator = creator
            self.score = score
            self.features = features
        }
    }

    package let category: Policy.DiversityCap?
    package let creator: Policy.DiversityCap?
    /// How much relevance counts against likeness, 0 to 1; nil: the order is that of the scores.
    package let lambda: Float?

    package init(category: Policy.DiversityCap?, creator: Policy.DiversityCap?, lambda: Float?) {
        self.category = category
        self.creator = creator
        self.lambda = lambda
    }

    /// Chooses at most `limit` of some candidates, best first.
    ///
    /// - Parameters:
    ///   - earlier: What stands before them and counts towards the caps, in rank order; without ``lambda`` alone.
    ///   - chosen: Takes the places of the chosen candidates, in rank order; what was in it is removed.
    /// - Returns: How many candidates were passed over for a cap and did not make it after all.
    package func choose(
        _ limit: Int,
        of candidates: [Candidate],
        after earlier: [Candidate] = [],
        into chosen: inout [Int]
    ) -> Int {
        chosen.removeAll(keepingCapacity: true)
        if let lambda { return self.byMarginalRelevance(lambda, limit, candidates, &chosen) }
        var categories = Window(self.category, after: earlier.map(\.category))
        var creators = Window(self.creator, after: earlier.map(\.creator))
        var waiting: [Int] = []
        var next = 0
        // Whether somebody may be let in whom the last rank did not let in.
        var mayLetIn = false
        while chosen.count < limit {
            let (leftCategory, leftCreator) = (categories.advance(), creators.advance())
            var place: Int?
            var isAnother = false
            if mayLetIn || leftCategory != Diversity.noCategory || leftCreator != Diversity.noCategory {
                for (position, candidate) in waiting.enumerated() {
                    let known = candidates[candidate]
                    guard mayLetIn || known.category == leftCategory || known.creator == leftCreator,
                        categories.allows(known.category), creators.allows(known.creator)
                    else { continue }
                    if place != nil {
                        isAnother = true
                        break
                    }
                    place = position
                }
            }
            mayLetIn = isAnother
            var taken = place.map { waiting.remove(at: $0) }
            while taken == nil, next < candidates.count {
                let known = candidates[next]
                if categories.allows(known.category), creators.allows(known.creator) {
                    taken = next
                } else {
                    waiting.append(next)
                }
                next += 1
            }
            guard let taken else { break }
            chosen.append(taken)
            categories.place(candidates[taken].category)
            creators.place(candidates[taken].creator)
        }
        return waiting.count
    }

    private func byMarginalRelevance(
        _ lambda: Float,
        _ limit: Int,
        _ candidates: [Candidate],
        _ chosen: inout [Int]
    ) -> Int {
        let relevances = Self.relevances(candidates)
        var likeness = [Float](repeating: 0, count: candidates.count)
        var isChosen = [Bool](repeating: false, count: candidates.count)
        var isPassedOver = isChosen
        var categories = Window(self.category)
        var creators = Window(self.creator)
        while chosen.count < limit {
            _ = (categories.advance(), creators.advance())
            var best: (place: Int, value: Float)?
            var refused: [(place: Int, value: Float)] = []
            for place in candidates.indices where !isChosen[place] {
                let value = lambda * relevances[place] - (1 - lambda) * likeness[place]
                if let best, value <= best.value { continue }
                if categories.allows(candidates[place].category), creators.allows(candidates[place].creator) {
                    best = (place, value)
                } else {
                    refused.append((place, value))
                }
            }
            guard let best else {
                for place in candidates.indices where !isChosen[place] { isPassedOver[place] = true }
                break
            }
            for refused in refused where refused.value >= best.value { isPassedOver[refused.place] = true }
            isChosen[best.place] = true
            chosen.append(best.place)
            let taken = candidates[best.place]
            categories.place(taken.category)
            creators.place(taken.creator)
            for place in candidates.indices where !isChosen[place] {
                likeness[place] = max(likeness[place], Self.likeness(taken.features, candidates[place].features))
            }
        }
        return candidates.indices.count { isPassedOver[$0] && !isChosen[$0] }
    }

    /// Scores from 0 for the least to 1 for the largest; where they are all the same, 1.
    private static func relevances(_ candidates: [Candidate]) -> [Float] {
        let scores = candidates.map(\.score)
        guard let least = scores.min(), let largest = scores.max(), largest > least else {
            return scores.map { _ in 1 }
        }
        return scores.map { ($0 - least) / (largest - least) }
    }

    /// Jaccard's, of two sorted sets; 0 where both are empty: nothing is known of them.
    package static func likeness(_ a: [UInt64], _ b: [UInt64]) -> Float {
        var (left, right, shared) = (0, 0, 0)
        while left < a.count, right < b.count {
            if a[left] == b[right] {
                shared += 1
                left += 1
                right += 1
            } else if a[left] < b[right] {
                left += 1
            } else {
                right += 1
            }
        }
        return shared == 0 ? 0 : Float(shared) / Float(a.count + b.count - shared)
    }

    /// The last ranks, and how often each kind is in them.
    private struct Window {
        private let cap: Policy.DiversityCap?
        private var placed: [UInt32] = []
        private var counts: [UInt32: Int] = [:]

        init(_ cap: Policy.DiversityCap?, after earlier: [UInt32] = []) {
            // A cap that a window cannot break is none.
            self.cap = cap.flatMap { $0.maximum > 0 && $0.maximum < $0.window ? $0 : nil }
            for kind in earlier {
                _ = self.advance()
                self.place(kind)
            }
        }

        /// Goes on to the next rank; the kind that leaves the window.
        mutating func advance() -> UInt32 {
            guard let cap, self.placed.count >= cap.window else { return Diversity.noCategory }
            let kind = self.placed[self.placed.count - cap.window]
            if kind != Diversity.noCategory { self.counts[kind, default: 1] -= 1 }
            return kind
        }

        func allows(_ kind: UInt32) -> Bool {
            guard let cap, kind != Diversity.noCategory else { return true }
            return self.counts[kind, default: 0] < cap.maximum
        }

        mutating func place(_ kind: UInt32) {
            guard self.cap != nil else { return }
            self.placed.append(kind)
            if kind != Diversity.noCategory { self.counts[kind, default: 0] += 1 }
        }
    }
}

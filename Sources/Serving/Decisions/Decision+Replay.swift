import RecommendationCore
import RecommendationEngine

extension Decision {
    /// The order that the rules make of the candidates, by the code that serves.
    ///
    /// No cap of categories alone is told from others here: one choice does for all, as it gives the same.
    package func replayed() -> [Place] {
        let admitted = self.candidates.indices.filter { self.candidates[$0].removedBy == nil }
        var scored = admitted.filter { self.candidates[$0].standing == .scored }
        if self.rules.isBoosted {
            scored = Arrangement.order(of: scored.map { self.relevance($0) }).map { scored[$0] }
        }
        var tried: [(number: Int, candidate: Int)] = []
        var pins: [(place: Int, candidate: Int)] = []
        for candidate in admitted {
            switch self.candidates[candidate].standing {
            case .scored: break
            case .tried(let number): tried.append((number, candidate))
            case .pinned(let place): pins.append((place, candidate))
            }
        }
        if self.rules.tried > 0 {
            Arrangement.insert(tried, of: self.rules.tried, into: &scored, limit: self.rules.limit)
        }
        var kinds = Kinds()
        let earlier = self.earlier.map { kinds.candidate($0.category, $0.creator, score: 0, []) }
        let choices = scored.map { candidate in
            let known = self.candidates[candidate]
            return kinds.candidate(known.category, known.creator, score: self.relevance(candidate), known.features)
        }
        let choice = DiverseChoice(
            category: self.rules.categoryCap,
            creator: self.rules.creatorCap,
            lambda: self.rules.marginalRelevance
        )
        var chosen: [Int] = []
        _ = choice.choose(max(0, self.rules.limit - pins.count), of: choices, after: earlier, into: &chosen)
        var order = chosen.map { scored[$0] }
        for pin in pins { order.insert(pin.candidate, at: min(pin.place, order.count)) }
        return order.map { Place(item: self.candidates[$0].item, score: self.score($0)) }
    }

    /// What a candidate is compared by.
    private func relevance(_ index: Int) -> Float {
        let candidate = self.candidates[index]
        guard self.rules.isBoosted else { return candidate.score }
        return ScoreComponents(
            collaborative: candidate.collaborative,
            content: candidate.content,
            popularity: candidate.popularity
        ).boosted(by: candidate.factor).sum
    }

    /// What its place says: what is tried out is not there by its score, and its score is not boosted.
    private func score(_ index: Int) -> Float {
        if case .tried = self.candidates[index].standing { return self.candidates[index].score }
        return self.relevance(index)
    }

    /// Numbers for names.
    private struct Kinds {
        private var categories: [ItemCategory.ID: UInt32] = [:]
        /// Names are compared by bytes.
        private var creators: [[UInt8]: UInt32] = [:]

        mutating func candidate(
            _ category: ItemCategory.ID?,
            _ creator: String?,
            score: Float,
            _ features: [UInt64]
        ) -> DiverseChoice.Candidate {
            DiverseChoice.Candidate(
                category: Self.number(category, &self.categories),
                creator: Self.number(creator.map { Array($0.utf8) }, &self.creators),
                score: score,
                features: features
            )
        }

        private static func number<Name: Hashable>(_ name: Name?, _ known: inout [Name: UInt32]) -> UInt32 {
            guard let name else { return Diversity.noCategory }
            if let number = known[name] { return number }
            let number = UInt32(known.count)
            known[name] = number
            return number
        }
    }
}

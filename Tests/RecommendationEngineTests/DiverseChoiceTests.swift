import RecommendationCore
import RecommendationEngine
import Testing

@Suite("Diversity of categories and creators")
struct DiverseChoiceTests {
    private typealias Cap = Policy.DiversityCap
    private typealias Candidate = DiverseChoice.Candidate

    /// A slate told without windows that move: each rank looks at all ranks before it, and at all candidates.
    private static func expected(
        _ limit: Int,
        _ candidates: [Candidate],
        _ choice: DiverseChoice
    ) -> [Int] {
        let scores = candidates.map(\.score)
        let (least, largest) = (scores.min() ?? 0, scores.max() ?? 0)
        var chosen: [Int] = []
        func allows(_ kind: UInt32, _ cap: Cap?, _ of: (Candidate) -> UInt32) -> Bool {
            guard let cap, cap.maximum > 0, kind != Diversity.noCategory else { return true }
            return chosen.suffix(cap.window - 1).count { of(candidates[$0]) == kind } < cap.maximum
        }
        while chosen.count < limit {
            let allowed = candidates.indices.filter { place in
                !chosen.contains(place) && allows(candidates[place].category, choice.category, \.category)
                    && allows(candidates[place].creator, choice.creator, \.creator)
            }
            func value(_ place: Int) -> Float {
                guard let lambda = choice.lambda else { return -Float(place) }
                let relevance = largest > least ? (scores[place] - least) / (largest - least) : 1
                let likeness = chosen.map { other -> Float in
                    let (a, b) = (Set(candidates[place].features), Set(candidates[other].features))
                    let union = a.union(b).count
                    return union == 0 ? 0 : Float(a.intersection(b).count) / Float(union)
                }
                return lambda * relevance - (1 - lambda) * (likeness.max() ?? 0)
            }
            guard let best = allowed.max(by: { (value($0), -$0) < (value($1), -$1) }) else { break }
            chosen.append(best)
        }
        return chosen
    }

    private static func breaks(_ cap: Cap?, _ kinds: [UInt32]) -> Bool {
        guard let cap, cap.maximum > 0 else { return false }
        return kinds.indices.contains { start in
            let window = kinds[start...].prefix(cap.window).filter { $0 != Diversity.noCategory }
            return Set(window).contains { kind in window.count { $0 == kind } > cap.maximum }
        }
    }

    @Test(
        "no cap is ever broken, and every rank has the best candidate that the caps allow",
        arguments: 0..<400
    )
    func property(seed: Int) {
        var generator = SeededGenerator(UInt64(seed))
        func cap(_ generator: inout SeededGenerator) -> Cap? {
            guard Int.random(in: 0..<5, using: &generator) > 0 else { return nil }
            let window = Int.random(in: 1...12, using: &generator)
            return Cap(maximum: Int.random(in: 0...window, using: &generator), window: window)
        }
        func kind(_ count: UInt32, _ generator: inout SeededGenerator) -> UInt32 {
            Int.random(in: 0..<8, using: &generator) == 0
                ? Diversity.noCategory : UInt32.random(in: 0..<count, using: &generator)
        }
        let (categories, creators) = (
            UInt32.random(in: 1...8, using: &generator), UInt32.random(in: 1...12, using: &generator)
        )
        var score: Float = 10
        let candidates = (0..<Int.random(in: 0...90, using: &generator)).map { _ in
            score -= Float.random(in: 0...1, using: &generator)
            let (category, creator) = (kind(categories, &generator), kind(creators, &generator))
            let features = [UInt64(category), 1 << 32 | UInt64(creator)].filter { $0 & 0xFFFF_FFFF != 0xFFFF_FFFF }
            return Candidate(category: category, creator: creator, score: score, features: features)
        }
        let choice = DiverseChoice(
            category: cap(&generator),
            creator: cap(&generator),
            lambda: Bool.random(using: &generator) ? nil : Float.random(in: 0...1, using: &generator)
        )
        let limit = Int.random(in: 0...60, using: &generator)
        var chosen = [99]
        let passedOver = choice.choose(limit, of: candidates, into: &chosen)
        #expect(Set(chosen).count == chosen.count && chosen.count <= limit)
        #expect(!Self.breaks(choice.category, chosen.map { candidates[$0].category }))
        #expect(!Self.breaks(choice.creator, chosen.map { candidates[$0].creator }))
        #expect((0...candidates.count - chosen.count).contains(passedOver))
        #expect(chosen == Self.expected(limit, candidates, choice))
        // Short only where the caps, or the candidates, allow no more.
        if chosen.count < limit { #expect(passedOver == candidates.count - chosen.count) }
    }

    @Test("without likeness to count, marginal relevance is the order of the scores", arguments: [1, 0.5])
    func relevanceAlone(_ lambda: Float) {
        let candidates = (0..<20).map { number in
            Candidate(category: UInt32(number), creator: 0, score: 3 - Float(number), features: [UInt64(number)])
        }
        var chosen: [Int] = []
        let choice = DiverseChoice(category: nil, creator: nil, lambda: lambda)
        #expect(choice.choose(10, of: candidates, into: &chosen) == 0)
        #expect(chosen == Array(0..<10))
    }

    @Test("of what is nearly as good, what is less like the first comes before it")
    func marginalRelevance() {
        func candidate(_ score: Float, _ features: UInt64...) -> Candidate {
            Candidate(category: 0, creator: 0, score: score, features: features)
        }
        let candidates = [candidate(1, 1, 2), candidate(0.9, 1, 2), candidate(0.8, 3), candidate(0, 4)]
        var chosen: [Int] = []
        _ = DiverseChoice(category: nil, creator: nil, lambda: 0.7).choose(4, of: candidates, into: &chosen)
        // 0.7 × 0.9 − 0.3 × 1 = 0.33, below 0.7 × 0.8 = 0.56.
        #expect(chosen == [0, 2, 1, 3])
        _ = DiverseChoice(category: nil, creator: nil, lambda: 1).choose(4, of: candidates, into: &chosen)
        #expect(chosen == [0, 1, 2, 3])
        #expect(DiverseChoice.likeness([1, 2], [2, 3]) == 1 / 3 && DiverseChoice.likeness([], []) == 0)
    }
}

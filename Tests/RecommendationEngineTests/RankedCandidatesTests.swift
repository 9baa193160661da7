import RecommendationCore
import Testing

@testable import RecommendationEngine

@Suite("Ranked candidates")
struct RankedCandidatesTests {
    @Test("the order is that of comparing, whatever the scores", arguments: 0..<200)
    func order(seed: Int) {
        var generator = SeededGenerator(UInt64(seed))
        let count = Int.random(in: 0...600, using: &generator)
        // Of one size, of many, equal ones, crowded at one place, one score alone.
        let scores = (0..<count).map { index -> Float in
            switch seed % 5 {
            case 0: Float.random(in: -1...1, using: &generator)
            case 1: Float(sign: .minus, exponent: Int.random(in: -120...120, using: &generator), significand: 1.5)
            case 2: Float(Int.random(in: -1...2, using: &generator))
            case 3: index == 0 ? 1e30 : Float.random(in: 0...1, using: &generator)
            default: 0.5
            }
        }
        let candidates = (0..<UInt32(count)).shuffled(using: &generator).map {
            CandidatePool.Candidate(item: $0, collaborative: 0, content: 0, popularity: 0, seed: 0)
        }
        var ranked = RankedCandidates(candidates, scores: scores)
        ranked.sort()
        let expected = zip(candidates, scores).sorted { ($0.1, $1.0.item) > ($1.1, $0.0.item) }
        #expect(ranked.candidates == expected.map(\.0))
    }
}

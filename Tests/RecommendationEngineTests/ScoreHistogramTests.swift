import Testing

@testable import RecommendationEngine

@Suite("Score histogram")
struct ScoreHistogramTests {
    @Test("as many scores as asked for reach the bound, whatever the scores", arguments: 0..<200)
    func bound(seed: Int) {
        var generator = SeededGenerator(UInt64(seed))
        let count = Int.random(in: 1...600, using: &generator)
        // Of one size, of many, of both signs, and many that are equal.
        let scores = (0..<count).map { _ -> Float in
            switch seed % 4 {
            case 0: Float.random(in: 0...1, using: &generator)
            case 1: Float(sign: .plus, exponent: Int.random(in: -120...120, using: &generator), significand: 1.5)
            case 2: Float.random(in: -1...1, using: &generator)
            default: Float(Int.random(in: -1...2, using: &generator))
            }
        }
        var histogram = ScoreHistogram()
        for wanted in [1, count / 3 + 1, count] {
            // Room beyond the first ones holds scores of earlier calls.
            let bound = histogram.bound(reachedBy: wanted, ofFirst: count, scores + [.infinity, 7])
            #expect(scores.count { $0 >= bound } >= wanted)
        }
        #expect(histogram.bound(reachedBy: count + 1, ofFirst: count, scores) == -.infinity)
    }

    @Test("of scores of one size the bound keeps back most")
    func isTight() {
        let scores = (0..<2_000).map { Float($0 + 1) / 2_000 }
        var histogram = ScoreHistogram()
        let bound = histogram.bound(reachedBy: 200, ofFirst: scores.count, scores)
        #expect(scores.count { $0 >= bound } < 220)
    }
}

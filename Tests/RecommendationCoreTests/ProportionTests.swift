import RecommendationCore
import Testing

@Suite("Observed shares")
struct ProportionTests {
    /// By the formula, computed elsewhere, to seven digits.
    @Test(
        "the interval is Wilson's",
        arguments: [
            (0, 10, 0.0, 0.2775328), (1, 10, 0.0178762, 0.4041500), (5, 10, 0.2365931, 0.7634069),
            (10, 10, 0.7224672, 1.0), (30, 1_000, 0.0210937, 0.0425034),
        ]
    )
    func wilson(_ successes: Int, _ trials: Int, _ lower: Double, _ upper: Double) {
        let interval = Proportion(successes, of: trials).interval()
        #expect(abs(interval.lowerBound - lower) < 1e-6 && abs(interval.upperBound - upper) < 1e-6, "\(interval)")
    }

    @Test("nothing tried says nothing")
    func none() {
        #expect(Proportion(0, of: 0).rate == nil)
        #expect(Proportion(0, of: 0).interval() == 0...1)
    }

    @Test("the interval holds the share, and shrinks with what was tried", arguments: 0...40)
    func order(_ successes: Int) {
        var last = 1.0
        for factor in [1, 10, 100, 1_000] {
            let share = Proportion(successes * factor, of: 40 * factor)
            let interval = share.interval()
            #expect(interval.contains(share.rate!))
            let width = interval.upperBound - interval.lowerBound
            #expect(width < last)
            last = width
        }
    }
}

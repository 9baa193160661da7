import Foundation
import RecommendationCore
import Testing

@testable import RecommendationEngine

@Suite("Statistics of experiments")
struct ExperimentStatisticsTests {
    @Test(
        "quantiles of the normal distribution",
        arguments: [
            (0.975, 1.959963984540054), (0.8, 0.8416212335729143), (0.5, 0), (0.025, -1.959963984540054),
            (1e-10, -6.361340902404056), (0.999, 3.090232306167813),
        ]
    )
    func quantile(_ share: Double, _ value: Double) {
        #expect(abs(StandardNormal.quantile(share) - value) < 1e-9)
        #expect(abs(StandardNormal.below(value) - share) < 1e-12)
    }

    @Test("as many users as textbooks ask for")
    func sampleSize() {
        #expect(SampleSize.perVariant(baseline: 0.05, effect: 0.1, alpha: 0.05, power: 0.8) == 31_235)
        // Half the difference takes about four times as many.
        let half = SampleSize.perVariant(baseline: 0.05, effect: 0.05, alpha: 0.05, power: 0.8)
        #expect((3.8...4.2).contains(Double(half) / 31_235))
    }

    @Test(
        "the chance of a ratio, by what it is for one and for two degrees of freedom",
        arguments: [0.01, 0.5, 3.9, 12, 80]
    )
    func chiSquared(_ statistic: Double) {
        #expect(abs(SampleRatio.gammaAbove(0.5, statistic / 2) - erfc((statistic / 2).squareRoot())) < 1e-12)
        #expect(abs(SampleRatio.gammaAbove(1, statistic / 2) - exp(-statistic / 2)) < 1e-12)
    }

    @Test("counts that are not those of the weights raise the alarm, others do not")
    func ratio() {
        #expect(abs(SampleRatio.chance(of: [5_000, 5_200], weights: [50, 50]) - 0.0477) < 1e-4)
        #expect(SampleRatio.chance(of: [50_000, 51_200], weights: [1, 1]) < SampleRatio.alarm)
        #expect(SampleRatio.chance(of: [2_000, 8_000], weights: [20, 80]) == 1)
        #expect(SampleRatio.chance(of: [0, 0], weights: [50, 50]) == 1)
        #expect(SampleRatio.chance(of: [10, 99], weights: [50, 0]) == 1)
    }

    /// Evan Miller's closed form of P(B > A) for whole parameters (evanmiller.org, 2015).
    private static func closedForm(_ a: Proportion, _ b: Proportion) -> Double {
        func logBeta(_ x: Double, _ y: Double) -> Double { lgamma(x) + lgamma(y) - lgamma(x + y) }
        let (alphaA, betaA) = (Double(a.successes) + 1, Double(a.trials - a.successes) + 1)
        let betaB = Double(b.trials - b.successes) + 1
        return (0...b.successes).reduce(0.0) { sum, i in
            let i = Double(i)
            return sum
                + exp(
                    logBeta(alphaA + i, betaA + betaB) - log(betaB + i) - logBeta(1 + i, betaB)
                        - logBeta(alphaA, betaA)
                )
        }
    }

    @Test(
        "the probability to be best, by the closed form for two",
        arguments: [(0, 0, 0, 0), (1, 10, 3, 10), (50, 1_000, 65, 1_000), (0, 500, 3, 500), (900, 1_000, 880, 1_000)]
    )
    func best(_ a: Int, _ n: Int, _ b: Int, _ m: Int) {
        let pair = [Proportion(a, of: n), Proportion(b, of: m)]
        let probabilities = BestVariant.probabilities(pair)
        #expect(abs(probabilities[1] - Self.closedForm(pair[0], pair[1])) < 1e-3, "\(probabilities)")
        #expect(abs(probabilities.reduce(0, +) - 1) < 1e-12)
    }

    @Test("of equal ones each is as probably the best, and of one it is sure")
    func equal() {
        for probability in BestVariant.probabilities([Proportion](repeating: Proportion(7, of: 90), count: 4)) {
            #expect(abs(probability - 0.25) < 1e-9)
        }
        #expect(BestVariant.probabilities([Proportion(1, of: 2)]) == [1])
    }

    private static let design = Experiment.Design(metric: .clickThrough)

    private static func findings(_ counts: [(Int, Int)], weights: [Double]? = nil) -> ExperimentFindings {
        ExperimentFindings(
            Self.design,
            counts: counts.map { Proportion($0.0, of: $0.1) },
            weights: weights ?? counts.map { _ in 1 }
        )
    }

    @Test("no verdict before enough users were seen, however large the difference, and none where users are missing")
    func verdicts() {
        #expect(Self.findings([(0, 0), (0, 0)]).verdict == .insufficient)
        #expect(Self.findings([(1_000, 31_234), (4_000, 31_234)]).verdict == .insufficient)
        #expect(Self.findings([(1_562, 31_235), (2_000, 31_235)]).verdict == .win)
        #expect(Self.findings([(2_000, 31_235), (1_562, 31_235)]).verdict == .lose)
        #expect(Self.findings([(1_562, 31_235), (1_650, 31_235)]).verdict == .running)
        #expect(Self.findings([(10_000, 200_000), (10_010, 200_000)]).verdict == .flat)
        #expect(Self.findings([(1_562, 31_235), (2_000, 40_000)]).verdict == .invalidRatio)
        #expect(Self.findings([(1_562, 31_235), (2_500, 40_000)], weights: [31_235, 40_000]).verdict == .win)
        // Of three the best counts; what loses does not end it while another may win.
        #expect(Self.findings([(1_562, 31_235), (1_200, 31_235), (2_000, 31_235)]).verdict == .win)
        #expect(Self.findings([(1_562, 31_235), (1_200, 31_235), (1_650, 31_235)]).verdict == .running)
    }

    @Test("rates that are none or all, and shares of nothing, are numbers still")
    func ends() {
        for counts in [
            [(0, 40_000), (0, 40_000)], [(40_000, 40_000), (40_000, 40_000)], [(0, 40_000), (40_000, 40_000)],
        ] {
            let findings = Self.findings(counts)
            #expect(findings.best.allSatisfy { $0.isFinite })
            let comparison = findings.variants[1].comparison!
            #expect(comparison.pValue.isFinite && comparison.sequentialPValue.isFinite)
        }
        #expect(Self.findings([(0, 40_000), (40_000, 40_000)]).variants[1].comparison?.lift == nil)
    }

    /// How many of some chances came, by the gaps between them.
    private static func draw(_ trials: Int, _ share: Double, _ random: inout some RandomNumberGenerator) -> Int {
        var (count, at) = (0, 0)
        while true {
            let gap = log(1 - Double.random(in: 0..<1, using: &random)) / log1p(-share)
            guard gap < Double(trials - at) else { return count }
            at += Int(gap) + 1
            guard at <= trials else { return count }
            count += 1
        }
    }

    @Test("a thousand experiments without a difference, looked at every day: at most one of twenty finds one")
    func noDifference() {
        let seed: UInt64 = 20_261_127
        var random = SeededGenerator(seed)
        let runs = 1_000
        var wrong = 0
        for _ in 0..<runs {
            var counts = [Proportion(0, of: 0), Proportion(0, of: 0)]
            // Four weeks, at whose half there are enough users.
            for _ in 0..<28 {
                for index in counts.indices {
                    let users = 2_232
                    counts[index] = Proportion(
                        counts[index].successes + Self.draw(users, 0.05, &random),
                        of: counts[index].trials + users
                    )
                }
                let verdict = ExperimentFindings(Self.design, counts: counts, weights: [1, 1]).verdict
                if verdict == .win || verdict == .lose {
                    wrong += 1
                    break
                }
            }
        }
        let upper = Proportion(wrong, of: runs).interval(z: 1.6448536269514722).upperBound
        print("A/A: \(wrong) of \(runs) found a difference, at most \(upper) of all (95 %), seed \(seed)")
        #expect(upper <= 0.05, "seed \(seed)")
    }

    @Test("a difference as large as the one that is looked for is found in time by most")
    func difference() {
        var random = SeededGenerator(4)
        let found = (0..<200).count { _ in
            var counts = [Proportion(0, of: 0), Proportion(0, of: 0)]
            for _ in 0..<60 {
                for (index, share) in [0.05, 0.055].enumerated() {
                    counts[index] = Proportion(
                        counts[index].successes + Self.draw(2_232, share, &random),
                        of: counts[index].trials + 2_232
                    )
                }
                if ExperimentFindings(Self.design, counts: counts, weights: [1, 1]).verdict == .win { return true }
            }
            return false
        }
        #expect(found >= 160, "\(found) of 200")
    }

    @Test("users go to the variants that are probably the best, some to each, and none is lost")
    func thompson() {
        func weights(_ counts: [(Int, Int)], total: Int = 10_000) -> [Int] {
            VariantWeights.thompson(counts.map { Proportion($0.0, of: $0.1) }, total: total)
        }
        #expect(weights([(0, 0), (0, 0)]) == [5_000, 5_000])
        #expect(weights([(0, 0), (0, 0), (0, 0)]).reduce(0, +) == 10_000)
        let clear = weights([(50, 1_000), (90, 1_000)])
        #expect(clear.reduce(0, +) == 10_000 && clear[0] < 200 && clear[0] >= 100)
        let close = weights([(50, 1_000), (55, 1_000)])
        #expect((2_000...4_500).contains(close[0]) && close.reduce(0, +) == 10_000)
        for total in [0, 1, 3, 150, 9_999] {
            let few = weights([(1, 9), (2, 9), (3, 9)], total: total)
            #expect(few.reduce(0, +) == total && few.allSatisfy { $0 >= 0 })
        }
    }

    @Test("where users are given by what was found, the verdict is by the probability to be best")
    func bayesian() {
        func verdict(_ counts: [(Int, Int)], weights: [Double]? = nil) -> ExperimentFindings.Verdict {
            ExperimentFindings(
                Self.design,
                counts: counts.map { Proportion($0.0, of: $0.1) },
                weights: weights ?? counts.map { Double($0.1) },
                allocation: .thompson
            ).verdict
        }
        #expect(verdict([(58, 1_000), (2_000, 31_235)]) == .running)
        #expect(verdict([(50, 1_000), (90, 1_000)]) == .insufficient)
        #expect(verdict([(50, 2_000), (2_000, 31_235)]) == .win)
        #expect(verdict([(2_000, 31_235), (50, 2_000)]) == .lose)
        #expect(verdict([(50, 2_000), (2_000, 31_235)], weights: [1, 1]) == .invalidRatio)
    }
}

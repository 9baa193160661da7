package import RecommendationCore

/// What the counts of an experiment say.
package struct ExperimentFindings: Sendable, Equatable {
    /// What is to be thought of a variant.
    package enum Verdict: String, CaseIterable, Sendable {
        /// Enough users were seen, and no difference is proved or ruled out yet.
        case running
        /// Too few users were seen to say anything.
        case insufficient
        case win, lose
        /// No difference as large as the one that is looked for is likely.
        case flat
        /// Users did not come to variants as the weights say: nothing can be said.
        case invalidRatio = "invalid_srm"
    }

    package struct Variant: Sendable, Equatable {
        package let proportion: Proportion
        /// Against the first variant; nil: it is the first.
        package let comparison: VariantComparison?
    }

    /// In the order of the experiment's variants.
    package let variants: [Variant]
    /// As ``SampleRatio/chance(of:weights:)``.
    package let ratio: Double
    package let required: Int
    /// Of the variant that is furthest: one that wins, else one that does not lose, else one that loses. Where users are given by
    /// what was found so far, tests of differences say nothing, and it is by the probability to be best.
    package let verdict: Verdict

    /// How probable it is that a variant is the best, of each.
    package var best: [Double] { BestVariant.probabilities(self.variants.map(\.proportion)) }

    /// - Parameters:
    ///   - counts: Of each variant, users who were shown it, and of them those who did what is counted.
    ///   - lately: How many of the users were shown it first since the variants have their weights; nil: all.
    ///   - weights: Of the variants.
    package init(
        _ experiment: Experiment.Design,
        counts: [Proportion],
        lately: [Int]? = nil,
        weights: [Double],
        allocation: Experiment.Allocation = .fixed
    ) {
        let required = SampleSize.perVariant(
            baseline: experiment.baseline,
            effect: experiment.effect,
            alpha: experiment.alpha,
            power: experiment.power
        )
        let variants = counts.enumerated().map { index, proportion in
            Variant(
                proportion: proportion,
                comparison: index == 0
                    ? nil
                    : VariantComparison(
                        proportion,
                        control: counts[0],
                        scale: experiment.baseline * experiment.effect
                    )
            )
        }
        self.variants = variants
        self.required = required
        self.ratio = SampleRatio.chance(of: lately ?? counts.map(\.trials), weights: weights)
        guard self.ratio >= SampleRatio.alarm else {
            self.verdict = .invalidRatio
            return
        }
        guard allocation == .fixed else {
            let best = BestVariant.probabilities(counts)
            let leader = best.indices.max { best[$0] < best[$1] } ?? 0
            let isSeen = counts[leader].trials >= required
            let isSure = best[leader] >= 1 - experiment.alpha
            self.verdict = !isSeen ? .insufficient : !isSure ? .running : leader == 0 ? .lose : .win
            return
        }
        // As many chances to be wrong as variants are compared (Bonferroni).
        let alpha = experiment.alpha / Double(max(1, counts.count - 1))
        let verdicts = variants.dropFirst().map {
            Self.verdict($0, control: counts[0], experiment, alpha: alpha, required: required)
        }
        self.verdict =
            [Verdict.win, .running, .insufficient, .flat, .lose].first(where: verdicts.contains) ?? .insufficient
    }

    /// Nothing is said before as many users were seen as it takes; after that as often as one likes.
    private static func verdict(
        _ variant: Variant,
        control: Proportion,
        _ experiment: Experiment.Design,
        alpha: Double,
        required: Int
    ) -> Verdict {
        guard min(variant.proportion.trials, control.trials) >= required, let comparison = variant.comparison,
            let rate = variant.proportion.rate, let base = control.rate
        else { return .insufficient }
        if comparison.sequentialPValue < alpha { return rate > base ? .win : .lose }
        let (n, m) = (Double(variant.proportion.trials), Double(control.trials))
        let deviation = (rate * (1 - rate) / n + base * (1 - base) / m).squareRoot()
        let margin = StandardNormal.quantile(1 - experiment.alpha / 2) * deviation
        let sought = base * experiment.effect
        return abs(rate - base) + margin < sought ? .flat : .running
    }
}

package import RecommendationCore
import RecommendationEngine

/// What was counted of an experiment, and what is to be thought of it.
package struct ExperimentResults: Sendable {
    package struct Variant: Sendable {
        package let name: String
        /// Who were shown it, and of them who did what is counted.
        package let proportion: Proportion
        /// The relative difference to the first; nil: it is the first, or that has none.
        package let lift: Double?
        /// Of the two-proportion z-test, as if it were looked at once; nil: it is the first.
        package let pValue: Double?
        /// Valid however often it is looked at; nil: it is the first.
        package let sequentialPValue: Double?
        /// The probability that its rate is the highest.
        package let best: Double

        package init(
            name: String,
            proportion: Proportion,
            lift: Double? = nil,
            pValue: Double? = nil,
            sequentialPValue: Double? = nil,
            best: Double
        ) {
            self.name = name
            self.proportion = proportion
            self.lift = lift
            self.pValue = pValue
            self.sequentialPValue = sequentialPValue
            self.best = best
        }
    }

    package let experiment: Experiment
    package let variants: [Variant]
    /// Users of each variant before there is a verdict.
    package let required: Int
    /// The chance of counts as far from the weights; nil: they cannot be compared with them.
    package let ratio: Double?
    /// `running`, `insufficient`, `win`, `lose`, `flat` or `invalid_srm`.
    package let verdict: String

    package init(experiment: Experiment, variants: [Variant], required: Int, ratio: Double?, verdict: String) {
        self.experiment = experiment
        self.variants = variants
        self.required = required
        self.ratio = ratio
        self.verdict = verdict
    }

    init(_ experiment: Experiment, _ counts: [VariantCounts]) {
        let findings = ExperimentFindings(
            experiment.design,
            counts: counts.map { Proportion($0.converted, of: $0.exposed) },
            // Who came before the weights were these came by others.
            lately: experiment.isComparable ? counts.map(\.lately) : counts.map { _ in 0 },
            weights: experiment.variants.map { Double($0.weight) },
            allocation: experiment.allocation
        )
        let best = findings.best
        self.init(
            experiment: experiment,
            variants: findings.variants.enumerated().map { index, variant in
                Variant(
                    name: experiment.variants[index].name,
                    proportion: variant.proportion,
                    lift: variant.comparison?.lift,
                    pValue: variant.comparison?.pValue,
                    sequentialPValue: variant.comparison?.sequentialPValue,
                    best: best[index]
                )
            },
            required: findings.required,
            ratio: experiment.isComparable ? findings.ratio : nil,
            verdict: findings.verdict.rawValue
        )
    }
}

import Glibc
package import RecommendationCore

/// A variant against the first one, the control.
package struct VariantComparison: Sendable, Equatable {
    /// The relative difference of the rates; nil: the control has none.
    package let lift: Double?
    /// Two-sided, of the two-proportion z-test with the pooled variance, as if it were looked at once; 1: nothing is known.
    package let pValue: Double
    /// Valid however often it is looked at.
    package let sequentialPValue: Double

    /// - Parameter scale: Which differences of the rates the sequential test is made for.
    package init(_ variant: Proportion, control: Proportion, scale: Double) {
        guard let rate = variant.rate, let base = control.rate else {
            (self.lift, self.pValue, self.sequentialPValue) = (nil, 1, 1)
            return
        }
        self.lift = base > 0 ? rate / base - 1 : nil
        let (n, m) = (Double(variant.trials), Double(control.trials))
        let pooled = Double(variant.successes + control.successes) / (n + m)
        let variance = pooled * (1 - pooled) * (1 / n + 1 / m)
        self.pValue = variance > 0 ? StandardNormal.twoSided((rate - base) / variance.squareRoot()) : 1
        self.sequentialPValue = Self.sequential(rate - base, variance: variance, scale: scale)
    }

    /// The mixture sequential probability ratio test, with a normal mixture over the difference: the p-value is the inverse of the
    /// likelihood ratio, which stays below 1/α for ever with a chance of 1 − α where there is no difference (Robbins, Annals of
    /// Mathematical Statistics 1970; Johari, Koomen, Pekelis and Walsh, KDD 2017).
    ///
    /// - Parameter scale: The standard deviation of the mixture.
    private static func sequential(_ difference: Double, variance: Double, scale: Double) -> Double {
        guard variance > 0, scale > 0 else { return 1 }
        let mixed = variance + scale * scale
        let exponent = difference * difference * scale * scale / (2 * variance * mixed)
        return min(1, (mixed / variance).squareRoot() * exp(-exponent))
    }
}

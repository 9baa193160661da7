import Glibc

/// How many users of a variant it takes to see a difference of two shares.
package enum SampleSize {
    /// Users of each variant: `2 p̄ (1 − p̄) (z₁₋α⸝₂ + z₁₋β)² / δ²`, rounded up (Fleiss, Levin and Paik, Statistical Methods for
    /// Rates and Proportions, 2003; both variances at the mean of the two shares).
    ///
    /// - Parameters:
    ///   - baseline: The share of the first variant, between 0 and 1.
    ///   - effect: The relative difference that is to be seen: 0.1 is one tenth more.
    ///   - alpha: How often a difference may be seen that is none, both sides together.
    ///   - power: How often one that is there is to be seen.
    package static func perVariant(baseline: Double, effect: Double, alpha: Double, power: Double) -> Int {
        let other = min(1, baseline * (1 + effect))
        let mean = (baseline + other) / 2
        let z = StandardNormal.quantile(1 - alpha / 2) + StandardNormal.quantile(power)
        let difference = baseline - other
        return Int((2 * mean * (1 - mean) * z * z / (difference * difference)).rounded(.up))
    }
}

import Glibc

/// Whether users came to variants as they should have: what was counted against what the weights say. Where they did not, something
/// between assignment and impression loses users of one variant, and no other figure can be trusted (Fabijan et al., KDD 2019).
package enum SampleRatio {
    /// Below this chance the counts are not those of the weights.
    package static let alarm = 0.001

    /// The chance of counts at least as far from the weights, by Pearson's chi-squared test; 1 where nothing was counted.
    ///
    /// - Parameter weights: One for each count, none below 0; what has none is not compared.
    package static func chance(of counts: [Int], weights: [Double]) -> Double {
        let compared = zip(counts, weights).filter { $0.1 > 0 }
        let total = Double(compared.reduce(0) { $0 + $1.0 })
        let sum = compared.reduce(0) { $0 + $1.1 }
        guard compared.count > 1, total > 0 else { return 1 }
        let statistic = compared.reduce(0.0) { statistic, pair in
            let expected = total * pair.1 / sum
            let difference = Double(pair.0) - expected
            return statistic + difference * difference / expected
        }
        return Self.gammaAbove(Double(compared.count - 1) / 2, statistic / 2)
    }

    /// The regularised upper incomplete gamma function: a series below the mean, Lentz's continued fraction above (Press et al.,
    /// Numerical Recipes, 6.2).
    static func gammaAbove(_ a: Double, _ x: Double) -> Double {
        guard x > 0 else { return 1 }
        let front = exp(-x + a * log(x) - lgamma(a))
        if x < a + 1 {
            var (term, sum, n) = (1 / a, 1 / a, a)
            for _ in 0..<1_000 where abs(term) > abs(sum) * 1e-16 {
                n += 1
                term *= x / n
                sum += term
            }
            return max(0, 1 - sum * front)
        }
        let tiny = 1e-300
        var b = x + 1 - a
        var c = 1 / tiny
        var d = 1 / b
        var fraction = d
        for i in 1..<1_000 {
            let n = -Double(i) * (Double(i) - a)
            b += 2
            d = n * d + b
            if abs(d) < tiny { d = tiny }
            c = b + n / c
            if abs(c) < tiny { c = tiny }
            d = 1 / d
            let change = d * c
            fraction *= change
            if abs(change - 1) < 1e-15 { break }
        }
        return min(1, max(0, front * fraction))
    }
}

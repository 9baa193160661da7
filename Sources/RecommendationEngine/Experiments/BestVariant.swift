import Glibc
package import RecommendationCore

/// How probable it is that a variant has the highest rate, by Bayes' rule from a uniform prior: the posterior of each is a Beta
/// distribution, and the product of the others' distribution functions is integrated over it on a grid.
package enum BestVariant {
    private static let points = 4_000

    /// One probability a variant, in their order; they add to 1.
    package static func probabilities(_ variants: [Proportion]) -> [Double] {
        guard variants.count > 1 else { return variants.map { _ in 1 } }
        let (lower, upper) = Self.range(variants)
        let step = (upper - lower) / Double(Self.points)
        let densities = variants.map { Self.densities($0, lower: lower, step: step) }
        let below = densities.map { density in
            var sum = 0.0
            return density.map { mass in
                defer { sum += mass }
                // Half of what lies at the point itself.
                return sum + mass / 2
            }
        }
        var probabilities = variants.indices.map { variant in
            (0..<Self.points).reduce(0.0) { sum, point in
                let others = variants.indices.reduce(1.0) { $1 == variant ? $0 : $0 * below[$1][point] }
                return sum + densities[variant][point] * others
            }
        }
        let total = probabilities.reduce(0, +)
        for index in probabilities.indices { probabilities[index] /= total }
        return probabilities
    }

    /// Where all of any posterior that counts lies.
    private static func range(_ variants: [Proportion]) -> (Double, Double) {
        var (lower, upper) = (1.0, 0.0)
        for variant in variants {
            let (a, b) = Self.shape(variant)
            let mean = a / (a + b)
            let deviation = (a * b / ((a + b) * (a + b) * (a + b + 1))).squareRoot()
            lower = min(lower, mean - 10 * deviation)
            upper = max(upper, mean + 10 * deviation)
        }
        return (max(0, lower), min(1, upper))
    }

    private static func shape(_ variant: Proportion) -> (Double, Double) {
        (Double(variant.successes) + 1, Double(variant.trials - variant.successes) + 1)
    }

    /// The posterior at the middle of each step; they add to 1.
    private static func densities(_ variant: Proportion, lower: Double, step: Double) -> [Double] {
        let (a, b) = Self.shape(variant)
        let logs = (0..<Self.points).map { point in
            let share = lower + (Double(point) + 0.5) * step
            return (a - 1) * log(share) + (b - 1) * log1p(-share)
        }
        let largest = logs.max() ?? 0
        let masses = logs.map { exp($0 - largest) }
        let total = masses.reduce(0, +)
        return masses.map { $0 / total }
    }
}

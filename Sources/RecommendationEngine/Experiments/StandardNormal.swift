import Glibc

/// The standard normal distribution.
enum StandardNormal {
    /// The share below a value.
    static func below(_ value: Double) -> Double { 0.5 * erfc(-value / 2.0.squareRoot()) }

    /// The chance of a value as far from 0, on either side.
    static func twoSided(_ value: Double) -> Double { min(1, erfc(abs(value) / 2.0.squareRoot())) }

    /// The value that a share of all lie below: Newton's method from the logistic approximation, to the last digits.
    ///
    /// - Parameter share: Between 0 and 1, both excluded.
    static func quantile(_ share: Double) -> Double {
        guard share != 0.5 else { return 0 }
        // In the lower half, where differences of small shares are exact.
        let (tail, sign) = share < 0.5 ? (share, -1.0) : (1 - share, 1.0)
        var value = log((1 - tail) / tail) / 1.702
        for _ in 0..<50 {
            let density = exp(-value * value / 2) / (2 * Double.pi).squareRoot()
            let step = (0.5 * erfc(value / 2.0.squareRoot()) - tail) / density
            // Far out the curve is flat: no step goes further than a whole.
            value += max(-1, min(1, step))
            if abs(step) < 1e-13 { break }
        }
        return sign * value
    }
}

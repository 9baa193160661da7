/// A share that was observed: so many of so many.
public struct Proportion: Sendable, Equatable {
    /// How many.
    public let successes: Int
    /// Of how many.
    public let trials: Int

    /// So many of so many.
    public init(_ successes: Int, of trials: Int) {
        self.successes = successes
        self.trials = trials
    }

    /// The share; nil: nothing was tried.
    public var rate: Double? { self.trials > 0 ? Double(self.successes) / Double(self.trials) : nil }

    /// The score interval, which holds for few trials and small shares too (Wilson, JASA 1927).
    ///
    /// - Parameter z: The standard normal quantile; 1.96: of 95 %.
    /// - Returns: 0 to 1 where nothing was tried.
    public func interval(z: Double = 1.959_963_984_540_054) -> ClosedRange<Double> {
        guard let rate else { return 0...1 }
        let n = Double(self.trials)
        let center = rate + z * z / (2 * n)
        let spread = z * (rate * (1 - rate) / n + z * z / (4 * n * n)).squareRoot()
        let scale = 1 + z * z / n
        // At the ends it is the observed share to the last digit, which rounding may step over.
        let lower = self.successes == 0 ? 0 : max(0, (center - spread) / scale)
        let upper = self.successes >= self.trials ? 1 : min(1, (center + spread) / scale)
        return min(lower, rate)...max(upper, rate)
    }
}

/// Says whether a candidate falls too far below the active version to be put into service.
public struct ModelGuard: Sendable, Equatable {
    /// What is compared; figures that either of the two lacks are not.
    public static let metrics = ["ndcg_at_10", "recall_at_10"]
    /// How much worse is allowed, unless a setting says otherwise.
    public static let standardAllowance = 0.1

    /// How far below the active version's figure a candidate's may be, as a share of it.
    public var allowance: Double

    /// A guard that allows so much.
    public init(allowance: Double = Self.standardAllowance) {
        self.allowance = allowance
    }

    /// What comparing came to.
    public enum Finding: Sendable, Equatable {
        case passed
        /// There is nothing to compare with: no active version, or none that was measured on the candidate's slice.
        case notCompared
        case failed(ModelShortfall)
    }

    /// Compares a candidate with the active version, on the events that both were measured on when the candidate was built.
    public func finding(_ candidate: ModelVersion, active: ModelVersion.Number?) -> Finding {
        guard let active, let baseline = candidate.baseline, baseline.number == active else { return .notCompared }
        var isCompared = false
        for name in Self.metrics {
            guard let own = candidate.metrics[name], let other = baseline.metrics[name] else { continue }
            isCompared = true
            let lowest = other * (1 - self.allowance)
            guard own >= lowest else {
                return .failed(
                    ModelShortfall(
                        candidate: candidate.number,
                        active: active,
                        metric: name,
                        value: own,
                        activeValue: other,
                        allowance: self.allowance,
                        lowest: lowest
                    )
                )
            }
        }
        return isCompared ? .passed : .notCompared
    }
}

/// A figure of a candidate that is too far below the active version's.
public struct ModelShortfall: Error, Sendable, Equatable, CustomStringConvertible {
    /// The version that is not put into service.
    public var candidate: ModelVersion.Number
    /// The version that stays.
    public var active: ModelVersion.Number
    /// Name of the figure.
    public var metric: String
    /// The candidate's.
    public var value: Double
    /// The active version's, on the same events.
    public var activeValue: Double
    /// The share by which it may be lower.
    public var allowance: Double
    /// The lowest that is allowed.
    public var lowest: Double

    /// In words.
    public var description: String {
        let names = (ModelVersion.name(self.candidate), ModelVersion.name(self.active))
        let values = (Self.text(self.value), Self.text(self.activeValue), Self.text(self.lowest))
        return "\(names.0) falls too far below \(names.1), which is active: \(self.metric) is \(values.0), "
            + "of \(names.1) on the same events \(values.1); \(Self.text(self.allowance * 100)) % less is allowed, "
            + "which is \(values.2)"
    }

    /// Four decimals.
    private static func text(_ value: Double) -> String {
        let rounded = (value * 10_000).rounded() / 10_000
        return rounded == rounded.rounded() && rounded.magnitude < 1e9 ? "\(Int(rounded))" : "\(rounded)"
    }
}

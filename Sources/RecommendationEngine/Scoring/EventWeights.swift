import Glibc
package import RecommendationCore

/// What one event counts, by the code of its type; 0 for a code that is no type.
struct EventWeights: Sendable {
    /// Weights beyond it are cut, so that no sum of them overflows.
    static let bound: Float = 1_000_000

    private let byCode: [Float]

    init(_ weights: [EventType: Float]) {
        var byCode = [Float](repeating: 0, count: 256)
        for (type, weight) in weights where weight.isFinite {
            byCode[Int(type.code)] = min(max(weight, -Self.bound), Self.bound)
        }
        self.byCode = byCode
    }

    subscript(code: UInt8) -> Float { self.byCode[Int(code)] }
}

/// What a policy says of events, ready for many histories.
package struct EventTerms: Sendable {
    let weights: EventWeights
    let decay: Decay

    package init(_ policy: Policy) {
        self.init(eventWeights: policy.eventWeights, halfLifeDays: policy.halfLifeDays)
    }

    package init(eventWeights: [EventType: Float], halfLifeDays: Double) {
        self.weights = EventWeights(eventWeights)
        self.decay = Decay(halfLifeDays: halfLifeDays)
    }
}

/// The ratings of one user, against which a single one is judged.
struct RatingScale: Sendable {
    private var sum: Double = 0
    private var count: Int = 0

    mutating func add(_ value: Float) {
        guard value.isFinite else { return }
        self.sum += Double(value)
        self.count += 1
    }

    /// (value − mean) / 2 within ±1, plus 1 for a user with fewer than 3 ratings; 0 for a value that is no number.
    func factor(of value: Float) -> Float {
        guard value.isFinite, self.count > 0 else { return 0 }
        let deviation = (Double(value) - self.sum / Double(self.count)) / 2
        return Float(min(max(deviation, -1), 1)) + (self.count < 3 ? 1 : 0)
    }
}

/// Exponential decay; a half-life that is not a positive number means none.
struct Decay: Sendable {
    private let perSecond: Double

    init(halfLifeDays: Double) {
        self.perSecond = halfLifeDays > 0 && halfLifeDays.isFinite ? -1 / (halfLifeDays * 86_400) : 0
    }

    func factor(ageInSeconds age: Double) -> Double { exp2(max(age, 0) * self.perSecond) }
}

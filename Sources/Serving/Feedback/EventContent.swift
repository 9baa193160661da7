package import RecommendationCore

/// What happened, how much and when, within the bounds of every event.
package struct EventContent: Sendable, Equatable {
    package let type: EventType
    package let value: Float
    package let occurredAt: Timestamp

    /// Why something is no event.
    package struct Violation: Error, Sendable, Equatable {
        /// `unknown_type`, `out_of_range`, `required`.
        package let code: String
        /// The field of the event.
        package let field: String
        package let allowed: String
    }

    /// - Parameters:
    ///   - value: nil: 1; a rating needs one.
    ///   - occurredAt: nil: `now`.
    package init(
        type: String,
        value: Double?,
        occurredAt: Timestamp?,
        now: Timestamp
    ) throws(Violation) {
        guard let known = EventType(rawValue: type) else {
            let allowed = EventType.allCases.map(\.rawValue).joined(separator: "|")
            throw Violation(code: "unknown_type", field: "type", allowed: allowed)
        }
        let number = value ?? 1
        guard number.isFinite, abs(number) <= 1_000_000 else {
            throw Violation(code: "out_of_range", field: "value", allowed: "a number from -1000000 to 1000000")
        }
        guard known != .rating || value != nil else {
            throw Violation(code: "required", field: "value", allowed: "the rating")
        }
        let time = occurredAt ?? now
        // A clock that is a little ahead is common; a history sorted by a far future never shows what came after.
        guard time.microseconds <= now.microseconds + 86_400_000_000, time.microseconds >= 0 else {
            throw Violation(code: "out_of_range", field: "occurred_at", allowed: "from 1970-01-01 to a day from now")
        }
        self.type = known
        self.value = Float(number)
        self.occurredAt = time
    }
}

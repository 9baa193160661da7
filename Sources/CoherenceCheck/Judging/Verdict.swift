import Histogram
package import LoadClient

/// How long after its acknowledgement a write was not yet in what was served: the latest begin of a read that still showed
/// what was before. nil: nobody looked. It is no better than the times at which somebody looked.
package struct Staleness: Sendable, Equatable {
    /// On the node that took the write.
    package private(set) var own: Duration?
    package private(set) var other: Duration?

    package init() {}

    /// - Parameter age: From the acknowledgement to the begin of a read that showed what was before; zero: it did not.
    package mutating func note(_ age: Duration, isOwn: Bool) {
        if isOwn { self.own = max(self.own ?? .zero, age) } else { self.other = max(self.other ?? .zero, age) }
    }
}

/// What a judge has come to.
package struct Verdict: Sendable {
    package struct Tally: Sendable, Equatable {
        package var writes = 0
        package var acknowledged = 0
        /// Of them, those that said so.
        package var unpropagated = 0
        /// Writes of which nobody knows whether they happened.
        package var unknown = 0
        /// Reads after a write and its bound that were made to judge it.
        package var pairs = 0
        /// Reads after a write and its bound that were made for something else.
        package var incidental = 0
        /// Reads that no bound is known for, the write being unpropagated.
        package var unpropagatedReads = 0
        /// Reads after a write and its bound whose answer said that it was not verified.
        package var exempt = 0
        /// Of them, those that showed what was before.
        package var exemptShown = 0
        package var violations = 0

        package init() {}

        /// The sums.
        package static func + (lhs: Tally, rhs: Tally) -> Tally {
            var sum = lhs
            sum.writes += rhs.writes
            sum.acknowledged += rhs.acknowledged
            sum.unpropagated += rhs.unpropagated
            sum.unknown += rhs.unknown
            sum.pairs += rhs.pairs
            sum.incidental += rhs.incidental
            sum.unpropagatedReads += rhs.unpropagatedReads
            sum.exempt += rhs.exempt
            sum.exemptShown += rhs.exemptShown
            sum.violations += rhs.violations
            return sum
        }
    }

    private var tallies = Array(repeating: Tally(), count: WriteKind.allCases.count)
    /// Lists that were read.
    package internal(set) var reads = 0
    /// Of them, those that said that they were not verified.
    package internal(set) var unverified = 0
    /// Answers with the id of another one: what is one caller's was given to two.
    package internal(set) var repeated = 0
    /// One for each write that was seen where it must not be, the first ones.
    package private(set) var examples: [Violation] = []
    package private(set) var own = Durations.empty
    package private(set) var other = Durations.empty

    /// So many violations are told in full.
    package static let exampleLimit = 20

    package init() {}

    package internal(set) subscript(_ kind: WriteKind) -> Tally {
        get { self.tallies[WriteKind.allCases.firstIndex(of: kind)!] }
        set { self.tallies[WriteKind.allCases.firstIndex(of: kind)!] = newValue }
    }

    package var total: Tally { self.tallies.reduce(Tally(), +) }

    mutating func add(_ violation: Violation) {
        if self.examples.count < Self.exampleLimit { self.examples.append(violation) }
    }

    mutating func record(_ staleness: Staleness) {
        if let own = staleness.own { self.own.record(Self.microseconds(own)) }
        if let other = staleness.other { self.other.record(Self.microseconds(other)) }
    }

    private static func microseconds(_ duration: Duration) -> UInt64 {
        UInt64(max(0, min(3_600_000_000, duration / .microseconds(1))))
    }
}

import Histogram
package import LoadClient

/// Counts and latencies of a run.
package struct Recorder: Sendable {
    package private(set) var sent = 0
    package private(set) var completed = 0
    package private(set) var failures: [Failure: Int] = [:]
    package private(set) var statuses: [Int: Int] = [:]
    package private(set) var tiers: [String: Int] = [:]
    package private(set) var bytes = 0
    /// From when a request was due, also of those that were given up: as long as they had waited by then.
    package private(set) var fromIntended = Durations.empty
    /// From when a request was really sent, likewise.
    package private(set) var fromSent = Durations.empty
    /// How late the client was with what it could have sent.
    package private(set) var lag = Durations.empty
    /// How many had to wait for a free connection.
    package private(set) var delayed = 0
    /// The end of the last request.
    package private(set) var last: Duration = .zero
    /// Of the time since the last look.
    private var recent = Durations.empty

    package init() {}

    package mutating func record(_ outcome: Dispatcher.Outcome) {
        if let sent = outcome.sent {
            self.sent += 1
            self.lag.record(Self.microseconds(outcome.lag))
            if sent - outcome.lag > outcome.arrival.intended { self.delayed += 1 }
        }
        self.last = max(self.last, outcome.ended)
        switch outcome.end {
        case .answered: self.completed += 1
        case .failed(let failure):
            self.failures[failure, default: 0] += 1
            // What broke at once would make the latencies look better.
            guard failure == .timeout || failure == .unsent else { return }
        }
        let whole = Self.microseconds(outcome.ended - outcome.arrival.intended)
        self.fromIntended.record(whole)
        self.recent.record(whole)
        if let sent = outcome.sent { self.fromSent.record(Self.microseconds(outcome.ended - sent)) }
    }

    /// An answer, whatever became of its request.
    package mutating func answered(status: Int, tier: String?, bytes: Int) {
        self.statuses[status, default: 0] += 1
        if let tier { self.tiers[tier, default: 0] += 1 }
        self.bytes += bytes
    }

    package mutating func couldNotConnect() { self.failures[.connect, default: 0] += 1 }

    /// The latencies since the last call, from when requests were due.
    package mutating func takeRecent() -> Durations {
        defer { self.recent.reset() }
        return self.recent
    }

    private static func microseconds(_ duration: Duration) -> UInt64 {
        let (seconds, attoseconds) = duration.components
        return UInt64(max(0, min(3_600_000_000, seconds * 1_000_000 + attoseconds / 1_000_000_000_000)))
    }
}

/// Whether a replica is worth a question: pure state, no clock.
///
/// After a failure it is left alone for a while, twice as long after each further one; then a single caller tries it, and
/// the others go on without until that one has its answer. Whoever was let in reports one of `answered` and `failed`.
struct ReplicaHealth {
    private enum Phase {
        case well
        case resting(until: ContinuousClock.Instant)
        case tried
    }

    private static let firstRest = Duration.seconds(1)
    private static let longestRest = Duration.seconds(30)

    private var phase = Phase.well
    private var failures = 0

    /// Whether a caller who came now would be sent away.
    func isResting(at now: ContinuousClock.Instant) -> Bool {
        switch self.phase {
        case .well: false
        case .tried: true
        case .resting(let end): now < end
        }
    }

    /// Whether a caller who comes now may ask.
    mutating func callerCame(at now: ContinuousClock.Instant) -> Bool {
        switch self.phase {
        case .well: return true
        case .tried: return false
        case .resting(let end):
            guard now >= end else { return false }
            self.phase = .tried
            return true
        }
    }

    /// Whatever it said.
    mutating func answered() {
        self.phase = .well
        self.failures = 0
    }

    mutating func failed(at now: ContinuousClock.Instant) {
        // Many may have been under way when it died: that is one failure.
        if case .resting = self.phase { return }
        let rest = min(Self.firstRest * (1 << min(self.failures, 10)), Self.longestRest)
        self.failures += 1
        self.phase = .resting(until: now + rest)
    }
}

/// Whether a server is worth a question: pure state, no clock.
///
/// After some failures in a row it is left alone for a while, twice as long after each further one; then a single caller
/// tries it, and the others go on without until that one has its answer. Whoever was let in reports one of ``answered()``,
/// ``failed(at:)`` and ``gaveUp(at:)``.
struct StoreHealth {
    private enum Phase {
        case well
        case resting(until: ContinuousClock.Instant)
        case tried
    }

    private let patience: Int
    private let firstRest: Duration
    private let longestRest: Duration
    private var phase = Phase.well
    private var strikes = 0
    private var failures = 0

    /// - Parameters:
    ///   - patience: Failures in a row that it takes.
    ///   - firstRest: How long it is then left alone.
    ///   - longestRest: How long at most.
    init(patience: Int = 1, firstRest: Duration = .seconds(1), longestRest: Duration = .seconds(30)) {
        self.patience = patience
        self.firstRest = firstRest
        self.longestRest = longestRest
    }

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
        self.strikes = 0
        self.failures = 0
    }

    mutating func failed(at now: ContinuousClock.Instant) {
        switch self.phase {
        // Many may have been under way when it died: that is one failure.
        case .resting: return
        case .well:
            self.strikes += 1
            guard self.strikes >= self.patience else { return }
        case .tried: break
        }
        let rest = min(self.firstRest * (1 << min(self.failures, 10)), self.longestRest)
        self.failures += 1
        self.phase = .resting(until: now + rest)
    }

    /// A caller did not wait for the answer, which says nothing; the next one may try.
    mutating func gaveUp(at now: ContinuousClock.Instant) {
        if case .tried = self.phase { self.phase = .resting(until: now) }
    }
}

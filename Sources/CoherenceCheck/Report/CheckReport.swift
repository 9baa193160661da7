/// What a run has found.
package struct CheckReport: Sendable {
    package let options: CheckOptions
    /// The middle of the ids of this run's events.
    package let run: String
    package let elapsed: Duration
    package let isInterrupted: Bool
    package let verdict: Verdict
    package let traffic: Traffic
    package let usersSetAside: Int
    /// The most that the checker itself was late with anything.
    package let lag: Duration
    /// What a reader of the figures must know.
    package let notes: [String]

    /// Later than this, the machine is too busy to tell its errors from the fleet's.
    private static let tolerableLag: Duration = .milliseconds(250)

    init(_ session: CheckSession, isInterrupted: Bool) {
        let (verdict, traffic, notes) = session.result
        self.options = session.options
        self.run = session.run
        self.elapsed = session.clock.now
        self.isInterrupted = isInterrupted
        self.verdict = verdict
        self.traffic = traffic
        self.usersSetAside = session.usersSetAside
        self.lag = session.lag
        self.notes =
            session.lag < Self.tolerableLag
            ? notes
            : notes + [
                "the checker itself stood still for \(Int(session.lag / .milliseconds(1))) ms: errors may be its own"
            ]
    }

    /// Why the promise is not shown to hold; none: it is, as far as this run has looked.
    package var faults: [String] {
        var faults: [String] = []
        let total = self.verdict.total
        if total.violations > 0 { faults.append("\(total.violations) reads showed what they must not show") }
        if self.verdict.repeated > 0 {
            faults.append("\(self.verdict.repeated) answers had the recommendation_id of another")
        }
        if total.pairs < self.options.minimumPairs {
            faults.append("\(total.pairs) pairs were judged, which is less than \(self.options.minimumPairs)")
        }
        for kind in self.options.kinds where kind != .reset && self.verdict[kind].pairs == 0 {
            faults.append("no \(kind.rawValue) was judged")
        }
        return faults
    }
}

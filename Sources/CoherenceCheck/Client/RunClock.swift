/// The one clock of a run: monotonic, from the run's start. It goes on while the machine sleeps, as leases do.
struct RunClock: Sendable {
    private let start = ContinuousClock.now

    var now: Duration { ContinuousClock.now - self.start }

    /// Waits until a time of this clock; returns at once where it has passed.
    func sleep(until time: Duration) async throws {
        try await Task.sleep(until: self.start + time, tolerance: .zero, clock: .continuous)
    }
}

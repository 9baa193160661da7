import Synchronization

/// A clock that stands still until a test advances it.
package final class ManualClock: Sendable {
    private let elapsed = Mutex(Duration.zero)
    private let origin = ContinuousClock.now

    package init() {}

    package var now: ContinuousClock.Instant { self.origin.advanced(by: self.elapsed.withLock { $0 }) }

    /// Milliseconds since 1970 of a day in 2026, plus what has elapsed.
    package var milliseconds: Int64 {
        let (seconds, attoseconds) = self.elapsed.withLock { $0 }.components
        return 1_780_000_000_000 + seconds * 1_000 + attoseconds / 1_000_000_000_000_000
    }

    package func advance(by duration: Duration) { self.elapsed.withLock { $0 += duration } }
}

/// When reads that wait in line go to the server together: one message there, one transaction, few messages back.
///
/// That saves both sides system calls and wake-ups. What it may cost others is kept small: only the statement goes together
/// that has just been quick on the same connection, only with `patience` left until its deadline, and `patience` is the time
/// that all of them get. Reads that are left without rows then, whatever the reason, run alone by the rules of any read.
enum SharedReads {
    static let most = 8
    /// The longest that the same read just before may have taken; `most` of them end within `patience`.
    static let quick: Duration = .milliseconds(10)
    static let patience: Duration = .milliseconds(100)

    /// How many of a line go together: no connection takes more than its part.
    static func count(waiting: Int, slots: Int) -> Int {
        min(most, (waiting + slots - 1) / slots)
    }
}

/// A call that is one statement which changes nothing.
struct PoolRead: Sendable {
    let statement: PostgresStatement
    let bindings: PostgresBindings
    /// Decodes the rows, which were asked for at the given time, and resumes the caller.
    let complete: @Sendable (borrowing ServerResult, _ began: ContinuousClock.Instant) -> Void
}

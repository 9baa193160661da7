/// Why a store could not do what it was asked.
public enum RepositoryError: Error, Sendable, Equatable {
    /// The store cannot be reached, is overloaded or timed out; nothing is known to be stored. Try again.
    case unavailable(String)
    /// The commit was sent and its outcome is unknown; the same call may be sent again.
    case outcomeUnknown
    /// What was asked contradicts what is stored.
    case conflict(String)
    /// Stored bytes are not what they should be.
    case corrupt(String)
    /// The store answered with an error of its own: a defect, not a condition.
    case failed(String)
}

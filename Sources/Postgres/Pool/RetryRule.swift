/// When a call that failed may run again, on another connection if its own is lost.
///
/// What was sent to the server may have run there, even if the connection broke before the answer came. So a call that may
/// write runs again only if nothing of it was sent; what opens it (PREPARE, BEGIN) does not count.
enum RetryRule: Sendable {
    case unsent
    /// It changes nothing, so it may have run any number of times.
    case reads

    private static let attempts = 3

    /// `attempt` is the one that failed, from 1.
    func allows(_ error: PostgresError, hasSent: Bool, attempt: Int) -> Bool {
        guard attempt < Self.attempts else { return false }
        switch error {
        case .connectionLost: return self == .reads || !hasSent
        // On a replica also: the replay of a change had to go first.
        case .server(let error):
            return self == .reads && [.serializationFailure, .deadlockDetected].contains(error.sqlState)
        default: return false
        }
    }
}

/// Why a request has no answer.
package enum Failure: String, Sendable, CaseIterable {
    /// No connection could be opened.
    case connect
    /// The connection ended before the answer did.
    case closed
    /// What came back was not HTTP.
    case malformed
    /// The answer was not there in time.
    case timeout
    /// No connection was free until the run ended.
    case unsent
}

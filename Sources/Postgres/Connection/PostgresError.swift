/// Why a call failed.
///
/// Holds neither the password nor bound values, except inside the server's own message and detail.
public enum PostgresError: Error, Sendable, Hashable {
    /// No connection could be opened; nothing was sent.
    case connectionFailed(reason: String)
    /// The connection broke during the call: a statement outside a transaction may or may not have run.
    case connectionLost
    /// The connection broke, or the deadline passed, between COMMIT and its answer.
    case commitUnknown
    /// The server refused the statement.
    case server(PostgresServerError)
    /// The deadline passed: a statement outside a transaction may or may not have run.
    case timedOut
    /// No connection became free in time; nothing was sent.
    case poolTimeout
    /// Too many callers are waiting for a connection already; nothing was sent.
    case poolQueueFull
    /// The answer does not fit the Swift types asked for.
    case decoding(PostgresDecodingError)
    /// The closure that decodes rows threw an error of its own, of this type.
    case rowRefused(error: String)
    /// The task was cancelled: a statement outside a transaction may or may not have run.
    case cancelled
    /// The client is shutting down or has shut down.
    case shutDown
    /// The driver was used against its contract.
    case misuse(PostgresMisuse)
}

/// Uses of the driver that cannot work.
public enum PostgresMisuse: Sendable, Hashable {
    /// COPY was sent as a query: use `copyIn` and `copyOut`.
    case copyAsQuery
    /// COMMIT or ROLLBACK was sent inside a `transaction` closure.
    case transactionEndedByBody
    /// The statement could not be handed to libpq, for example for having more than 65,535 parameters.
    case unsendable
    /// `copyIn` ended in the middle of a row.
    case incompleteRow
}

/// A value that does not fit the Swift type asked for.
public struct PostgresDecodingError: Error, Sendable, Hashable {
    /// What was wrong with the value.
    public enum Reason: Sendable, Hashable {
        /// NULL, for a type that is not an Optional.
        case null
        /// The column has another type.
        case typeMismatch
        /// The bytes are no value of the type, or out of its range.
        case malformed
        /// The row has no such column.
        case noSuchColumn
        /// The caller's own check refused the value.
        case refused
    }

    /// The column's index, from 0.
    public let column: Int
    /// The column's name; nil within COPY, which sends none.
    public let name: String?
    /// The type asked for.
    public let expected: PostgresType
    /// The type found; `.unspecified` within COPY, which sends none.
    public let actual: PostgresType
    /// What was wrong.
    public let reason: Reason

    /// Makes an error; adapters do so where a value has the right type and the wrong meaning.
    public init(column: Int, name: String?, expected: PostgresType, actual: PostgresType, reason: Reason) {
        self.column = column
        self.name = name
        self.expected = expected
        self.actual = actual
        self.reason = reason
    }
}

extension PostgresError {
    /// The server's code, if the server reported the error.
    public var sqlState: SQLState? {
        guard case .server(let error) = self else { return nil }
        return error.sqlState
    }

    /// Whether the connection, not the statement, is at fault.
    public var isConnectionFailure: Bool {
        switch self {
        case .connectionFailed, .connectionLost, .commitUnknown: true
        default: false
        }
    }

    /// The `kind` of the error metric.
    enum Kind: String, CaseIterable {
        case connectionFailed = "connection_failed"
        case connectionLost = "connection_lost"
        case commitUnknown = "commit_unknown"
        case server
        case timedOut = "timed_out"
        case poolTimeout = "pool_timeout"
        case poolQueueFull = "pool_queue_full"
        case decoding
        case rowRefused = "row_refused"
        case cancelled
        case shutDown = "shut_down"
        case misuse
    }

    var kind: Kind {
        switch self {
        case .connectionFailed: .connectionFailed
        case .connectionLost: .connectionLost
        case .commitUnknown: .commitUnknown
        case .server: .server
        case .timedOut: .timedOut
        case .poolTimeout: .poolTimeout
        case .poolQueueFull: .poolQueueFull
        case .decoding: .decoding
        case .rowRefused: .rowRefused
        case .cancelled: .cancelled
        case .shutDown: .shutDown
        case .misuse: .misuse
        }
    }
}

/// The five-character code by which PostgreSQL names an error.
public struct SQLState: Sendable, Hashable, CustomStringConvertible {
    /// The five characters, for example `23505`.
    public let code: String

    /// Takes a code as the server sends it.
    public init(_ code: String) {
        self.code = code
    }

    /// The first two characters, which name the class of error.
    public var errorClass: Substring { code.prefix(2) }

    /// The code itself.
    public var description: String { code }

    /// 08P01: the parameters do not fit the statement, or the peer does not speak the protocol.
    public static let protocolViolation = SQLState("08P01")
    /// 0A000: also "cached plan must not change result type".
    public static let featureNotSupported = SQLState("0A000")
    /// 22P02: a value cannot be read as its type.
    public static let invalidTextRepresentation = SQLState("22P02")
    /// 22021: text that is not UTF-8, or holds a NUL.
    public static let characterNotInRepertoire = SQLState("22021")
    /// 23502: NULL where none may be.
    public static let notNullViolation = SQLState("23502")
    /// 23503: the referenced row is missing, or still referenced.
    public static let foreignKeyViolation = SQLState("23503")
    /// 23505: the key exists already.
    public static let uniqueViolation = SQLState("23505")
    /// 23514: a CHECK refused the row.
    public static let checkViolation = SQLState("23514")
    /// 25006: a write in a read-only transaction, or on a replica.
    public static let readOnlyTransaction = SQLState("25006")
    /// 25P02: a statement after one that failed, in the same transaction.
    public static let inFailedTransaction = SQLState("25P02")
    /// 26000: the prepared statement is not there any more.
    public static let invalidStatementName = SQLState("26000")
    /// 40001: concurrent transactions disagree; the whole transaction may be tried again.
    public static let serializationFailure = SQLState("40001")
    /// 40P01: chosen as a deadlock's victim; the whole transaction may be tried again.
    public static let deadlockDetected = SQLState("40P01")
    /// 42501: the role lacks a privilege.
    public static let insufficientPrivilege = SQLState("42501")
    /// 42601: the SQL cannot be parsed.
    public static let syntaxError = SQLState("42601")
    /// 42703: no such column.
    public static let undefinedColumn = SQLState("42703")
    /// 42P01: no such table.
    public static let undefinedTable = SQLState("42P01")
    /// 42P07: the table exists already.
    public static let duplicateTable = SQLState("42P07")
    /// 53300: the server has no connection left.
    public static let tooManyConnections = SQLState("53300")
    /// 55P03: `lock_timeout` passed, or NOWAIT found a lock.
    public static let lockNotAvailable = SQLState("55P03")
    /// 57014: cancelled on request or by `statement_timeout`.
    public static let queryCanceled = SQLState("57014")
    /// 57P01: an administrator ended the connection.
    public static let adminShutdown = SQLState("57P01")
    /// 57P03: the server is starting up or shutting down.
    public static let cannotConnectNow = SQLState("57P03")
}

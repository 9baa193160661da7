/// An error that the server reported for a statement.
///
/// `message` and `detail` are the server's words and may quote row data; `description` leaves out what does.
public struct PostgresServerError: Error, Sendable, Hashable {
    /// What went wrong, to be switched on.
    public let sqlState: SQLState
    /// The server's primary message; data exceptions (class 22) quote values in it.
    public let message: String
    /// The server's detail; constraint violations quote keys in it.
    public let detail: String?
    /// The violated constraint, where there is one.
    public let constraint: String?
    /// The table concerned, where the server names one.
    public let table: String?

    /// Makes an error as the server would report it.
    public init(
        sqlState: SQLState,
        message: String,
        detail: String? = nil,
        constraint: String? = nil,
        table: String? = nil
    ) {
        self.sqlState = sqlState
        self.message = message
        self.detail = detail
        self.constraint = constraint
        self.table = table
    }
}

extension PostgresServerError: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// The state, the constraint and a message free of row data: fit for a log.
    public var description: String {
        var text = "SQLSTATE \(sqlState)"
        if sqlState.errorClass != "22" { text += ": \(message)" }
        if let constraint { text += " (constraint \(constraint))" }
        return text
    }

    /// The same as `description`.
    public var debugDescription: String { description }

    /// Shows nothing that `description` hides.
    public var customMirror: Mirror { Mirror(self, children: ["description": description]) }
}

/// The statements of one transaction, run on the connection's own thread one after the other.
///
/// Valid inside the closure of `transaction` only. After a statement has failed, the transaction cannot be committed,
/// even if the closure handles the error, unless it went back to a savepoint.
public struct PostgresTransaction: ~Copyable {
    private let connection: Connection

    init(connection: Connection) {
        self.connection = connection
    }

    /// Runs a statement and decodes its rows.
    public mutating func query<Row>(
        _ statement: PostgresStatement,
        _ bindings: PostgresBindings = [],
        decode: (borrowing PostgresRow) throws -> Row
    ) throws(PostgresError) -> [Row] {
        try connection.run(statement, bindings).decodeRows(decode)
    }

    /// Runs a statement; returns the number of rows it touched.
    @discardableResult
    public mutating func execute(
        _ statement: PostgresStatement,
        _ bindings: PostgresBindings = []
    ) throws(PostgresError) -> Int {
        try connection.run(statement, bindings).affectedRows
    }

    /// Runs any number of statements, separated by semicolons, without parameters: migrations, savepoints, SET.
    public mutating func executeScript(_ script: PostgresStatement) throws(PostgresError) {
        try connection.runScript(script.sql)
    }

    /// Streams the rows of a query, which takes no parameters; returns their number.
    ///
    /// Throws `PostgresError`, or what `row` throws, which ends the transaction.
    @discardableResult
    public mutating func copyOut(
        _ query: PostgresStatement,
        row: (inout PostgresCopyRow) throws -> Void
    ) throws -> Int {
        try connection.copyOut(query, row)
    }

    /// Sends rows into `target`, a table with its columns in parentheses; returns their number.
    ///
    /// Throws `PostgresError`, or what `write` throws, which ends the transaction.
    @discardableResult
    public mutating func copyIn(
        _ target: PostgresStatement,
        write: (inout PostgresCopyWriter) throws -> Void
    ) throws -> Int {
        try connection.copyIn(target, write)
    }

    /// The server's version: 150004 is 15.4.
    public var serverVersion: Int { connection.serverVersion }
}

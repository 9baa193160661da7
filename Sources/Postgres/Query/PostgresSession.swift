/// One connection with its own thread, for what belongs to a session: advisory locks, SET, temporary tables.
///
/// Calls run one after the other. A `statement_timeout` applies as on the pool, so wait for locks by trying.
public final class PostgresSession: Sendable {
    /// The server's version: 150004 is 15.4.
    public let serverVersion: Int
    private let pool: ConnectionPool

    init(pool: ConnectionPool, serverVersion: Int) {
        self.pool = pool
        self.serverVersion = serverVersion
    }

    /// Runs a statement and decodes its rows.
    public func query<Row: Sendable>(
        _ statement: PostgresStatement,
        _ bindings: PostgresBindings = [],
        timeout: Duration? = nil,
        decode: @escaping @Sendable (borrowing PostgresRow) throws -> Row
    ) async throws(PostgresError) -> [Row] {
        try await pool.query(statement, bindings, timeout: timeout, decode: decode)
    }

    /// Runs a statement; returns the number of rows it touched.
    @discardableResult
    public func execute(
        _ statement: PostgresStatement,
        _ bindings: PostgresBindings = [],
        timeout: Duration? = nil
    ) async throws(PostgresError) -> Int {
        try await pool.execute(statement, bindings, timeout: timeout)
    }

    /// Runs any number of statements, separated by semicolons, without parameters.
    public func executeScript(_ script: PostgresStatement, timeout: Duration? = nil) async throws(PostgresError) {
        try await pool.executeScript(script, timeout: timeout)
    }

    /// Runs a transaction, as the client does.
    @discardableResult
    public func transaction<Value: Sendable>(
        isolation: PostgresIsolation = .readCommitted,
        readOnly: Bool = false,
        timeout: Duration? = nil,
        _ body: @escaping @Sendable (inout PostgresTransaction) throws -> Value
    ) async throws -> Value {
        try await pool.transaction(isolation: isolation, readOnly: readOnly, timeout: timeout, body)
    }
}

public import Logging
public import ServiceLifecycle

/// A pool of PostgreSQL connections.
///
/// Call `run()` once, from a service group; calls made before it wait for it. A call waits for a free connection
/// for at most `acquireTimeout`, and runs on a driver thread, where its closure decodes too.
///
/// ```swift
/// let names = try await client.query("SELECT name FROM item WHERE id = ANY($1)", [ids]) { row in
///     try row.decode(0, as: String.self)
/// }
/// ```
///
/// A call of which nothing was sent when its connection turned out to be dead runs on another one.
///
/// A `timeout` covers the wait and the work. An error other than `.connectionFailed`, `.poolTimeout`,
/// `.poolQueueFull` and `.shutDown` leaves open whether a write outside a transaction has happened.
public final class PostgresClient: Service, Sendable {
    private let configuration: PostgresConfiguration
    private let pool: ConnectionPool
    private let canceller = Canceller()
    private let sessionMetrics: PostgresMetrics
    private let logger: Logger

    /// Opens nothing yet.
    public init(configuration: PostgresConfiguration, logger: Logger) {
        self.configuration = configuration
        self.logger = logger
        sessionMetrics = PostgresMetrics(name: "\(configuration.name)-session")
        pool = ConnectionPool(
            size: max(1, configuration.poolSize),
            isPinned: false,
            configuration: configuration,
            canceller: canceller,
            metrics: PostgresMetrics(name: configuration.name),
            logger: logger
        )
    }

    /// How many calls can run at once.
    public var poolSize: Int { max(1, configuration.poolSize) }

    /// Serves calls until graceful shutdown or cancellation, and returns when all connections are closed.
    ///
    /// Graceful shutdown lets running calls end; cancellation interrupts them.
    public func run() async {
        canceller.start()
        await pool.run()
        canceller.stop()
    }

    /// Runs a statement and decodes its rows; an error of the closure's own becomes `.rowRefused`.
    public func query<Row: Sendable>(
        _ statement: PostgresStatement,
        _ bindings: PostgresBindings = [],
        timeout: Duration? = nil,
        decode: @escaping @Sendable (borrowing PostgresRow) throws -> Row
    ) async throws(PostgresError) -> [Row] {
        try await pool.query(statement, bindings, timeout: timeout, decode: decode)
    }

    /// Runs a statement that changes nothing, and decodes its rows.
    ///
    /// It runs again, on another connection, if its own is lost, and if the server could not let it go on beside others
    /// (`.serializationFailure`, `.deadlockDetected`): three times at most, and within `timeout`. So `decode` may be called
    /// more than once for a row.
    ///
    /// While many wait in line, quick reads of one statement go to the server together, in one transaction: they share `now()`.
    /// Should one of them fail or take longer than 100 ms, those without rows run again, each by itself.
    public func read<Row: Sendable>(
        _ statement: PostgresStatement,
        _ bindings: PostgresBindings = [],
        timeout: Duration? = nil,
        decode: @escaping @Sendable (borrowing PostgresRow) throws -> Row
    ) async throws(PostgresError) -> [Row] {
        try await pool.read(statement, bindings, timeout: timeout, decode: decode)
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

    /// Runs `body` between BEGIN and COMMIT on one driver thread, with no thread hop between its statements.
    ///
    /// What `body` throws comes out unchanged, after ROLLBACK; all other errors are `PostgresError`. A lost connection is
    /// `.connectionLost` before COMMIT is sent and `.commitUnknown` after. A read-only one runs again, `body` and all, where
    /// ``read(_:_:timeout:decode:)`` would. With a `timeout`, it takes the place of
    /// `statementTimeout` too, so it can also be longer.
    @discardableResult
    public func transaction<Value: Sendable>(
        isolation: PostgresIsolation = .readCommitted,
        readOnly: Bool = false,
        timeout: Duration? = nil,
        _ body: @escaping @Sendable (inout PostgresTransaction) throws -> Value
    ) async throws -> Value {
        try await pool.transaction(isolation: isolation, readOnly: readOnly, timeout: timeout, body)
    }

    /// Streams the rows of a query, which takes no parameters, folding them into `value`, in a transaction.
    public func copyOut<Value: Sendable>(
        _ query: PostgresStatement,
        into value: Value,
        timeout: Duration? = nil,
        row: @escaping @Sendable (inout Value, inout PostgresCopyRow) throws -> Void
    ) async throws -> Value {
        try await transaction(readOnly: true, timeout: timeout) { transaction in
            var value = value
            try transaction.copyOut(query) { try row(&value, &$0) }
            return value
        }
    }

    /// Sends rows into `target`, a table with its columns in parentheses, in a transaction; returns their number.
    @discardableResult
    public func copyIn(
        _ target: PostgresStatement,
        timeout: Duration? = nil,
        write: @escaping @Sendable (inout PostgresCopyWriter) throws -> Void
    ) async throws -> Int {
        try await transaction(timeout: timeout) { try $0.copyIn(target, write: write) }
    }

    /// The server's version: 150004 is 15.4.
    public func serverVersion() async throws(PostgresError) -> Int {
        try await pool.withConnection { $0.serverVersion }
    }

    /// Runs `body` with a connection of its own, outside the pool, with its own thread: for advisory locks.
    ///
    /// The connection is opened before `body` begins and closed when it ends, which releases its locks. It is never
    /// opened again: after a loss all calls throw `.connectionLost`. Cancelling the task closes it.
    @discardableResult
    public func withSession<Value>(
        _ body: (PostgresSession) async throws -> Value
    ) async throws -> Value {
        let pool = ConnectionPool(
            size: 1,
            isPinned: true,
            configuration: configuration,
            canceller: canceller,
            metrics: sessionMetrics,
            logger: logger
        )
        async let life: Void = pool.run()
        let result: Result<Value, any Error>
        do {
            let version = try await pool.withConnection { $0.serverVersion }
            result = .success(try await body(PostgresSession(pool: pool, serverVersion: version)))
        } catch {
            result = .failure(error)
        }
        pool.shutDown(interrupting: true)
        await life
        return try result.get()
    }
}

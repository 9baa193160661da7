import LocalServers
import Logging
import Postgres
import Testing

/// The suites that share one private server.
@Suite("Against PostgreSQL", .privateServer)
enum ServerTests {
    @TaskLocal static var url = ""
}

/// Starts a server before a suite and stops it after.
struct PrivateServerTrait: SuiteTrait, TestScoping {
    func provideScope(
        for test: Test,
        testCase: Test.Case?,
        performing function: @concurrent @Sendable () async throws -> Void
    ) async throws {
        try await withServer { server in
            try await ServerTests.$url.withValue(server.url()) { try await function() }
        }
    }
}

extension Trait where Self == PrivateServerTrait {
    static var privateServer: Self { PrivateServerTrait() }
}

/// Runs the body with a private server that is gone afterwards.
func withServer(_ body: (LocalPostgresServer) async throws -> Void) async throws {
    let directory = try ScratchDirectory.make("vireo-postgres-test")
    let server = try await LocalPostgresServer.start(directory: directory, settings: ["fsync": "off"])
    do {
        try await body(server)
    } catch {
        try await server.stop()
        try ScratchDirectory.remove(directory)
        throw error
    }
    try await server.stop()
    try ScratchDirectory.remove(directory)
}

/// Runs the body with a client of the shared server.
@discardableResult
func withClient<Value>(
    _ configure: (inout PostgresConfiguration) -> Void = { _ in },
    _ body: (PostgresClient) async throws -> Value
) async throws -> Value {
    try await withClient(url: ServerTests.url, configure, body)
}

/// What a client of a busy machine needs.
func patientConfiguration(url: String = ServerTests.url) throws -> PostgresConfiguration {
    var configuration = try PostgresConfiguration(url: url)
    configuration.poolSize = 3
    configuration.connectTimeout = .seconds(10)
    configuration.acquireTimeout = .seconds(20)
    configuration.statementTimeout = .seconds(20)
    return configuration
}

/// Runs the body with a client, patient with a busy machine.
@discardableResult
func withClient<Value>(
    url: String,
    _ configure: (inout PostgresConfiguration) -> Void = { _ in },
    _ body: (PostgresClient) async throws -> Value
) async throws -> Value {
    var configuration = try patientConfiguration(url: url)
    configure(&configuration)
    let client = PostgresClient(
        configuration: configuration,
        logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    )
    return try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { await client.run() }
        defer { group.cancelAll() }
        return try await body(client)
    }
}

extension PostgresClient {
    /// The first column of all rows.
    func column<Value: PostgresDecodable>(
        _ statement: PostgresStatement,
        _ bindings: PostgresBindings = [],
        as type: Value.Type = Value.self
    ) async throws(PostgresError) -> [Value] {
        try await query(statement, bindings) { row in try row.decode(0, as: Value.self) }
    }

    /// Polls until a query returns true.
    func waitUntil(_ statement: PostgresStatement, _ bindings: PostgresBindings = []) async throws {
        let limit = ContinuousClock.now + .seconds(20)
        while try await column(statement, bindings, as: Bool.self).first != true {
            try #require(ContinuousClock.now < limit, "never came true: \(statement.sql)")
        }
    }
}

extension PostgresSession {
    /// Polls until a call waits for an advisory lock.
    func waitForSomebody(at lock: Int32) async throws {
        let statement: PostgresStatement = """
            SELECT EXISTS (SELECT FROM pg_locks
            WHERE locktype = 'advisory' AND objid::int8 = $1 AND NOT granted)
            """
        let limit = ContinuousClock.now + .seconds(20)
        while try await query(statement, [lock], decode: { try $0.decode(0, as: Bool.self) }) != [true] {
            try #require(ContinuousClock.now < limit)
        }
    }
}

/// Polls until a condition holds.
func wait(until condition: () throws -> Bool) async throws {
    let limit = ContinuousClock.now + .seconds(20)
    while try !condition() {
        try #require(ContinuousClock.now < limit)
        await Task.yield()
    }
}

/// What the closure throws, as a PostgresError.
func postgresError<Value>(_ body: () async throws -> Value) async throws -> PostgresError {
    do {
        _ = try await body()
    } catch {
        return try #require(error as? PostgresError)
    }
    throw NothingThrown()
}

struct NothingThrown: Error {}

/// An error of the caller's own.
struct DomainError: Error, Equatable {
    var number = 1
}

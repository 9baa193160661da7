import Postgres
import Testing

extension ServerTests {
    @Suite("Transactions")
    struct PostgresTransactionTests {
        static let isWaiting: PostgresStatement =
            "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid::int8 = $1 AND NOT granted)"

        /// A table of one integer column, made for one test.
        func withTable(
            _ name: String,
            _ body: (PostgresClient, _ insert: PostgresStatement, _ count: PostgresStatement) async throws -> Void
        ) async throws {
            try await withClient { client in
                try await client.executeScript("CREATE TABLE \(identifier: name) (id int4 PRIMARY KEY)")
                try await body(
                    client,
                    "INSERT INTO \(identifier: name) VALUES ($1)",
                    "SELECT count(*) FROM \(identifier: name)"
                )
            }
        }

        @Test("a transaction that returns is committed, and gives its value")
        func commits() async throws {
            try await withTable("committed") { client, insert, count in
                let seen = try await client.transaction { transaction in
                    try transaction.execute(insert, [Int32(1)])
                    try transaction.execute(insert, [Int32(2)])
                    return try transaction.query(count) { row in try row.decode(0, as: Int.self) }
                }
                #expect(seen == [2])
                #expect(try await client.column(count, as: Int.self) == [2])
            }
        }

        @Test("an error of the closure's own comes out unchanged and rolls back")
        func rollsBack() async throws {
            try await withTable("rolled_back") { client, insert, count async throws in
                await #expect(throws: DomainError(number: 7)) {
                    try await client.transaction { transaction in
                        try transaction.execute(insert, [Int32(1)])
                        throw DomainError(number: 7)
                    }
                }
                #expect(try await client.column(count, as: Int.self) == [0])
            }
        }

        @Test("a failed statement cannot be swallowed into a commit")
        func swallowedFailure() async throws {
            try await withTable("swallowed") { client, insert, count in
                let error = try await postgresError {
                    try await client.transaction { transaction in
                        try transaction.execute(insert, [Int32(1)])
                        _ = try? transaction.execute(insert, [Int32(1)])
                    }
                }
                #expect(error.sqlState == .uniqueViolation)
                #expect(try await client.column(count, as: Int.self) == [0])
            }
        }

        @Test("a savepoint lets a transaction go on after a failure")
        func savepoint() async throws {
            try await withTable("saved") { client, insert, count in
                try await client.transaction { transaction in
                    try transaction.execute(insert, [Int32(1)])
                    try transaction.executeScript("SAVEPOINT before")
                    #expect(throws: PostgresError.self) { try transaction.execute(insert, [Int32(1)]) }
                    try transaction.executeScript("ROLLBACK TO before")
                    try transaction.execute(insert, [Int32(2)])
                }
                #expect(try await client.column(count, as: Int.self) == [2])
            }
        }

        @Test("a closure that ends the transaction itself is told so")
        func endedByBody() async throws {
            try await withClient { client in
                let error = try await postgresError { try await client.transaction { try $0.executeScript("COMMIT") } }
                #expect(error == .misuse(.transactionEndedByBody))
            }
        }

        @Test("two writers of one row under repeatable read: the second gets a serialization failure")
        func serializationFailure() async throws {
            try await withTable("contended") { client, insert, _ in
                try await client.execute(insert, [Int32(1)])
                try await client.withSession { other in
                    try await other.executeScript("SELECT pg_advisory_lock(4711)")
                    async let error = postgresError {
                        try await client.transaction(isolation: .repeatableRead) { transaction in
                            try transaction.execute("SELECT count(*) FROM contended")
                            try transaction.executeScript("SELECT pg_advisory_xact_lock(4711)")
                            try transaction.execute("UPDATE contended SET id = 3")
                        }
                    }
                    try await client.waitUntil(Self.isWaiting, [Int32(4711)])
                    try await other.execute("UPDATE contended SET id = 2")
                    try await other.executeScript("SELECT pg_advisory_unlock(4711)")
                    #expect(try await error.sqlState == .serializationFailure)
                }
            }
        }

        @Test("a read-only transaction refuses writes")
        func readOnly() async throws {
            try await withTable("unwritten") { client, insert, _ in
                let error = try await postgresError {
                    try await client.transaction(readOnly: true) { try $0.execute(insert, [Int32(1)]) }
                }
                #expect(error.sqlState == .readOnlyTransaction)
            }
        }

        @Test("a constraint that is checked at commit is a server error, not an unknown commit")
        func deferredConstraint() async throws {
            try await withClient { client in
                try await client.executeScript("CREATE TABLE deferred (id int4 UNIQUE DEFERRABLE INITIALLY DEFERRED)")
                let error = try await postgresError {
                    try await client.transaction { try $0.executeScript("INSERT INTO deferred VALUES (1), (1)") }
                }
                #expect(error.sqlState == .uniqueViolation)
            }
        }

        @Test("a connection lost before COMMIT is lost; lost within COMMIT, the outcome is unknown")
        func lostConnection() async throws {
            try await withClient { client in
                let lost = try await postgresError {
                    try await client.transaction {
                        try $0.executeScript("SELECT pg_terminate_backend(pg_backend_pid())")
                    }
                }
                #expect(lost == .connectionLost)
                try await client.executeScript(
                    """
                    CREATE TABLE doomed (id int4);
                    CREATE FUNCTION doom() RETURNS trigger LANGUAGE plpgsql AS
                        'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END';
                    CREATE CONSTRAINT TRIGGER doom AFTER INSERT ON doomed
                        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION doom();
                    """
                )
                let unknown = try await postgresError {
                    try await client.transaction { try $0.executeScript("INSERT INTO doomed VALUES (1)") }
                }
                #expect(unknown == .commitUnknown)
                #expect(try await client.column("SELECT 1", as: Int32.self) == [1])
            }
        }

        @Test("a transaction's timeout may be longer than the statement timeout")
        func longTransaction() async throws {
            try await withClient({ $0.statementTimeout = .milliseconds(100) }) { client in
                let error = try await postgresError { try await client.execute("SELECT pg_sleep(10)") }
                #expect(error.sqlState == .queryCanceled)
                try await client.transaction(timeout: .seconds(20)) { try $0.executeScript("SELECT pg_sleep(0.3)") }
            }
        }
    }
}

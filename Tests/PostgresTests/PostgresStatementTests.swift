import Postgres
import Testing

@Suite("PostgresStatement")
struct PostgresStatementTests {
    @Test(
        "literals and identifiers are quoted",
        arguments: [
            ("it's", " 'it''s'"), (#"\'; DROP"#, #"  E'\\''; DROP'"#), ("", " ''"), ("'\u{301}", " '''\u{301}'"),
        ]
    )
    func quoting(value: String, quoted: String) {
        let statement: PostgresStatement = "SELECT \(literal: value)"
        #expect(statement.sql.unicodeScalars.elementsEqual("SELECT\(quoted)".unicodeScalars))
    }

    @Test("identifiers double their quotes, numbers stand in parentheses")
    func identifiers() {
        let statement: PostgresStatement = "SELECT \(identifier: #"a"b"#) - \(literal: -1)"
        #expect(statement.sql == #"SELECT "a""b" - (-1)"#)
    }
}

extension ServerTests {
    @Suite("Prepared statements")
    struct PreparedStatementTests {
        static let names: PostgresStatement = "SELECT name FROM pg_prepared_statements ORDER BY 1"

        @Test("a statement is prepared once per connection")
        func preparedOnce() async throws {
            try await withClient({ $0.poolSize = 1 }) { client in
                for number in 1...5 {
                    #expect(try await client.column("SELECT $1 + 1", [number], as: Int.self) == [number + 1])
                }
                #expect(try await client.column(Self.names, as: String.self).count == 2)
                _ = try await client.column("SELECT $1 + 1", [Int32(1)], as: Int32.self)
                #expect(try await client.column(Self.names, as: String.self).count == 3)
            }
        }

        @Test("the number of prepared statements is bounded")
        func bounded() async throws {
            try await withClient({
                $0.poolSize = 1; $0.maxPreparedStatements = 4
            }) { client async throws in
                for number in 1...11 {
                    let statement = PostgresStatement(trusted: "SELECT \(number)::int8")
                    #expect(try await client.column(statement, as: Int.self) == [number])
                }
                #expect(try await client.column(Self.names, as: String.self).count <= 4)
            }
        }

        @Test("quoted literals reach the server as they are")
        func quotedLiterals() async throws {
            try await withClient { client in
                for value in ["it's", #"\'; SELECT 1"#, "'\u{301}", #"a\nb"#] {
                    let back = try await client.column("SELECT \(literal: value)::text", as: String.self)
                    #expect(back == [value])
                }
            }
        }

        @Test("a statement is prepared again when the server has lost it or its columns have changed")
        func preparedAgain() async throws {
            try await withClient({ $0.poolSize = 1 }) { client in
                try await client.executeScript("CREATE TABLE replanned (a int4); INSERT INTO replanned VALUES (1)")
                let all: PostgresStatement = "SELECT * FROM replanned"
                #expect(try await client.query(all) { $0.columnCount } == [1])
                try await client.executeScript("ALTER TABLE replanned ADD COLUMN b int4")
                #expect(try await client.query(all) { $0.columnCount } == [2])
                try await client.executeScript("DEALLOCATE ALL")
                #expect(try await client.query(all) { $0.columnCount } == [2])
            }
        }

        @Test("a statement is prepared again after the connection is lost")
        func preparedOnNewConnection() async throws {
            try await withClient({ $0.poolSize = 1 }) { client in
                let pid: PostgresStatement = "SELECT pg_backend_pid()"
                let first = try #require(try await client.column(pid, as: Int32.self).first)
                try await withClient { other in
                    #expect(try await other.column("SELECT pg_terminate_backend($1)", [first], as: Bool.self) == [true])
                    try await other.waitUntil(
                        "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1)",
                        [first]
                    )
                }
                // An idle connection that died is replaced without an error.
                let second = try #require(try await client.column(pid, as: Int32.self).first)
                #expect(second != first)
            }
        }

        @Test("errors come as SQLSTATE, constraint and table, and a log line holds no row data")
        func serverErrors() async throws {
            try await withClient { client in
                try await client.executeScript("CREATE TABLE keyed (id text CONSTRAINT keyed_key PRIMARY KEY)")
                try await client.execute("INSERT INTO keyed VALUES ($1)", ["secret"])
                let error = try await postgresError {
                    try await client.execute("INSERT INTO keyed VALUES ($1)", ["secret"])
                }
                guard case .server(let violation) = error else { throw error }
                #expect(violation.sqlState == .uniqueViolation)
                #expect(violation.constraint == "keyed_key")
                #expect(violation.table == "keyed")
                #expect(violation.detail?.contains("secret") == true)
                for text in ["\(error)", String(reflecting: error), "\(violation)"] {
                    #expect(!text.contains("secret"))
                    #expect(text.contains("23505"))
                }
                let cast = try await postgresError { try await client.execute("SELECT $1::int4", ["secret"]) }
                #expect(cast.sqlState == .invalidTextRepresentation)
                #expect(!"\(cast)".contains("secret"))
                #expect(
                    try await postgresError { try await client.execute("SELECT * FROM nowhere") }.sqlState
                        == .undefinedTable
                )
                #expect(try await postgresError { try await client.execute("SELECT $1") }.sqlState != nil)
                let copy = try await postgresError { try await client.execute("COPY keyed TO STDOUT") }
                #expect(copy == .misuse(.copyAsQuery))
                #expect(try await client.column("SELECT 1", as: Int32.self) == [1])
            }
        }
    }
}

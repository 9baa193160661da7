import Postgres
import Testing

extension ServerTests {
    @Suite("COPY")
    struct PostgresCopyTests {
        struct Columns: Sendable, Equatable {
            var users: [Int32] = []
            var kinds: [Int16] = []
            var weights: [Float] = []
            var times: [PostgresTimestamp] = []
        }

        static func columns(count: Int32) -> Columns {
            var columns = Columns()
            for number in 0..<count {
                columns.users.append(number &* 7_919)
                columns.kinds.append(Int16(truncatingIfNeeded: number))
                columns.weights.append(Float(number) / 3)
                columns.times.append(PostgresTimestamp(unixMicroseconds: Int64(number) * 1_000_003))
            }
            return columns
        }

        @Test("200,000 rows go in and come out equal")
        func manyRows() async throws {
            let columns = Self.columns(count: 200_000)
            try await withClient { client in
                try await client.executeScript(
                    "CREATE TABLE copied (user_id int4, kind int2, weight float4, at timestamptz)"
                )
                let written = try await client.copyIn("copied (user_id, kind, weight, at)") { writer in
                    for index in columns.users.indices {
                        try writer.append(columns.users[index])
                        try writer.append(columns.kinds[index])
                        try writer.append(columns.weights[index])
                        try writer.append(columns.times[index])
                    }
                }
                #expect(written == 200_000)
                let read = try await client.copyOut(
                    "SELECT user_id, kind, weight, at FROM copied ORDER BY at",
                    into: Columns()
                ) { columns, row in
                    columns.users.append(try row.int32())
                    columns.kinds.append(try row.int16())
                    columns.weights.append(try row.float())
                    columns.times.append(try row.timestamp())
                }
                #expect(read == columns)
            }
        }

        @Test("every type passes through COPY, NULLs and arrays too")
        func types() async throws {
            try await withClient { client in
                try await client.executeScript(
                    """
                    CREATE TABLE copied_types (a bool, b int8, c float8, d text, e bytea, f text[], g jsonb, h int4)
                    """
                )
                try await client.copyIn("copied_types") { writer in
                    try writer.appendRow(
                        true,
                        Int64.min,
                        0.1,
                        "💡",
                        [UInt8]([0, 1]),
                        ["a", nil] as [String?],
                        PostgresJSON("{}"),
                        Int32?.none
                    )
                    try writer.append(Bool?.none)
                    try writer.append(Int64(2))
                    try writer.append(-0.5)
                    try writer.append(utf8: Array("utf8".utf8).span)
                    try writer.append([UInt8]())
                    try writer.appendNull()
                    try writer.append(PostgresJSON("1"))
                    try writer.append(Int32(9))
                }
                let rows = try await client.copyOut("SELECT * FROM copied_types ORDER BY b", into: [String]()) {
                    rows,
                    row in
                    #expect(row.fieldCount == 8)
                    let isNull = row.isNextNull
                    let a = try row.decode(as: Bool?.self)
                    #expect(isNull == (a == nil))
                    let b = try row.int64()
                    let c = try row.double()
                    let d = try row.string()
                    let e = try row.withBytes { $0?.byteCount ?? -1 }
                    let f = try row.decode(as: [String?]?.self)
                    try row.skip()
                    let h = try row.decode(as: Int32?.self)
                    rows.append("\(a ?? false) \(b) \(c) \(d) \(e) \(f?.count ?? -1) \(h ?? -1)")
                }
                #expect(rows == ["true -9223372036854775808 0.1 💡 2 2 -1", "false 2 -0.5 utf8 0 -1 9"])
            }
        }

        @Test("an empty result and an empty input are fine")
        func empty() async throws {
            try await withClient { client in
                try await client.executeScript("CREATE TABLE copied_nothing (a int4)")
                #expect(try await client.copyIn("copied_nothing") { _ in } == 0)
                #expect(
                    try await client.copyOut("SELECT a FROM copied_nothing", into: 0) { count, _ in count += 1 } == 0
                )
            }
        }

        @Test("an error half way leaves nothing and keeps the connection", arguments: [10, 60_000])
        func failsHalfWay(rows: Int32) async throws {
            try await withClient({ $0.poolSize = 1 }) { client in
                let table: PostgresStatement = "copied_half_\(literal: Int(rows))"
                let name = PostgresStatement(trusted: "copied_half_\(rows)")
                _ = table
                let pid = try await client.column("SELECT pg_backend_pid()", as: Int32.self)
                try await client.executeScript("CREATE TABLE \(name) (a int4)")
                await #expect(throws: DomainError(number: 5)) {
                    try await client.copyIn(name) { writer in
                        for number in 0..<rows { try writer.append(number) }
                        throw DomainError(number: 5)
                    }
                }
                #expect(try await client.column("SELECT count(*) FROM \(name)", as: Int.self) == [0])
                #expect(try await client.column("SELECT pg_backend_pid()", as: Int32.self) == pid)
            }
        }

        @Test("rows the server refuses are a server error; an unfinished row is misuse")
        func refusedRows() async throws {
            try await withClient { client in
                try await client.executeScript("CREATE TABLE copied_keys (a int4 PRIMARY KEY, b int4)")
                let duplicate = try await postgresError {
                    try await client.copyIn("copied_keys") { writer in
                        for _ in 0..<2 { try writer.appendRow(Int32(1), Int32(1)) }
                    }
                }
                #expect(duplicate.sqlState == .uniqueViolation)
                let width = try await postgresError {
                    try await client.copyIn("copied_keys") { try $0.appendRow(Int32(1), Int64(1)) }
                }
                #expect(width.sqlState == SQLState("22P03"))
                let incomplete = try await postgresError {
                    try await client.copyIn("copied_keys") { try $0.append(Int32(1)) }
                }
                #expect(incomplete == .misuse(.incompleteRow))
                let missing = try await postgresError { try await client.copyIn("copied_nowhere") { _ in } }
                #expect(missing.sqlState == .undefinedTable)
                #expect(try await client.column("SELECT count(*) FROM copied_keys", as: Int.self) == [0])
            }
        }

        @Test("a reader that gives up early keeps the connection")
        func abandonedOut() async throws {
            try await withClient({ $0.poolSize = 1 }) { client in
                let pid = try await client.column("SELECT pg_backend_pid()", as: Int32.self)
                await #expect(throws: DomainError()) {
                    _ = try await client.copyOut("SELECT generate_series(1, 100000000)", into: 0) { count, _ in
                        count += 1
                        if count == 1_000 { throw DomainError() }
                    }
                }
                #expect(try await client.column("SELECT pg_backend_pid()", as: Int32.self) == pid)
            }
        }

        @Test("a field read as the wrong type is told by its position")
        func wrongType() async throws {
            try await withClient { client in
                func failure(
                    _ read: @escaping @Sendable (inout PostgresCopyRow) throws -> Void
                ) async throws -> PostgresDecodingError? {
                    let error = try await postgresError {
                        _ = try await client.copyOut("SELECT 1::int4, NULL::int4", into: ()) { _, row in try read(&row)
                        }
                    }
                    guard case .decoding(let error) = error else { return nil }
                    return error
                }
                let width = try await failure { row in _ = try row.int64() }
                #expect(width?.column == 0)
                #expect(width?.reason == .malformed)
                let null = try await failure { row in
                    try row.skip()
                    _ = try row.int32()
                }
                #expect(null?.column == 1)
                #expect(null?.reason == .null)
                let missing = try await failure { row in
                    for _ in 0..<3 { try row.skip() }
                }
                #expect(missing?.column == 2)
                #expect(missing?.reason == .noSuchColumn)
            }
        }

        @Test("the statement timeout and the call's own end a COPY")
        func timeouts() async throws {
            try await withClient({ $0.statementTimeout = .milliseconds(100) }) { client in
                let endless: PostgresStatement = "SELECT generate_series(1, 1000000000)"
                let began = ContinuousClock.now
                let server = try await postgresError {
                    _ = try await client.copyOut(endless, into: ()) { _, _ in }
                }
                // The server's limit gives the better error; a second after it the client's own ends what a server that gets no
                // processor does not.
                let isOwn = server == .timedOut && ContinuousClock.now - began >= .milliseconds(1_100)
                #expect(server.sqlState == .queryCanceled || isOwn, "\(server)")
            }
            try await withClient({ $0.poolSize = 1 }) { client in
                // The connection is there when the time begins to run.
                try await client.executeScript("CREATE TABLE copied_slowly (a int4)")
                let own = try await postgresError {
                    try await client.copyIn("copied_slowly", timeout: .milliseconds(200)) { writer in
                        while true { try writer.append(Int32(1)) }
                    }
                }
                #expect(own == .timedOut || own.sqlState == .queryCanceled, "\(own)")
                #expect(try await client.column("SELECT count(*) FROM copied_slowly", as: Int.self) == [0])
            }
        }
    }
}

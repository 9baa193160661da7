import Postgres
import Testing

extension ServerTests {
    @Suite("Types")
    struct PostgresTypeTests {
        /// Sends each value as a parameter, and expects it back.
        func roundTrip<Value: PostgresEncodable & PostgresDecodable & Equatable>(
            _ values: [Value],
            sourceLocation: SourceLocation = #_sourceLocation
        ) async throws {
            try await withClient { client in
                for value in values {
                    let back = try await client.column("SELECT $1", [value], as: Value.self)
                    #expect(back == [value], sourceLocation: sourceLocation)
                    let optional = try await client.column("SELECT $1", [Value?.some(value)], as: Value?.self)
                    #expect(optional == [value], sourceLocation: sourceLocation)
                }
                let null = try await client.column("SELECT $1", [Value?.none], as: Value?.self)
                #expect(null == [Value?.none], sourceLocation: sourceLocation)
            }
        }

        @Test("numbers and truth come back as sent, and NULL as nil")
        func numbers() async throws {
            try await roundTrip([true, false])
            try await roundTrip([Int16.min, -1, 0, .max])
            try await roundTrip([Int32.min, -1, 0, .max])
            try await roundTrip([Int64.min, -1, 0, .max])
            try await roundTrip([Int.min, -1, 0, .max])
            try await roundTrip([UInt64.min, 1, .max])
            try await roundTrip([Float.leastNonzeroMagnitude, -0.1, .greatestFiniteMagnitude, .infinity])
            try await roundTrip([Double.leastNonzeroMagnitude, -0.1, .greatestFiniteMagnitude, -.infinity])
        }

        @Test("NaN stays NaN")
        func notANumber() async throws {
            try await withClient { client async throws in
                #expect(try await client.column("SELECT $1", [Double.nan], as: Double.self).first?.isNaN == true)
            }
        }

        @Test("text, bytes and documents come back as sent")
        func texts() async throws {
            try await roundTrip(["", "a", "naïve 👩‍👩‍👧‍👦 \u{1F1E9}\u{1F1EA}", String(repeating: "é", count: 512 * 1_024)])
            try await roundTrip([[], [0, 255, 0], [UInt8](repeating: 7, count: 1 << 20)])
            try await roundTrip([PostgresJSON(#"{"a": [1, "ü", null]}"#), PostgresJSON("[]")])
        }

        @Test("arrays come back as sent: empty, long, with NULLs, of bytes")
        func arrays() async throws {
            try await roundTrip([[Bool](), [true, false]])
            try await roundTrip([[Int16](), [1, .min]])
            try await roundTrip([[Int32](), [1, -2, .max], Array(0..<10_000)])
            try await roundTrip([[Int64](), [1, .min]])
            try await roundTrip([[Int](), [1, .max]])
            try await roundTrip([[UInt64](), [1, .max]])
            try await roundTrip([[Float](), [0.5]])
            try await roundTrip([[Double](), [0.1, -.infinity]])
            try await roundTrip([[String](), ["", "a,\"b\"{}", "💡"]])
            try await roundTrip([[String?](), [nil], ["a", nil, "NULL"]])
            try await roundTrip([[[UInt8]](), [[], [1, 2]]])
            try await roundTrip([[PostgresTimestamp](), [.init(unixMicroseconds: 5), .infinity]])
            try await roundTrip([[PostgresJSON](), [.init("1"), .init("{}")]])
        }

        @Test("timestamps are microseconds since 1970, whatever the session's time zone")
        func timestamps() async throws {
            try await roundTrip([
                PostgresTimestamp(unixMicroseconds: 0), .init(unixMicroseconds: -1),
                .init(unixMicroseconds: 1_790_000_000_123_456), .infinity, .negativeInfinity,
            ])
            try await withClient { client in
                let times = try await client.column(
                    "SELECT unnest(ARRAY['1970-01-01 00:00:01+00', '2026-11-21 10:00:00.000001+02']::timestamptz[])",
                    as: PostgresTimestamp.self
                )
                #expect(times.map(\.unixMicroseconds) == [1_000_000, 1_795_248_000_000_001])
                let texts = try await client.column(
                    "SELECT ($1 AT TIME ZONE 'UTC')::text",
                    [PostgresTimestamp(unixMicroseconds: 1_795_248_000_000_001)],
                    as: String.self
                )
                #expect(texts == ["2026-11-21 08:00:00.000001"])
            }
        }

        @Test("transaction ids are numbers that compare")
        func transactionIDs() async throws {
            try await withClient { client in
                let id = try #require(try await client.column("SELECT pg_current_xact_id()", as: UInt64.self).first)
                let later = try await client.column("SELECT pg_current_xact_id() > $1", [id], as: Bool.self)
                #expect(later == [true])
            }
        }

        @Test("integers widen, and the character types are all text")
        func widening() async throws {
            try await withClient { client in
                let sums = try await client.query(
                    "SELECT 1::int2, 2::int4, 3::int8, 1.5::float4, 'a'::varchar, 'b'::char(2), 'c'::name, 'd'"
                ) { row in
                    let numbers = [try row.decode(0, as: Int64.self), try row.decode(1), try row.decode(2)]
                    let texts = [
                        try row.decode(4, as: String.self), try row.decode(5), try row.decode(6), try row.decode(7),
                    ]
                    return
                        "\(numbers) \(try row.decode(0, as: Int32.self)) \(try row.decode(3, as: Double.self)) \(texts)"
                }
                #expect(sums == [#"[1, 2, 3] 1 1.5 ["a", "b ", "c", "d"]"#])
            }
        }

        @Test("a value that does not fit is told by column and type")
        func mismatches() async throws {
            try await withClient { client async throws in
                func failure<Value: PostgresDecodable>(
                    _ sql: PostgresStatement,
                    _ column: Int,
                    _ type: Value.Type
                ) async throws -> PostgresDecodingError? {
                    let error = try await postgresError {
                        _ = try await client.query(sql) { row in
                            _ = try row.decode(column, as: Value.self)
                        }
                    }
                    guard case .decoding(let error) = error else { return nil }
                    return error
                }
                #expect(
                    try await failure("SELECT 1 AS a, 'x'::text AS b", 1, Int32.self)
                        == .init(column: 1, name: "b", expected: .int4, actual: .text, reason: .typeMismatch)
                )
                #expect(
                    try await failure("SELECT 1::int8 AS a", 0, Int32.self)
                        == .init(column: 0, name: "a", expected: .int4, actual: .int8, reason: .typeMismatch)
                )
                #expect(
                    try await failure("SELECT NULL::int4 AS a", 0, Int32.self)
                        == .init(column: 0, name: "a", expected: .int4, actual: .int4, reason: .null)
                )
                #expect(
                    try await failure("SELECT 1 AS a", 1, String.self)
                        == .init(column: 1, name: nil, expected: .text, actual: .unspecified, reason: .noSuchColumn)
                )
                #expect(
                    try await failure("SELECT 'long enough to be an array'::text AS a", 0, [String].self)
                        == .init(column: 0, name: "a", expected: .textArray, actual: .text, reason: .typeMismatch)
                )
                #expect(try await failure("SELECT ARRAY[1]", 0, [String].self)?.reason == .typeMismatch)
                #expect(try await failure("SELECT ARRAY[[1, 2], [3, 4]]", 0, [Int32].self)?.reason == .malformed)
                #expect(try await failure("SELECT ARRAY['a', NULL]", 0, [String].self)?.reason == .null)
            }
        }

        @Test("columns of arrays insert rows through unnest")
        func unnest() async throws {
            try await withClient { client in
                try await client.executeScript("CREATE TABLE unnested (id int4, name text, at timestamptz, raw bytea)")
                let count = try await client.execute(
                    "INSERT INTO unnested SELECT * FROM unnest($1, $2, $3, $4)",
                    [
                        [Int32(1), 2], ["a", String?.none], [PostgresTimestamp(unixMicroseconds: 3), .infinity],
                        [[UInt8](), [9]],
                    ]
                )
                #expect(count == 2)
                let rows = try await client.query("SELECT name, raw FROM unnested ORDER BY id") { row in
                    "\(try row.decode(0, as: String?.self) ?? "-") \(try row.decode(1, as: [UInt8].self))"
                }
                #expect(rows == ["a []", "- [9]"])
            }
        }

        @Test("text with a NUL is refused by the server, not cut short")
        func nulByte() async throws {
            try await withClient { client in
                let error = try await postgresError { try await client.execute("SELECT $1", ["a\0b"]) }
                #expect(error.sqlState == .characterNotInRepertoire)
            }
        }

        @Test("bytes can be read in place")
        func inPlace() async throws {
            try await withClient { client in
                let lengths = try await client.query("SELECT 'abc'::text, NULL::text") { row in
                    [try row.withBytes(0) { $0?.byteCount ?? -1 }, try row.withBytes(1) { $0?.byteCount ?? -1 }]
                }
                #expect(lengths == [[3, -1]])
            }
        }
    }
}

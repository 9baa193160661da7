import Metrics
import LocalServers
import MetricsTestKit
import Postgres
import Synchronization
import Testing

extension ServerTests {
    @Suite("Calls that run again")
    struct PostgresRetryTests {
        /// The body gets a client of one connection, open already, that goes through a proxy, and one that does not.
        private func withFaults(
            _ body: (PostgresClient, FaultyProxy, _ direct: PostgresClient, TestMetrics) async throws -> Void
        ) async throws {
            let parts = ServerTests.url.split(separator: ":")
            let target = try #require(Int(parts[3].prefix { $0.isNumber }))
            let metrics = TestMetrics()
            try await withClient { direct in
                try await FaultyProxy.with(target: target) { proxy, port in
                    let url = ServerTests.url.replacing(":\(target)/", with: ":\(port)/")
                    try await withMetricsFactory(metrics) {
                        try await withClient(url: url, { $0.poolSize = 1 }) { client in
                            try await client.execute("SELECT 1")
                            try await body(client, proxy, direct, metrics)
                        }
                    }
                }
            }
        }

        private func retries(_ metrics: TestMetrics) throws -> Int64 {
            try metrics.expectCounter("vireo_postgres_retries_total", [("pool", "primary")]).totalValue
        }

        private func table(_ name: String, _ client: PostgresClient) async throws {
            try await client.execute("CREATE TABLE \(identifier: name) (n integer)")
        }

        @Test("a write of which nothing was sent runs on another connection, once")
        func unsentWrite() async throws {
            try await withFaults { client, proxy, direct, metrics in
                try await table("unsent", direct)
                // Preparing it finds the connection dead.
                proxy.arm(.before("P"))
                #expect(try await client.execute("INSERT INTO unsent VALUES (1)") == 1)
                #expect(proxy.cutCount == 1)
                #expect(try await direct.column("SELECT count(*) FROM unsent", as: Int64.self) == [1])
                #expect(try retries(metrics) == 1)
            }
        }

        @Test(
            "a write that was sent does not run again, whether the server saw it or not",
            arguments: [(.before("B"), 0), (.after("B"), 1)] as [(FaultyProxy.Fault, Int64)]
        )
        func sentWrite(fault: FaultyProxy.Fault, stored: Int64) async throws {
            try await withFaults { client, proxy, direct, metrics in
                let name = "sent\(stored)"
                try await table(name, direct)
                let insertion: PostgresStatement = "INSERT INTO \(identifier: name) VALUES (1)"
                // Query is for any statement, so it is no read either.
                proxy.arm(fault)
                let error = try await postgresError { try await client.query(insertion) { _ in } }
                #expect(error == .connectionLost)
                #expect(proxy.cutCount == 1)
                if stored > 0 {
                    try await direct.waitUntil("SELECT count(*) = 1 FROM \(identifier: name)")
                }
                #expect(try await direct.column("SELECT count(*) FROM \(identifier: name)", as: Int64.self) == [stored])
                #expect(try retries(metrics) == 0)
                try await client.execute("SELECT 1")
            }
        }

        @Test("a transaction runs again only if the connection was dead before its first statement")
        func transaction() async throws {
            try await withFaults { client, proxy, direct, metrics in
                try await table("transacted", direct)
                let runs = Mutex(0)
                let insert: @Sendable (inout PostgresTransaction) throws -> Void = { transaction in
                    runs.withLock { $0 += 1 }
                    try transaction.execute("INSERT INTO transacted VALUES (1)")
                }
                // BEGIN is a script.
                proxy.arm(.before("Q"))
                try await client.transaction(insert)
                #expect(runs.withLock { $0 } == 1)
                #expect(try await direct.column("SELECT count(*) FROM transacted", as: Int64.self) == [1])

                proxy.arm(.before("B"))
                #expect(try await postgresError { try await client.transaction(insert) } == .connectionLost)
                #expect(runs.withLock { $0 } == 2)
                #expect(try await direct.column("SELECT count(*) FROM transacted", as: Int64.self) == [1])
                #expect(try retries(metrics) == 1)
            }
        }

        @Test(
            "a read runs again wherever its connection broke",
            arguments: [FaultyProxy.Fault.before("P"), .before("B"), .after("B")]
        )
        func read(fault: FaultyProxy.Fault) async throws {
            try await withFaults { client, proxy, _, metrics in
                proxy.arm(fault)
                let numbers = try await client.read("SELECT generate_series(1, 3)") { row in
                    try row.decode(0, as: Int32.self)
                }
                #expect(numbers == [1, 2, 3])
                #expect(proxy.cutCount == 1)
                #expect(try retries(metrics) == 1)
            }
        }

        @Test("a read-only transaction and a COPY out run again as a whole")
        func readOnlyTransaction() async throws {
            try await withFaults { client, proxy, _, _ in
                proxy.arm(.after("B"))
                let number = try await client.transaction(readOnly: true) { transaction in
                    try transaction.query("SELECT 7") { row in try row.decode(0, as: Int32.self) }[0]
                }
                #expect(number == 7)
                proxy.arm(.after("Q"))
                let sum = try await client.copyOut("SELECT generate_series(1, 100)", into: 0) { sum, row in
                    sum += Int(try row.int32())
                }
                #expect(sum == 5_050)
                #expect(proxy.cutCount == 2)
            }
        }

        @Test("a read that the server could not let go on beside others runs again, three times at most")
        func serializationFailure() async throws {
            try await withFaults { client, _, direct, metrics in
                try await direct.executeScript(
                    """
                    CREATE SEQUENCE tries;
                    CREATE FUNCTION fail_until(attempt bigint) RETURNS bigint LANGUAGE plpgsql AS $$
                    DECLARE current bigint := nextval('tries');
                    BEGIN
                        IF current < attempt THEN RAISE EXCEPTION 'conflict' USING ERRCODE = '40001'; END IF;
                        RETURN current;
                    END $$;
                    """
                )
                let third = try await client.read("SELECT fail_until(3)") { row in try row.decode(0, as: Int64.self) }
                #expect(third == [3])
                #expect(try retries(metrics) == 2)
                let error = try await postgresError {
                    try await client.read("SELECT fail_until(1000)") { row in try row.decode(0, as: Int64.self) }
                }
                #expect(error.sqlState == .serializationFailure)
                #expect(try await direct.column("SELECT last_value FROM tries", as: Int64.self) == [6])
                // A statement that may write is left to its caller.
                let failed = try await postgresError { try await client.execute("SELECT fail_until(1000)") }
                #expect(failed.sqlState == .serializationFailure)
                #expect(try await direct.column("SELECT last_value FROM tries", as: Int64.self) == [7])
            }
        }

        @Test("a cancelled or late read is not tried again")
        func stopped() async throws {
            try await withFaults { client, _, _, metrics in
                // Long enough for a busy machine to send it: what was not sent needs no cancel request.
                let error = try await postgresError {
                    try await client.read("SELECT pg_sleep(1000)", timeout: .milliseconds(500)) { _ in }
                }
                #expect(error == .timedOut)
                #expect(try retries(metrics) == 0)
                let cancels = try metrics.expectCounter(
                    "vireo_postgres_cancel_requests_total",
                    [("pool", "primary")]
                )
                #expect(cancels.totalValue >= 1)
            }
        }

        @Test("connections opened, closed and failed are counted, and the waits for them")
        func counts() async throws {
            try await withFaults { client, proxy, _, metrics in
                let pool = [("pool", "primary")]
                proxy.arm(.before("P"))
                _ = try await client.read("SELECT 2") { row in try row.decode(0, as: Int32.self) }
                #expect(try metrics.expectCounter("vireo_postgres_connections_opened_total", pool).totalValue == 2)
                #expect(try metrics.expectCounter("vireo_postgres_connections_closed_total", pool).totalValue == 1)
                #expect(try metrics.expectCounter("vireo_postgres_connections_failed_total", pool).totalValue == 0)
                #expect(try metrics.expectTimer("vireo_postgres_wait_duration", pool).values.count == 2)
            }
            let metrics = TestMetrics()
            try await withMetricsFactory(metrics) {
                let port = try FreePort.find()
                try await withClient(url: "postgresql://postgres:hidden-pw@127.0.0.1:\(port)/postgres") { client in
                    let error = try await postgresError { try await client.execute("SELECT 1") }
                    guard case .connectionFailed = error else { throw error }
                    #expect(!String(reflecting: error).contains("hidden-pw"))
                    let failed = try metrics.expectCounter(
                        "vireo_postgres_connections_failed_total",
                        [("pool", "primary")]
                    )
                    #expect(failed.totalValue == 1)
                }
            }
        }
    }
}

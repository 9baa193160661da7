import Metrics
import MetricsTestKit
import Postgres
import Synchronization
import Testing

extension ServerTests {
    @Suite("Pool")
    struct PostgresPoolTests {
        final class Order: Sendable {
            let numbers = Mutex<[Int]>([])
        }

        /// A pool of one connection, which is held busy while `body` runs.
        func withBusyPool(
            lock: Int32,
            _ configure: (inout PostgresConfiguration) -> Void = { _ in },
            _ body: (PostgresClient, TestMetrics, _ unlock: () async throws -> Void) async throws -> Void
        ) async throws {
            let metrics = TestMetrics()
            try await withMetricsFactory(metrics) {
                try await withClient({
                    configure(&$0); $0.poolSize = 1
                }) { client in
                    try await client.withSession { holder in
                        try await holder.execute("SELECT pg_advisory_lock($1)", [Int64(lock)])
                        async let held = client.execute("SELECT pg_advisory_lock($1)", [Int64(lock)])
                        try await holder.waitForSomebody(at: lock)
                        let unlock = { _ = try await holder.execute("SELECT pg_advisory_unlock($1)", [Int64(lock)]) }
                        try await body(client, metrics, unlock)
                        // Unless the body has done so.
                        try await unlock()
                        #expect(try await held == 1)
                    }
                }
            }
        }

        func waitForLine(of count: Double, _ metrics: TestMetrics) async throws {
            let gauge = try metrics.expectGauge("vireo_postgres_waiting", [("pool", "primary")])
            try await wait { gauge.lastValue == count }
        }

        @Test("there are never more connections than the pool's size")
        func bounded() async throws {
            try await withClient({
                $0.poolSize = 2; $0.applicationName = "bounded"
            }) { client in
                let counts = try await withThrowingTaskGroup(of: [Int].self) { group in
                    for _ in 0..<40 {
                        group.addTask {
                            try await client.column(
                                "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'bounded'"
                            )
                        }
                    }
                    return try await group.reduce(into: []) { $0 += $1 }
                }
                #expect(counts.count == 40)
                #expect(counts.allSatisfy { (1...2).contains($0) })
            }
        }

        @Test("who waits too long gets a pool timeout, counted as an error")
        func acquireTimeout() async throws {
            try await withBusyPool(lock: 101, { $0.acquireTimeout = .milliseconds(30) }) { client, metrics, _ in
                #expect(try await postgresError { try await client.execute("SELECT 1") } == .poolTimeout)
                let counter = try metrics.expectCounter(
                    "vireo_postgres_errors_total",
                    [("pool", "primary"), ("kind", "pool_timeout")]
                )
                #expect(counter.totalValue == 1)
            }
        }

        @Test("a call's own timeout covers the wait for a connection")
        func callTimeout() async throws {
            try await withBusyPool(lock: 102) { client, _, _ in
                let error = try await postgresError { try await client.execute("SELECT 1", timeout: .milliseconds(30)) }
                #expect(error == .poolTimeout)
            }
        }

        @Test("the line is bounded, and who is cancelled leaves it")
        func boundedLine() async throws {
            try await withBusyPool(lock: 103, { $0.maxWaiters = 1 }) { client, metrics, _ in
                let waiting = Task { try await postgresError { try await client.execute("SELECT 1") } }
                try await waitForLine(of: 1, metrics)
                #expect(try await postgresError { try await client.execute("SELECT 1") } == .poolQueueFull)
                waiting.cancel()
                #expect(try await waiting.value == .cancelled)
                try await waitForLine(of: 0, metrics)
            }
        }

        @Test("those in line are served in the order they came")
        func firstComeFirstServed() async throws {
            let order = Order()
            try await withBusyPool(lock: 104) { client, metrics, unlock in
                var tasks: [Task<Void, any Error>] = []
                for number in 1...5 {
                    tasks.append(
                        Task {
                            _ = try await client.query("SELECT 1") { _ in order.numbers.withLock { $0.append(number) } }
                        }
                    )
                    try await waitForLine(of: Double(number), metrics)
                }
                try await unlock()
                for task in tasks { try await task.value }
            }
            #expect(order.numbers.withLock { $0 } == [1, 2, 3, 4, 5])
        }

        @Test("a task that is cancelled already sends nothing")
        func cancelledBefore() async throws {
            try await withClient { client async throws in
                let task = Task {
                    try await wait { Task.isCancelled }
                    return try await postgresError { try await client.execute("CREATE TABLE never ()") }
                }
                task.cancel()
                #expect(try await task.value == .cancelled)
                #expect(try await client.column("SELECT to_regclass('never') IS NULL", as: Bool.self) == [true])
            }
        }

        @Test("cancelling a task ends its statement and keeps the connection")
        func cancelledWhileRunning() async throws {
            try await withClient({ $0.poolSize = 1 }) { client in
                var pid = try #require(try await client.column("SELECT pg_backend_pid()", as: Int32.self).first)
                var isKept = false
                // A server that has not heeded the cancel request within the grace time loses its connection.
                for _ in 0..<10 where !isKept {
                    let task = Task { try await postgresError { try await client.execute("SELECT pg_sleep(1000)") } }
                    try await withClient { other in
                        try await other.waitUntil(
                            "SELECT wait_event = 'PgSleep' FROM pg_stat_activity WHERE pid = $1",
                            [pid]
                        )
                    }
                    let start = ContinuousClock.now
                    task.cancel()
                    #expect(try await task.value == .cancelled)
                    let elapsed = ContinuousClock.now - start
                    let now = try #require(try await client.column("SELECT pg_backend_pid()", as: Int32.self).first)
                    isKept = now == pid
                    #expect(isKept || elapsed >= .seconds(1), "after \(elapsed)")
                    pid = now
                }
                #expect(isKept)
            }
        }

        @Test("a timeout ends the statement and keeps the connection, and the next statement is not hit")
        func timeout() async throws {
            try await withClient({ $0.poolSize = 1 }) { client in
                var pid = try await client.column("SELECT pg_backend_pid()", as: Int32.self)
                var kept = 0
                for _ in 0..<20 {
                    let start = ContinuousClock.now
                    let error = try await postgresError {
                        try await client.execute("SELECT pg_sleep(1000)", timeout: .milliseconds(5))
                    }
                    #expect(error == .timedOut)
                    let elapsed = ContinuousClock.now - start
                    let now = try await client.column("SELECT pg_backend_pid()", as: Int32.self)
                    // A server that has not heeded the cancel request within the grace time loses its connection.
                    #expect(now == pid || elapsed >= .seconds(1), "after \(elapsed)")
                    if now == pid { kept += 1 }
                    pid = now
                }
                #expect(kept > 0)
            }
        }

        @Test("many tasks share few connections, and the gauges come back to rest")
        func load() async throws {
            let metrics = TestMetrics()
            try await withMetricsFactory(metrics) {
                try await withClient { client in
                    try await withThrowingTaskGroup(of: [Int].self) { group in
                        for number in 0..<500 {
                            group.addTask { try await client.column("SELECT $1", [number]) }
                        }
                        var sum = 0
                        for try await numbers in group { sum += numbers.reduce(0, +) }
                        #expect(sum == 124_750)
                    }
                    #expect(try metrics.expectGauge("vireo_postgres_waiting", [("pool", "primary")]).lastValue == 0)
                    let busy = [("pool", "primary"), ("state", "busy")]
                    #expect(try metrics.expectGauge("vireo_postgres_connections", busy).lastValue == 0)
                    let idle = [("pool", "primary"), ("state", "idle")]
                    #expect(try metrics.expectGauge("vireo_postgres_connections", idle).lastValue == 3)
                    let calls = try metrics.expectTimer("vireo_postgres_call_duration", [("pool", "primary")])
                    #expect(calls.values.count == 500)
                }
            }
        }
    }
}

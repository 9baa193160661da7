import Metrics
import MetricsTestKit
import Postgres
import Synchronization
import Testing

extension ServerTests {
    @Suite("Reads that go together")
    struct PostgresSharedReadTests {
        /// A read of its number, which takes a time, fails or kills its connection.
        private struct Call: Sendable {
            var number: Int32 = 0
            var sleep = 0.0
            var divisor: Int32 = 1
            var kills: Int64 = 0
            var timeout: Duration?
        }

        private struct Answer: Sendable, Equatable {
            let number: Int32
            /// When its transaction began.
            let at: PostgresTimestamp
        }

        /// Tests run beside each other on one server: each line has a lock and a sequence of its own.
        private static let lines = Atomic<Int>(700)

        private typealias Outcome = Result<[Answer], PostgresError>

        private func read(_ call: Call, _ client: PostgresClient, line: Int) async -> Outcome {
            do throws(PostgresError) {
                let rows = try await client.read(
                    """
                    SELECT $1 / $3, now() FROM (SELECT pg_sleep($2)) AS slept
                    WHERE CASE WHEN $4 > 0 AND nextval(\(literal: "kills\(line)")) <= $4
                    THEN pg_terminate_backend(pg_backend_pid()) ELSE true END
                    """,
                    [call.number, call.sleep, call.divisor, call.kills],
                    timeout: call.timeout
                ) { row in
                    Answer(number: try row.decode(0), at: try row.decode(1))
                }
                return .success(rows)
            } catch {
                return .failure(error)
            }
        }

        /// The body gets the calls of a line, which is let go to connections that have been busy until then.
        ///
        /// Two for each connection go first, so that the statement is prepared and has been quick. On a busy machine it may not
        /// have been: the whole is repeated until `isDone`.
        private func withLine(
            _ calls: [Call],
            connections: Int = 1,
            isDone: (TestMetrics, [Outcome]) throws -> Bool,
            _ body: (PostgresClient, [Task<Outcome, Never>]) async throws -> Void = { _, _ in }
        ) async throws -> [Outcome] {
            let limit = ContinuousClock.now + .seconds(30)
            while true {
                let metrics = TestMetrics()
                let outcomes = try await withMetricsFactory(metrics) {
                    try await withClient({ $0.poolSize = connections }) { client in
                        try await withLine(calls, connections, client, metrics, body)
                    }
                }
                if try isDone(metrics, outcomes) { return outcomes }
                try #require(ContinuousClock.now < limit, "they never went together")
            }
        }

        private func withLine(
            _ calls: [Call],
            _ connections: Int,
            _ client: PostgresClient,
            _ metrics: TestMetrics,
            _ body: (PostgresClient, [Task<Outcome, Never>]) async throws -> Void
        ) async throws -> [Outcome] {
            let line = Self.lines.wrappingAdd(1, ordering: .relaxed).newValue
            return try await client.withSession { holder in
                try await holder.execute("CREATE SEQUENCE \(identifier: "kills\(line)")")
                try await holder.execute("SELECT pg_advisory_lock($1)", [line])
                var tasks: [Task<Outcome, Never>] = []
                let held = (0..<connections).map { _ in
                    Task { try await client.execute("SELECT pg_advisory_lock_shared($1)", [line]) }
                }
                let waiting: PostgresStatement = """
                    SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid::int8 = $1 AND NOT granted
                    """
                let limit = ContinuousClock.now + .seconds(20)
                while try await holder.query(waiting, [line], decode: { try $0.decode(0, as: Int.self) }) != [
                    connections
                ] {
                    try #require(ContinuousClock.now < limit)
                }
                let gauge = try metrics.expectGauge("vireo_postgres_waiting", [("pool", "primary")])
                let leading = [Call](repeating: Call(number: -1), count: 2 * connections)
                for (place, call) in (leading + calls).enumerated() {
                    tasks.append(Task { await read(call, client, line: line) })
                    try await wait { gauge.lastValue == Double(place + 1) }
                }
                _ = try await holder.execute("SELECT pg_advisory_unlock($1)", [line])
                for task in held { _ = try await task.value }
                tasks.removeFirst(leading.count)
                try await body(client, tasks)
                var outcomes: [Outcome] = []
                for task in tasks { outcomes.append(await task.value) }
                return outcomes
            }
        }

        private func retries(_ metrics: TestMetrics) throws -> Int64 {
            try metrics.expectCounter("vireo_postgres_retries_total", [("pool", "primary")]).totalValue
        }

        /// Whether some were left without rows by those they went with.
        private func hasGivenBack(_ metrics: TestMetrics, _: [Outcome]) throws -> Bool { try retries(metrics) > 0 }

        private func numbers(_ outcome: Outcome) -> [Int32]? { try? outcome.get().map(\.number) }

        @Test("those that wait go together, and each gets its own rows")
        func together() async throws {
            let calls = (1...20).map { Call(number: $0) }
            var ended: Int64 = 0
            let outcomes = try await withLine(calls) { metrics, outcomes in
                ended = try Int64(
                    metrics.expectTimer("vireo_postgres_call_duration", [("pool", "primary")]).values.count
                )
                let starts = Set(outcomes.compactMap { try? $0.get().first?.at.unixMicroseconds })
                return starts.count < 20
            }
            #expect(outcomes.map(numbers) == (1...20).map { [$0] })
            // One for the lock and two that go first.
            #expect(ended == 23)
        }

        @Test("the error of one is its own")
        func errorInTheMiddle() async throws {
            var calls = (1...7).map { Call(number: $0) }
            calls[3].divisor = 0
            let outcomes = try await withLine(calls, isDone: hasGivenBack)
            for (place, outcome) in outcomes.enumerated() where place != 3 {
                #expect(numbers(outcome) == [Int32(place + 1)])
            }
            guard case .failure(.server(let error)) = outcomes[3] else { throw NothingThrown() }
            #expect(error.sqlState.code == "22012")
        }

        @Test("a task that is cancelled takes only its own read with it", arguments: [0, 3])
        func cancellation(place: Int) async throws {
            var calls = (1...7).map { Call(number: $0) }
            calls[place].sleep = 1_000
            let outcomes = try await withLine(calls, isDone: hasGivenBack) { _, tasks in
                try await withClient { other in
                    try await other.waitUntil(
                        """
                        SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep'
                        AND query LIKE '%kills%')
                        """
                    )
                }
                tasks[place].cancel()
            }
            for (number, outcome) in outcomes.enumerated() where number != place {
                #expect(numbers(outcome) == [Int32(number + 1)])
            }
            #expect(outcomes[place] == .failure(.cancelled))
        }

        @Test("the timeout of the first takes only its own read with it")
        func timeout() async throws {
            var calls = (1...7).map { Call(number: $0) }
            calls[0].sleep = 1_000
            calls[0].timeout = .seconds(3)
            let outcomes = try await withLine(calls, isDone: hasGivenBack)
            #expect(outcomes[0] == .failure(.timedOut))
            #expect(outcomes.dropFirst().map(numbers) == (2...7).map { [$0] })
        }

        @Test("a slow one does not hold up the others, which another connection takes")
        func slowFirst() async throws {
            var calls = (1...9).map { Call(number: $0) }
            calls[0].sleep = 1_000
            let outcomes = try await withLine(calls, connections: 2, isDone: hasGivenBack) { _, tasks in
                for (place, task) in tasks.enumerated().dropFirst() {
                    #expect(numbers(await task.value) == [Int32(place + 1)])
                }
                tasks[0].cancel()
            }
            #expect(outcomes[0] == .failure(.cancelled))
        }

        @Test("a connection that is lost loses nothing, and who kills it again and again only its own read")
        func killedConnection() async throws {
            var calls = (1...7).map { Call(number: $0) }
            calls[3].kills = 1
            // Alone it would have run again once.
            let once = try await withLine(calls) { metrics, _ in try retries(metrics) > 1 }
            #expect(once.map(numbers) == (1...7).map { [$0] })
            calls[3].kills = 100
            let often = try await withLine(calls) { metrics, _ in try retries(metrics) > 2 }
            for (place, outcome) in often.enumerated() where place != 3 {
                #expect(numbers(outcome) == [Int32(place + 1)])
            }
            #expect(often[3] == .failure(.connectionLost))
        }
    }
}

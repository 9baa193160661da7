import Glibc
import Postgres

/// 50 rows of one user, prepared, by many tasks; the table `bench` is made by the script.
struct PostgresRead {
    let connections: Int
    let users: Int

    private struct Event: Sendable {
        let item: Int32
        let type: Int16
        let value: Float
        let at: PostgresTimestamp
    }

    func run(tasks: Int, seconds: Int) async throws {
        try await withBenchClient(connections: connections) { client in
            let users = Int32(users)
            try await Load(tasks: tasks, seconds: seconds).run("postgres-read") { _ in
                let rows = try await client.read(
                    """
                    SELECT item_number, type, value, occurred_at FROM bench WHERE user_number = $1
                    ORDER BY occurred_at DESC LIMIT 50
                    """,
                    [Int64(Int32.random(in: 1...users))]
                ) { row in
                    Event(
                        item: try row.decode(0),
                        type: try row.decode(1),
                        value: try row.decode(2),
                        at: try row.decode(3)
                    )
                }
                guard rows.count == 50 else { throw WrongAnswer() }
            }
        }
    }
}

/// The interactions columns out by COPY, folded as training folds them.
enum PostgresCopy {
    private struct Sum: Sendable {
        var rows = 0
        var check: Int64 = 0
    }

    static func run(seconds: Int) async throws {
        try await withBenchClient(connections: 1) { client in
            let clock = ContinuousClock()
            let end = clock.now + .seconds(seconds)
            var best = 0.0
            repeat {
                let start = clock.now
                let sum = try await client.copyOut(
                    "SELECT user_number, item_number, type, value, occurred_at FROM bench",
                    into: Sum(),
                    timeout: .seconds(100)
                ) { sum, row in
                    sum.rows += 1
                    sum.check &+= try row.int64() &+ Int64(try row.int32()) &+ Int64(try row.int16())
                    sum.check &+= Int64(try row.float()) &+ (try row.timestamp().unixMicroseconds)
                }
                let rate = Double(sum.rows) / start.duration(to: clock.now).inSeconds
                best = max(best, rate)
                print("postgres-copy \(sum.rows) rows, \(Int(rate)) rows per second (check \(sum.check))")
            } while clock.now < end
            print("postgres-copy best \(Int(best)) per second")
        }
    }
}

private func withBenchClient(connections: Int, _ body: (PostgresClient) async throws -> Void) async throws {
    guard let url = getenv("STORE_BENCH_POSTGRES_URL") else { return print("STORE_BENCH_POSTGRES_URL is not set") }
    var configuration = try PostgresConfiguration(url: String(cString: url))
    configuration.poolSize = connections
    let client = PostgresClient(configuration: configuration, logger: .silent)
    try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { await client.run() }
        try await body(client)
        group.cancelAll()
    }
}

extension Duration {
    fileprivate var inSeconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}

import Glibc
import Postgres
import Synchronization

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
            let users = UInt64(users)
            let draws = Atomic<UInt64>(0)
            try await Load(tasks: tasks, seconds: seconds).run("postgres-read") { _ in
                // As cheap as pgbench's own: the system's generator would cost a system call a query.
                let draw = draws.wrappingAdd(1, ordering: .relaxed).newValue &* 0x9E37_79B9_7F4A_7C15
                let user = Int64((draw >> 32) % users) + 1
                let rows = try await client.read(
                    """
                    SELECT item_number, type, value, occurred_at FROM bench WHERE user_number = $1
                    ORDER BY occurred_at DESC LIMIT 50
                    """,
                    [user]
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

    /// With more than one connection each reads its share of the table's pages.
    static func run(seconds: Int, connections: Int) async throws {
        try await withBenchClient(connections: connections) { client in
            let pages = try await client.query(
                "SELECT relpages::bigint FROM pg_class WHERE oid = 'bench'::regclass"
            ) { try $0.decode(0, as: Int64.self) }[0]
            let clock = ContinuousClock()
            let end = clock.now + .seconds(seconds)
            var best = 0.0
            repeat {
                let start = clock.now
                let sum = try await withThrowingTaskGroup(of: Sum.self) { group in
                    for share in 0..<Int64(connections) {
                        let first = pages * share / Int64(connections)
                        let next =
                            share + 1 == connections ? Int64(UInt32.max) : pages * (share + 1) / Int64(connections)
                        group.addTask { try await read(client, pages: first..<next, whole: connections == 1) }
                    }
                    return try await group.reduce(into: Sum()) {
                        $0.rows += $1.rows
                        $0.check &+= $1.check
                    }
                }
                let rate = Double(sum.rows) / start.duration(to: clock.now).inSeconds
                best = max(best, rate)
                print("postgres-copy \(sum.rows) rows, \(Int(rate)) rows per second (check \(sum.check))")
            } while clock.now < end
            print("postgres-copy best \(Int(best)) per second")
        }
    }

    private static func read(_ client: PostgresClient, pages: Range<Int64>, whole: Bool) async throws -> Sum {
        let columns: PostgresStatement = "SELECT user_number, item_number, type, value, occurred_at FROM bench"
        let query: PostgresStatement =
            whole
            ? columns
            : """
            \(columns) WHERE ctid >= \(literal: "(\(pages.lowerBound),0)")::tid
            AND ctid < \(literal: "(\(pages.upperBound),0)")::tid
            """
        return try await client.copyOut(query, into: Sum(), timeout: .seconds(100)) { sum, row in
            sum.rows += 1
            sum.check &+= try row.int64() &+ Int64(try row.int32()) &+ Int64(try row.int16())
            sum.check &+= Int64(try row.float()) &+ (try row.timestamp().unixMicroseconds)
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

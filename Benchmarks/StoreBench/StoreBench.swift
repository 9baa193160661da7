import Logging
import Postgres
import Redis
import Synchronization

/// What the drivers reach by themselves; `Benchmarks/stores` runs it beside the tools of the servers.
///
///     store-bench redis-get PORT TASKS SECONDS CONNECTIONS
///     store-bench postgres-read TASKS SECONDS CONNECTIONS USERS      (URL in STORE_BENCH_POSTGRES_URL)
///     store-bench postgres-copy SECONDS [CONNECTIONS]
@main
struct StoreBench {
    static func main() async throws {
        let arguments = CommandLine.arguments.dropFirst()
        let numbers = arguments.dropFirst().compactMap { Int($0) }
        switch (arguments.first, numbers.count) {
        case ("redis-get", 4):
            try await RedisGet(port: numbers[0], connections: numbers[3]).run(tasks: numbers[1], seconds: numbers[2])
        case ("postgres-read", 4):
            try await PostgresRead(connections: numbers[2], users: numbers[3]).run(
                tasks: numbers[0],
                seconds: numbers[1]
            )
        case ("postgres-copy", 1...2):
            try await PostgresCopy.run(seconds: numbers[0], connections: numbers.count == 2 ? numbers[1] : 1)
        default: print("usage: store-bench redis-get|postgres-read|postgres-copy NUMBERS")
        }
    }
}

/// Calls made one after the other by each of many tasks, for a time.
struct Load {
    let tasks: Int
    let seconds: Int

    /// Prints the rate and the latencies of what `call` does, after a second to warm up; `call` gets its task's number.
    func run(_ name: String, _ call: @escaping @Sendable (Int) async throws -> Void) async throws {
        let clock = ContinuousClock()
        let warm = clock.now + .seconds(1)
        let end = warm + .seconds(seconds)
        let samples = try await withThrowingTaskGroup(of: (count: Int, latencies: [Duration]).self) { group in
            for task in 0..<tasks {
                group.addTask { @concurrent in
                    var count = 0
                    var latencies: [Duration] = []
                    var last = clock.now
                    while last < end {
                        try await call(task)
                        let now = clock.now
                        if last >= warm {
                            count += 1
                            // One of 16 is enough to tell a percentile by.
                            if count & 15 == 0 { latencies.append(last.duration(to: now)) }
                        }
                        last = now
                    }
                    return (count, latencies)
                }
            }
            return try await group.reduce(into: (count: 0, latencies: [Duration]())) {
                $0.count += $1.count
                $0.latencies += $1.latencies
            }
        }
        let sorted = samples.latencies.sorted()
        let rate = samples.count / seconds
        let median = sorted[sorted.count / 2].microseconds
        let late = sorted[sorted.count * 99 / 100].microseconds
        print("\(name) \(rate) per second, p50 \(median) us, p99 \(late) us")
    }
}

extension Duration {
    fileprivate var microseconds: Int64 { components.seconds * 1_000_000 + components.attoseconds / 1_000_000_000_000 }
}

extension Logger {
    static let silent = Logger(label: "bench") { _ in SwiftLogNoOpLogHandler() }
}

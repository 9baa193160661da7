import Foundation
import LocalServers
import Testing

/// Limits of keys, over all nodes.
@Suite("Fleet with limited keys", .serialized)
struct RateFleetTests {
    private static func get(_ fleet: Fleet, _ node: Int, _ key: String) async throws -> RawHTTP.Response {
        try await RawHTTP(port: fleet.nodes[node].port, key: key).get("/v1/recommendations/u000300?limit=5")
    }

    /// How many of many calls on all nodes were let through, and in what time.
    private static func rush(_ fleet: Fleet, _ key: String, for time: Duration) async throws -> (Int, Duration) {
        let start = ContinuousClock.now
        let admitted = try await withThrowingTaskGroup(of: Int.self) { group in
            for client in 0..<8 {
                group.addTask {
                    var count = 0
                    while ContinuousClock.now - start < time {
                        let response = try await Self.get(fleet, client % 2, key)
                        if response.status == 200 { count += 1 } else { #expect(response.status == 429) }
                        guard response.status == 429 else { continue }
                        let seconds = response.headers["retry-after"].flatMap { Int($0) }
                        #expect(seconds == 1, "with 20 a second there is always one within a second")
                        try await Task.sleep(for: .milliseconds(10))
                    }
                    return count
                }
            }
            return try await group.reduce(0, +)
        }
        return (admitted, ContinuousClock.now - start)
    }

    @Test("a key's limit holds over two nodes, without Redis too, and ends on all of them when it is taken away")
    func limit() async throws {
        try await Fleet.with(nodes: 2) { fleet in
            let secret = try await Vireo.succeed(
                ["keys", "create", "--scopes", "read", "--rate", "20", "--burst", "10"],
                fleet.environment
            )
            let id = try #require(secret.split(separator: "_").dropFirst().first.map { String($0) })
            #expect(try await Vireo.succeed(["keys", "list"], fleet.environment).contains("20/s, 10 at once"))
            try await eventually("both nodes know the key", within: 10) {
                try await fleet.everywhere { try await Self.get(fleet, $0, secret).status == 200 }
            }
            // Where a first draw took too long, the node goes by its share for a second.
            try await Task.sleep(for: .milliseconds(1_700))
            let (admitted, time) = try await Self.rush(fleet, secret, for: .seconds(2))
            let most = 20 * (time / .seconds(1)) + 10 + 2
            #expect(Double(admitted) <= most && admitted >= 30, "\(admitted) of at most \(most)")
            #expect(try await fleet.app(0).get("/v1/recommendations/u000300").status == 200, "no other key is limited")

            try await fleet.redis.kill()
            let (alone, aloneTime) = try await Self.rush(fleet, secret, for: .seconds(3))
            let share = 20 * (aloneTime / .seconds(1)) + 10 + 10 + 2
            #expect(Double(alone) <= share && alone >= 20, "\(alone) of at most \(share)")
            let metrics = try await RawHTTP(port: fleet.nodes[0].adminPort).get("/metrics").body
            for source in ["redis", "local"] {
                #expect(metrics.contains("vireo_rate_limited_total{source=\"\(source)\"}"))
            }
            try await fleet.redis.restart(empty: true)

            try await Vireo.succeed(["keys", "limit", id, "--none"], fleet.environment)
            try await eventually("nobody is kept out any more", within: 10) {
                for number in 0..<100 {
                    guard try await Self.get(fleet, number % 2, secret).status == 200 else { return false }
                }
                return true
            }
            let refused = try await Vireo.run(["keys", "limit", id, "--rate", "0"], fleet.environment)
            #expect(refused.code == 2)
        }
    }
}

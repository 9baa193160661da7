import Foundation
import LocalServers
import Testing

/// Nodes on a primary that sentinels watch.
@Suite("A fleet behind sentinels", .serialized)
struct SentinelFleetTests {
    @Test("the primary is killed under load: nothing stale, nothing lost, and the fleet is on the next one")
    func primaryKilled() async throws {
        try await Self.with { fleet, servers in
            let recovery = try await Self.checked(fleet, servers) { first in try await first.kill() }
            print("recovery after SIGKILL of the primary: \(recovery)")
        }
    }

    @Test("another primary is chosen while the first is alive: it is demoted, and nothing is stale")
    func switched() async throws {
        try await Self.with { fleet, servers in
            let recovery = try await Self.checked(fleet, servers) { _ in
                try await eventually("a sentinel begins", within: 10) { await servers.failOver() }
            }
            print("recovery after a fail-over that was asked for: \(recovery)")
        }
    }

    @Test("the primary stands still until another is chosen, and goes on, a primary in its own eyes: nothing stale")
    func primaryFrozen() async throws {
        try await Self.with { fleet, servers in
            let recovery = try await Self.checked(fleet, servers, seconds: 10) { first in
                try first.pause()
            } then: { first in
                try first.resume()
            }
            print("recovery after a primary that stood still: \(recovery)")
        }
    }

    @Test("the doctor says who answers, and which promise holds when the primary is lost")
    func doctor() async throws {
        try await Self.withServers(replicas: 1) { servers in
            func lines() async throws -> [String] {
                try await Vireo.run(["doctor"], ["VIREO_REDIS_URL": servers.url]).output
                    .split(separator: "\n").filter { $0.contains("\tredis\t") || $0.contains("\tsentinel\t") }
                    .map(String.init)
            }
            func set(_ replicas: Int, lag: Int) async throws {
                for (name, value) in [("min-replicas-to-write", replicas), ("min-replicas-max-lag", lag)] {
                    _ = try await RedisCommandLine.send(
                        ["CONFIG", "SET", name, "\(value)"],
                        port: servers.servers[0].port
                    )
                }
            }
            let port = servers.servers[0].port
            let open = try await lines()
            let healthy = "ok\tsentinel\t3 of 3 answer; vireo is 127.0.0.1:\(port), replicas 1, "
            #expect(open.contains { $0.hasPrefix(healthy) }, "\(open)")
            #expect(open.contains { $0.hasPrefix("warning\tredis\tno min-replicas-to-write: ") }, "\(open)")
            try await set(1, lag: 2)
            let fenced = try await lines()
            let promise = "ok\tredis\tmin-replicas-to-write 1 of 1, max-lag 2 s: the bound is 3000 ms "
            #expect(fenced.contains { $0.hasPrefix(promise) }, "\(fenced)")
            try await set(2, lag: 2)
            let closed = try await lines()
            #expect(closed.contains { $0.hasPrefix("error\tredis\tmin-replicas-to-write 2 of 1") }, "\(closed)")
            try await servers.sentinels[2].kill()
            let fewer = try await lines()
            let silent = "warning\tsentinel\t127.0.0.1:\(servers.sentinels[2].port) cannot be asked"
            #expect(fewer.contains { $0.hasPrefix(silent) }, "\(fewer)")
            #expect(fewer.contains { $0.hasPrefix("ok\tsentinel\t2 of 3 answer") }, "\(fewer)")
        }
    }

    @Test("a setting that cannot be right stops the start, and says why without the password")
    func mistakes() async throws {
        for (url, reason) in [
            ("redis+sentinel://:hunter2@h1,h2", "the name of the master is missing"),
            ("redis+sentinel://:hunter2@h1,h1/m", "a sentinel is named twice"),
            ("redis+sentinel://:hunter2@h1/m?sentinel_user=hunter2", "a user without a password"),
            ("redis+cluster://:hunter2@h1/3", "a cluster has no database but 0"),
        ] {
            let outcome = try await Vireo.run(["serve"], ["VIREO_REDIS_URL": url])
            #expect(outcome.code != 0)
            #expect(outcome.errors.contains("VIREO_REDIS_URL") && outcome.errors.contains(reason), "\(outcome.errors)")
            #expect(!(outcome.output + outcome.errors).contains("hunter2"))
        }
    }

    // MARK: Support

    static func withServers(
        replicas: Int = 2,
        _ body: @escaping @Sendable (LocalSentinelServers) async throws -> Void
    ) async throws {
        let directory = try ScratchDirectory.make("vireo-sentinels")
        let servers = try await LocalSentinelServers.start(directory: directory, replicas: replicas)
        let outcome: Result<Void, any Error>
        do {
            try await body(servers)
            outcome = .success(())
        } catch {
            outcome = .failure(error)
        }
        try await servers.stop()
        if case .success = outcome { try ScratchDirectory.remove(directory) }
        try outcome.get()
    }

    static func with(
        _ body: @escaping @Sendable (Fleet, LocalSentinelServers) async throws -> Void
    ) async throws {
        try await Self.withServers { servers in
            try await Fleet.with(nodes: 3, settings: ["VIREO_REDIS_URL": servers.url]) { fleet in
                try await body(fleet, servers)
            }
        }
    }

    /// Writes and reads for some seconds, with something that makes the sentinels choose another primary in the middle.
    ///
    /// - Parameter then: What comes as soon as they have; takes the primary from before.
    /// - Returns: How long it took from then on until every node had its lease from the new primary.
    static func checked(
        _ fleet: Fleet,
        _ servers: LocalSentinelServers,
        seconds: Int = 6,
        _ fault: @escaping @Sendable (LocalRedisServer) async throws -> Void,
        then: @escaping @Sendable (LocalRedisServer) async throws -> Void = { _ in }
    ) async throws -> Duration {
        let before = try #require(await servers.primary())
        return try await fleet.checked(seconds: seconds) {
            let begin = ContinuousClock.now
            try await fault(before)
            try await eventually("another is the primary", within: 30) {
                let now = await servers.primary()
                return now != nil && now?.port != before.port
            }
            try await then(before)
            try await eventually("every node has its lease from it", within: 30) {
                let port = await servers.primary()?.port ?? 0
                let connected = try await RedisCommandLine.send(["PUBSUB", "NUMSUB", "vireo:bus"], port: port)
                guard connected.contains(":3\r\n") else { return false }
                return try await fleet.isLeasedEverywhere()
            }
            return ContinuousClock.now - begin
        }
    }
}

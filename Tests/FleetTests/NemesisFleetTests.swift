import Foundation
import Glibc
import LocalServers
import Testing

/// Faults of a store or of a node while `vireo check` writes and reads: some answers fail, and none is wrong.
///
/// Each is a few seconds of load; `unpropagated` writes and `unverified` answers are what the promise exempts, and are printed
/// with the rest where something is violated.
@Suite("Fleet under faults, checked", .serialized)
struct NemesisFleetTests {
    @Test("Redis stands still for two seconds and goes on")
    func redisPaused() async throws {
        try await Self.checked { fleet in
            try await Task.sleep(for: .seconds(2))
            try fleet.redis.pause()
            try await Task.sleep(for: .seconds(2))
            try fleet.redis.resume()
        }
    }

    @Test("Redis is killed and comes back empty")
    func redisEmptied() async throws {
        try await Self.checked { fleet in
            try await Task.sleep(for: .seconds(2))
            try await fleet.redis.kill()
            try await Task.sleep(for: .milliseconds(1_500))
            try await fleet.redis.restart(empty: true)
        }
    }

    @Test("Redis loses everything, again and again, and no connection breaks")
    func redisFlushed() async throws {
        try await Self.checked { fleet in
            for _ in 0..<12 {
                try await Task.sleep(for: .milliseconds(500))
                _ = try await RedisCommandLine.send(["FLUSHALL"], port: fleet.redis.port)
            }
        }
    }

    @Test("Redis becomes a replica of nobody who answers, without a disconnect, and a primary again")
    func redisDemoted() async throws {
        try await Self.checked { fleet in
            try await Task.sleep(for: .seconds(2))
            let port = try FreePort.find()
            _ = try await RedisCommandLine.send(["REPLICAOF", "127.0.0.1", "\(port)"], port: fleet.redis.port)
            try await Task.sleep(for: .seconds(2))
            _ = try await RedisCommandLine.send(["REPLICAOF", "NO", "ONE"], port: fleet.redis.port)
        }
    }

    @Test("every connection to Redis is cut, many times")
    func redisDisconnected() async throws {
        try await Self.checked { fleet in
            for _ in 0..<8 {
                try await Task.sleep(for: .milliseconds(700))
                for type in ["normal", "pubsub"] {
                    _ = try await RedisCommandLine.send(["CLIENT", "KILL", "TYPE", type], port: fleet.redis.port)
                }
            }
        }
    }

    @Test("PostgreSQL is killed and comes back")
    func postgresKilled() async throws {
        try await Self.checked { fleet in
            try await Task.sleep(for: .seconds(2))
            try await fleet.postgres.kill()
            try await Task.sleep(for: .milliseconds(1_500))
            try await fleet.postgres.restart()
        }
    }

    @Test("a node is killed")
    func nodeKilled() async throws {
        try await Self.checked { fleet in
            try await Task.sleep(for: .seconds(3))
            #expect(kill(fleet.nodes[2].pid, SIGKILL) == 0)
        }
    }

    @Test("a node stands still for longer than its lease and goes on")
    func nodePaused() async throws {
        try await Self.checked { fleet in
            for _ in 0..<2 {
                try await Task.sleep(for: .seconds(1))
                #expect(kill(fleet.nodes[1].pid, SIGSTOP) == 0)
                try await Task.sleep(for: .milliseconds(1_800))
                #expect(kill(fleet.nodes[1].pid, SIGCONT) == 0)
            }
        }
    }

    /// Eight seconds of writes and reads on three nodes with a fault in the middle.
    private static func checked(_ fault: @escaping @Sendable (Fleet) async throws -> Void) async throws {
        try await Fleet.with(nodes: 3) { fleet in
            let key = try await fleet.checkKey()
            async let faulty: Void = fault(fleet)
            let outcome = try await fleet.check(
                key,
                seconds: 8,
                kinds: "purchase,suppression",
                more: ["--timeout", "2", "--min-pairs", "50"]
            )
            try await faulty
            let report = try outcome.report()
            #expect(report.violations == 0, "\(outcome.output)")
            #expect(outcome.code == 0, "\(outcome.errors)")
        }
    }
}

import Foundation
import LocalServers
import Testing

/// What may go wrong on the way between nodes and stores, and with stores that go on answering, while `vireo check` writes and
/// reads.
///
/// The first node is the one that is cut off, or hears nothing. In all of these a write that says it is not propagated is
/// judged as well, by a relay that passes within three seconds: the one that holds that job may first have to lose it.
enum LinkFault: String, CaseIterable, CustomTestStringConvertible {
    /// The subscription of a node delivers nothing, and its commands go on.
    case busSwallowed
    /// The same of all its connections, and nobody is told.
    case halfOpen
    /// A node is cut from Redis alone.
    case writerCut
    /// A node is cut from PostgreSQL alone.
    case databaseCut
    /// What Redis says comes late, and not what it publishes.
    case repliesLate
    /// What Redis publishes comes later than a lease.
    case busLate
    /// The two connections of a node reach different primaries.
    case twoPrimaries
    /// A node is left with the old primary, and that takes its writes; the others are on a new one.
    case split
    /// Redis is killed, and comes back with what it held some seconds ago.
    case olderDump
    /// Redis refuses whatever needs memory.
    case full
    /// Every hash of a user is taken away, again and again.
    case evicted

    /// Those that `deploy/test` shows; the others take too long together.
    static let telling: [LinkFault] = [.busSwallowed, .writerCut, .twoPrimaries, .split, .full]

    var testDescription: String { self.rawValue }

    /// Does it, for some seconds, and takes it back.
    func happen(to fleet: Fleet) async throws {
        let links = try #require(fleet.nodes[0].links)
        switch self {
        case .busSwallowed:
            try await links.redis.set(.silent, on: [.subscription])
            try await Task.sleep(for: .seconds(3))
            try await links.redis.set(.none)
        case .halfOpen:
            try await links.redis.set(.silent)
            try await Task.sleep(for: .seconds(3))
            try await links.redis.set(.none)
        case .writerCut:
            try await links.redis.set(.cut)
            try await Task.sleep(for: .seconds(4))
            try await links.redis.set(.none)
        case .databaseCut:
            try await links.postgres.set(.cut)
            try await Task.sleep(for: .seconds(3))
            try await links.postgres.set(.none)
        case .repliesLate:
            try await links.redis.set(.delay(.milliseconds(50)), on: [.other])
            try await Task.sleep(for: .seconds(4))
            try await links.redis.set(.none)
        case .busLate:
            try await links.redis.set(.delay(.milliseconds(1_500)), on: [.subscription])
            try await Task.sleep(for: .seconds(4))
            try await links.redis.set(.none)
        case .twoPrimaries:
            let other = try await LocalRedisServer.start(directory: "\(fleet.directory)/redis-2")
            for kind in [LinkProxy.Kind.subscription, .other] {
                try await links.redis.lead(kind, to: other.port)
                try await Task.sleep(for: .seconds(2))
                try await links.redis.lead(kind, to: fleet.redis.port)
                try await Task.sleep(for: .seconds(1))
            }
            try await other.stop()
        case .split:
            let soon = ["CONFIG", "SET", "repl-diskless-sync-delay", "0"]
            _ = try await RedisCommandLine.send(soon, port: fleet.redis.port)
            let other = try await LocalRedisServer.start(
                directory: "\(fleet.directory)/redis-2",
                configuration: ["replicaof 127.0.0.1 \(fleet.redis.port)"]
            )
            try await eventually("the replica has all", within: 10) {
                try await RedisCommandLine.send(["INFO", "replication"], port: other.port)
                    .contains("master_link_status:up")
            }
            _ = try await RedisCommandLine.send(["REPLICAOF", "NO", "ONE"], port: other.port)
            try await fleet.lead(fleet.nodes.dropFirst(), to: other)
            try await Task.sleep(for: .seconds(3))
            // The old one follows the new one, as a sentinel would have it; whoever is still there is sent away.
            _ = try await RedisCommandLine.send(["REPLICAOF", "127.0.0.1", "\(other.port)"], port: fleet.redis.port)
            try await fleet.lead(fleet.nodes.prefix(1), to: other)
            try await Task.sleep(for: .seconds(2))
            // Back to where it began, so that the other can be ended.
            _ = try await RedisCommandLine.send(["REPLICAOF", "NO", "ONE"], port: fleet.redis.port)
            try await fleet.lead(fleet.nodes.prefix(.max), to: fleet.redis)
            try await other.stop()
        case .olderDump:
            _ = try await RedisCommandLine.send(["SAVE"], port: fleet.redis.port)
            try await Task.sleep(for: .seconds(3))
            try await fleet.redis.kill()
            try await fleet.redis.restart(empty: false)
        case .full:
            for _ in 0..<2 {
                _ = try await RedisCommandLine.send(["CONFIG", "SET", "maxmemory", "1"], port: fleet.redis.port)
                try await Task.sleep(for: .milliseconds(1_500))
                _ = try await RedisCommandLine.send(["CONFIG", "SET", "maxmemory", "0"], port: fleet.redis.port)
                try await Task.sleep(for: .milliseconds(500))
            }
        case .evicted:
            for _ in 0..<80 {
                try await fleet.evictUsers()
                try await Task.sleep(for: .milliseconds(50))
            }
        }
    }

    /// Checks a fleet in whose midst it happens: no answer is wrong.
    func check(seconds: Int) async throws {
        try await Fleet.with(nodes: 3, linked: true) { fleet in
            let key = try await fleet.checkKey()
            async let faulty: Void = {
                try await Task.sleep(for: .seconds(2))
                try await self.happen(to: fleet)
            }()
            let outcome = try await fleet.check(
                key,
                seconds: seconds,
                kinds: "purchase,suppression",
                more: ["--timeout", "2", "--min-pairs", "50", "--relay-bound", "3"]
            )
            try await faulty
            let report = try outcome.report()
            print(
                "\(self): \(report.pairs) pairs, staleness p50 \(report.staleness_ms.other.p50), "
                    + "p99 \(report.staleness_ms.other.p99), max \(report.staleness_ms.other.max) ms, \(report.kinds)"
            )
            #expect(report.violations == 0, "\(outcome.output)")
            #expect(outcome.code == 0, "\(outcome.errors)")
        }
    }
}

extension Fleet {
    /// Has all connections of nodes to Redis closed, and begun again to another server.
    fileprivate func lead(_ nodes: ArraySlice<Node>, to server: LocalRedisServer) async throws {
        for node in nodes {
            for kind in [LinkProxy.Kind.subscription, .other] {
                try await node.links?.redis.lead(kind, to: server.port)
            }
        }
    }

    /// Takes every user's hash out of Redis; the relay's position stays.
    func evictUsers() async throws {
        let script = "for _, key in ipairs(redis.call('KEYS', 'vireo:*{*')) do redis.call('UNLINK', key) end"
        _ = try await RedisCommandLine.send(["EVAL", script, "0"], port: self.redis.port)
    }
}

import Caching
import LocalServers
import Logging
import Postgres
import PostgresAdapters
import RecommendationCore
import Redis
import RedisAdapters
import Serving
import Testing

/// A purge costs the same, however much there is to purge.
@Suite("Purge")
struct PurgeTests {
    @Test("at most five commands to Redis, whatever the scope, with a thousand users in it and with a hundred thousand")
    func commands() async throws {
        try await withDatabase { database in
            try await database.addItems("i1")
            _ = try await database.feedback.record([event(by: "u1")], tenant: .default, invalidating: invalidating)
            try await withOwnRedisServer { server in
                try await withRedis(on: server) { redis in
                    try await Self.withAdministration(database, redis, server) { admin in
                        var filled = 0
                        for size in [1_000, 100_000] {
                            try await Self.fill(filled..<size, redis)
                            filled = size
                            for scope: PurgeScope in [
                                .user(User.ID(trusted: "u1")), .surface("home"), .model("m1"), .policy("p0"),
                                .tenant(.default),
                            ] {
                                try await redis.send("CONFIG", "RESETSTAT")
                                let answer = try await admin.purge(scope, dryRun: false, tenant: .default)
                                let commands = try await Self.commands(redis)
                                #expect(!commands.isEmpty, "\(scope)")
                                #expect(commands.values.reduce(0, +) <= 5, "\(scope) of \(size): \(commands)")
                                switch answer {
                                case .generation(_, let announcement), .user(_, let announcement):
                                    #expect(announcement.isPropagated, "\(scope)")
                                case .nothing: Issue.record("nothing was purged: \(scope)")
                                }
                            }
                            #expect(try await redis.send("DBSIZE").integer() >= Int64(size))
                        }
                    }
                }
            }
        }
    }

    /// A node's administration, whose keeper keeps still: no heartbeat is counted.
    private static func withAdministration(
        _ database: Database,
        _ redis: RedisSubject,
        _ server: LocalRedisServer,
        _ body: (AdminService) async throws -> Void
    ) async throws {
        let (bus, _) = makeBus(on: server, redis)
        let control = ControlState(
            repository: database.control,
            models: database.snapshots,
            policies: PolicyCodec(
                encode: { _ in "" },
                decode: { stored throws(UnreadablePolicy) in
                    throw UnreadablePolicy(version: stored.version, reason: "there is none")
                }
            ),
            log: .silent,
            wallClock: { Timestamp(seconds: 1_780_000_000) },
            incarnationChanged: { redis.namespace.adopt(incarnation: $0) }
        )
        let hour = Duration.seconds(3_600)
        let keeper = CoherenceKeeper(
            settings: CoherenceSettings(heartbeatInterval: hour, controlInterval: hour),
            bus: bus,
            control: control,
            journal: database.journal,
            log: .silent,
            wallClock: { 0 }
        )
        let invalidator = Invalidator(keeper: keeper, shared: redis.cache, bus: bus)
        let admin = AdminService(
            control: database.control,
            users: database.users,
            state: control,
            invalidator: invalidator
        )
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await keeper.run() }
            // The one heartbeat of its start, and the loading of scripts, are over.
            try await eventually("the control state is read and the heartbeat sent") {
                _ = await keeper.controlChangedLocally()
                return try await Self.commands(redis)["evalsha"] ?? 0 > 0 && control.appliedID != nil
            }
            for _ in 0..<2 {
                _ = try await admin.purge(.user(User.ID(trusted: "u1")), dryRun: false, tenant: .default)
            }
            try await body(admin)
            group.cancelAll()
            try await group.waitForAll()
        }
    }

    /// Users' hashes as they are in L2.
    private static func fill(_ users: Range<Int>, _ redis: RedisSubject) async throws {
        for start in stride(from: users.lowerBound, to: users.upperBound, by: 1_000) {
            let commands = (start..<min(start + 1_000, users.upperBound)).map { user in
                let key = CacheKey(namespace: redis.incarnation, owner: "default", member: "v\(user)")
                let words = [redis.name(key), "floor", "1", "f", "x"]
                return RedisCommand("HSET", arguments: words.map { Array($0.utf8) })
            }
            for reply in try await redis.client.pipeline(commands) { _ = try reply.checked() }
        }
    }

    /// How often each command ran since the statistics were reset, in scripts or not.
    private static func commands(_ redis: RedisSubject) async throws -> [String: Int] {
        let info = try #require(try await redis.send("INFO", "commandstats").string())
        var counts: [String: Int] = [:]
        for line in info.split(whereSeparator: \.isNewline) where line.hasPrefix("cmdstat_") {
            let name = line.dropFirst("cmdstat_".count).prefix { $0 != ":" }
            let calls = line.drop { $0 != "=" }.dropFirst().prefix { $0 != "," }
            if !["info", "config|resetstat"].contains(name) { counts[String(name)] = Int(calls) }
        }
        return counts
    }
}

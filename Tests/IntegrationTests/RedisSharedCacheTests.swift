import Caching
import LocalServers
import Redis
import RedisAdapters
import Testing

/// What only a real Redis can do to the cache.
@Suite("shared cache on Redis")
struct RedisSharedCacheTests {
    private static func field(_ surface: String) -> CacheField {
        CacheField(parts: [surface, "m1", "p1", "-", "-", "0"])
    }

    private static func granted(_ redis: RedisSubject, _ key: CacheKey) async throws -> ComputeLease {
        guard case .granted(let lease) = try await redis.cache.acquireLease(on: key, for: .seconds(60)) else {
            throw NeverHappened(description: "the lease was not granted")
        }
        return lease
    }

    private static func fill(
        _ redis: RedisSubject,
        _ key: CacheKey,
        _ field: CacheField = field("home"),
        entry: [UInt8] = [1],
        version: Int64 = 1,
        lease: ComputeLease? = nil,
        keepFor: Duration = .seconds(600)
    ) async throws -> FillOutcome {
        let held: ComputeLease
        if let lease { held = lease } else { held = try await Self.granted(redis, key) }
        return try await redis.cache.fill(
            CacheFill(
                place: CachePlace(key: key, field: field),
                entry: entry,
                version: version,
                lease: held,
                keepFor: keepFor
            )
        )
    }

    @Test("whose computation was cancelled gives its lease back all the same")
    func releaseWhenCancelled() async throws {
        try await withRedis { redis in
            let key = redis.key()
            let lease = try await Self.granted(redis, key)
            let task = Task {
                while !Task.isCancelled { await Task.yield() }
                try await redis.cache.release(lease, on: key)
            }
            task.cancel()
            try await task.value
            _ = try await Self.granted(redis, key)
        }
    }

    @Test("a fill goes only over the connection on which its lease was taken")
    func fillIsBoundToItsConnection() async throws {
        try await withRedis { redis in
            let key = redis.key()
            let lease = try await Self.granted(redis, key)
            let connection = try await redis.send("CLIENT", "ID").integer()
            try await withRedis { killer in
                let killed = try await killer.send("CLIENT", "KILL", "ID", String(connection))
                #expect(killed == .integer(1))
            }
            try await eventually("another connection") { redis.client.session.map { $0 != lease.connection } ?? false }
            await #expect(throws: SharedCacheError.connectionChanged) {
                try await Self.fill(redis, key, lease: lease)
            }
            await #expect(throws: SharedCacheError.connectionChanged) {
                try await redis.cache.release(lease, on: key)
            }
            // The hash still holds the lease: it was refused here, before anything was sent.
            let held = try await redis.send("HGET", redis.name(key), "lease").string()
            #expect(held?.hasPrefix(lease.id) == true)
            #expect(try await redis.cache.read(key, Self.field("home")).entry == nil)
        }
    }

    @Test("the floors of 64 keys are one round trip, and a key of another type has none")
    func floorsInOneRoundTrip() async throws {
        try await withOwnRedisServer { server in
            try await withRedis(on: server) { redis in
                func reads() async throws -> Int {
                    let info = try await redis.send("INFO", "stats").string() ?? ""
                    let line = info.split(whereSeparator: \.isNewline).first { $0.hasPrefix("total_reads_processed:") }
                    return try #require(line.flatMap { Int($0.split(separator: ":")[1]) })
                }
                let keys = (0..<64).map { redis.key("u\($0)") }
                _ = try await Self.fill(redis, keys[3], version: 9)
                try await redis.send("SET", redis.name(keys[5]), "a string")
                let before = try await reads()
                let floors = try await redis.cache.floors(of: keys)
                // One for the floors, one for the question how many there were.
                #expect(try await reads() == before + 2)
                #expect(floors.enumerated().filter { $0.element != nil }.map(\.offset) == [3])
                #expect(floors[3] == 9)
            }
        }
    }

    @Test("scripts are loaded again after Redis has forgotten them")
    func scriptFlush() async throws {
        try await withRedis { redis in
            let key = redis.key()
            for version in 1...3 as ClosedRange<Int64> {
                let lease = try await Self.granted(redis, key)
                try await redis.send("SCRIPT", "FLUSH")
                #expect(try await Self.fill(redis, key, version: version, lease: lease) == .stored)
                try await redis.send("SCRIPT", "FLUSH")
                try await redis.cache.raiseFloors([Invalidation(key: key, version: version)])
                try await redis.send("SCRIPT", "FLUSH")
            }
            #expect(try await redis.cache.floor(of: key) == 3)
        }
    }

    @Test("what lies below a floor is taken away, and the floor stays for as long as it would have")
    func dropEntries() async throws {
        try await withRedis { redis in
            let field = CacheField(parts: ["home"])
            try await redis.cache.dropEntries(of: redis.key())
            #expect(!(try await redis.exists(redis.key())))
            let grant = try await redis.cache.acquireLease(on: redis.key(), for: .seconds(5))
            guard case .granted(let lease) = grant else { throw NeverHappened(description: "\(grant)") }
            try await redis.cache.dropEntries(of: redis.key())
            #expect(try await redis.exists(redis.key()), "without a floor there is only the lease")
            let fill = CacheFill(
                place: CachePlace(key: redis.key(), field: field),
                entry: [1],
                version: 5,
                lease: lease,
                keepFor: .seconds(100)
            )
            #expect(try await redis.cache.fill(fill) == .stored)
            try await redis.cache.raiseFloors([Invalidation(key: redis.key(), version: 6)], on: nil)
            try await redis.cache.dropEntries(of: redis.key())
            let read = try await redis.cache.read(redis.key(), field)
            #expect(read.floor == 6 && read.entry == nil)
            #expect((90_000...100_000).contains(try await redis.timeToLive(redis.name(redis.key()))))
        }
    }

    @Test("a full Redis that cannot raise a floor forgets the key")
    func outOfMemory() async throws {
        try await withOwnRedisServer { server in
            try await withRedis(on: server) { redis in
                let keys = (0..<100).map { redis.key("user-\($0)") }
                for key in keys { #expect(try await Self.fill(redis, key, version: 5) == .stored) }
                let leased = redis.key("leased")
                let lease = try await Self.granted(redis, leased)
                try await redis.send("CONFIG", "SET", "maxmemory-policy", "noeviction")
                try await redis.send("CONFIG", "SET", "maxmemory", "1")

                await #expect(throws: SharedCacheError.refused("OOM")) {
                    try await Self.granted(redis, redis.key("new"))
                }
                try await redis.cache.raiseFloors((keys + [leased]).map { Invalidation(key: $0, version: 6) })
                for key in keys + [leased] { #expect(try await !redis.exists(key)) }

                try await redis.send("CONFIG", "SET", "maxmemory", "0")
                #expect(try await Self.fill(redis, leased, version: 6, lease: lease) == .leaseLost)
            }
        }
    }

    @Test("a full Redis has nothing against floors that are high enough")
    func outOfMemoryWithoutChange() async throws {
        try await withOwnRedisServer { server in
            try await withRedis(on: server) { redis in
                let key = redis.key()
                #expect(try await Self.fill(redis, key, version: 5) == .stored)
                try await redis.send("CONFIG", "SET", "maxmemory", "1")
                try await redis.cache.raiseFloors([Invalidation(key: key, version: 5)])
                #expect(try await redis.cache.read(key, Self.field("home")).entry == [1])
            }
        }
    }

    @Test("a hash that collects fields is rid of the expired ones, and of those only")
    func pruning() async throws {
        try await withRedis { redis in
            let key = redis.key()
            let now = try await redis.now()
            func bytes(_ field: CacheField, expires: Int64) -> [UInt8] {
                CacheEntry(
                    version: 1,
                    computedAt: expires - 1_000,
                    softExpiry: expires,
                    hardExpiry: expires,
                    cost: 1,
                    payload: [7]
                )
                .encoded(key: key, field: field)
            }
            for surface in ["old-1", "old-2", "old-3"] {
                let field = Self.field(surface)
                #expect(try await Self.fill(redis, key, field, entry: bytes(field, expires: now - 1)) == .stored)
            }
            for surface in ["live-1", "live-2"] {
                let field = Self.field(surface)
                #expect(
                    try await Self.fill(redis, key, field, entry: bytes(field, expires: now + 3_600_000)) == .stored
                )
            }
            #expect(try await redis.send("HLEN", redis.name(key)).integer() == 6)
            // Junk that somebody left there; one field more than a hash may collect.
            try await redis.send("HSET", redis.name(key), "junk", "short")
            let last = Self.field("last")
            // The entry just stored stays even if it is born expired: its reader is told by the header.
            #expect(try await Self.fill(redis, key, last, entry: bytes(last, expires: now - 1)) == .stored)

            let fields = try await redis.send("HKEYS", redis.name(key)).array().map { try $0.bytes() ?? [] }
            #expect(
                Set(fields)
                    == Set([Self.field("live-1").bytes, Self.field("live-2").bytes, last.bytes, Array("floor".utf8)])
            )
            #expect(try await redis.cache.floor(of: key) == 1)
        }
    }

    @Test("a hash with a lease only lives ten seconds; entries keep it for as long as they were given")
    func timesToLive() async throws {
        try await withRedis { redis in
            let key = redis.key()
            let name = redis.name(key)
            let lease = try await Self.granted(redis, key)
            #expect(try await (5_000...10_000).contains(redis.timeToLive(name)))
            #expect(try await Self.fill(redis, key, lease: lease, keepFor: .seconds(600)) == .stored)
            #expect(try await (540_000...600_000).contains(redis.timeToLive(name)))
            // Neither a lease, nor an invalidation, nor an entry with less time takes from it.
            #expect(try await Self.fill(redis, key, Self.field("cart"), keepFor: .seconds(30)) == .stored)
            try await redis.cache.raiseFloors([Invalidation(key: key, version: 9)])
            #expect(try await (500_000...600_000).contains(redis.timeToLive(name)))
        }
    }

    @Test("a key of another type is no entry, and gives way to a lease or an invalidation")
    func wrongType() async throws {
        try await withRedis { redis in
            let key = redis.key()
            let name = redis.name(key)
            try await redis.send("SET", name, "a string")
            let read = try await redis.cache.read(key, Self.field("home"))
            #expect(read.floor == nil && read.entry == nil)
            #expect(try await redis.cache.floor(of: key) == nil)
            // Nothing was changed by looking.
            #expect(try await redis.send("GET", name).string() == "a string")

            let other = redis.key("bob")
            #expect(try await Self.fill(redis, other, version: 3) == .stored)
            try await redis.cache.raiseFloors([
                Invalidation(key: key, version: 4), Invalidation(key: other, version: 4),
            ])
            #expect(try await !redis.exists(key))
            #expect(try await redis.cache.floor(of: other) == 4)

            try await redis.send("RPUSH", name, "a list")
            #expect(try await Self.fill(redis, key, version: 5) == .stored)
            #expect(try await redis.cache.floor(of: key) == 5)
        }
    }

    @Test("a fill into a key of another type stores nothing")
    func fillIntoWrongType() async throws {
        try await withRedis { redis in
            let key = redis.key()
            let lease = try await Self.granted(redis, key)
            try await redis.send("SET", redis.name(key), "a string")
            await #expect(throws: SharedCacheError.refused("WRONGTYPE")) {
                try await Self.fill(redis, key, lease: lease)
            }
            #expect(try await redis.send("GET", redis.name(key)).string() == "a string")
        }
    }

    @Test(
        "a floor that is no number is unknown and not zero, until it is raised",
        arguments: ["many", "", "1.5.0", "\n"]
    )
    func malformedFloor(_ floor: String) async throws {
        try await withRedis { redis in
            let key = redis.key()
            #expect(try await Self.fill(redis, key, version: 3) == .stored)
            try await redis.send("HSET", redis.name(key), "floor", floor)
            #expect(try await redis.cache.floor(of: key) == nil)
            #expect(try await redis.cache.read(key, Self.field("home")).floor == nil)
            try await redis.cache.raiseFloors([Invalidation(key: key, version: 7)])
            #expect(try await redis.cache.floor(of: key) == 7)
        }
    }

    @Test(
        "a lease that nobody could have taken is taken over",
        arguments: ["", "no end", "a:", "a:b", ":", "a:99999999999999999", "a:-5"]
    )
    func malformedLease(_ lease: String) async throws {
        try await withRedis { redis in
            let key = redis.key()
            try await redis.send("HSET", redis.name(key), "lease", lease)
            #expect(try await Self.fill(redis, key, lease: Self.granted(redis, key)) == .stored)
        }
    }

    @Test("a pass of the relay goes over one connection or not at all")
    func relayIsBoundToItsConnection() async throws {
        try await withRedis { redis in
            let key = redis.key()
            #expect(try await Self.fill(redis, key, version: 1) == .stored)
            let (_, connection) = try await redis.cache.relayed()
            try await redis.cache.raiseFloors([Invalidation(key: key, version: 2)], on: connection)
            try await redis.cache.setRelayed(position(5, 6), controlHead: 3, on: connection)
            let killed = try await redis.send("CLIENT", "ID").integer()
            try await withRedis { killer in _ = try await killer.send("CLIENT", "KILL", "ID", String(killed)) }
            try await eventually("another connection") { redis.client.session.map { $0 != connection } ?? false }
            await #expect(throws: SharedCacheError.connectionChanged) {
                try await redis.cache.raiseFloors([Invalidation(key: key, version: 9)], on: connection)
            }
            await #expect(throws: SharedCacheError.connectionChanged) {
                try await redis.cache.setRelayed(position(8, 9), controlHead: 4, on: connection)
            }
            #expect(try await redis.cache.floor(of: key) == 2)
            #expect(try await redis.cache.position() == position(5, 6))
        }
    }

    @Test(
        "a position that cannot be read is none",
        arguments: ["", "7", "7 8", "x 1:1:", "7 1:1", "7 2:1:", "7 1:1: 8", "7 1:9:x"]
    )
    func malformedPosition(_ record: String) async throws {
        try await withRedis { redis in
            try await redis.send("SET", "vireo:\(redis.incarnation):relayed", record)
            #expect(try await redis.cache.position() == nil)
            try await redis.cache.set(position(2, 3))
            #expect(try await redis.cache.position() == position(2, 3))
        }
    }

    @Test("a Redis that does not answer is given up after the command timeout, and comes back")
    func paused() async throws {
        try await withOwnRedisServer { server in
            // Long enough for a busy machine, that only the pause is too long.
            try await withRedis(on: server, commandTimeout: .seconds(3)) { redis in
                try await redis.cache.set(position(4, 4))
                try server.pause()
                await #expect(throws: SharedCacheError.timedOut) { try await redis.cache.relayed() }
                #expect(redis.client.session == nil)
                try server.resume()
                try await redis.client.waitUntilReady(timeout: .seconds(30))
                #expect(try await redis.cache.position() == position(4, 4))
            }
        }
    }

    @Test("while Redis is frozen one miss pays the time-out; those after it, and invalidations, are refused at once")
    func frozen() async throws {
        try await withOwnRedisServer { server in
            try await withRedis(on: server, commandTimeout: .seconds(2)) { redis in
                try server.pause()
                await #expect(throws: SharedCacheError.timedOut) {
                    try await redis.cache.read(redis.key(), Self.field("home"))
                }
                // Each by itself would take minutes, if it paid the time-out, too; meanwhile connections are tried.
                let start = ContinuousClock.now
                for _ in 0..<100 {
                    await #expect(throws: SharedCacheError.unavailable) {
                        try await redis.cache.read(redis.key(), Self.field("home"))
                    }
                    await #expect(throws: SharedCacheError.unavailable) {
                        try await redis.cache.raiseFloors([Invalidation(key: redis.key(), version: 7)], on: nil)
                    }
                    try await Task.sleep(for: .milliseconds(10))
                }
                #expect(ContinuousClock.now - start < .seconds(60))
                try server.resume()
                try await redis.client.waitUntilReady(timeout: .seconds(30))
                #expect(try await redis.cache.floor(of: redis.key()) == nil, "what was refused was not sent")
            }
        }
    }

    @Test("positions and heartbeats of one incarnation are nothing to another")
    func incarnations() async throws {
        try await withRedis { redis in
            try await redis.cache.set(position(77, 78))
            redis.namespace.adopt(incarnation: redis.incarnation + "b")
            #expect(try await redis.cache.position() == nil)
            redis.namespace.adopt(incarnation: redis.incarnation)
            #expect(try await redis.cache.position() == position(77, 78))
        }
    }
}

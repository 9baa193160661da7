import Caching
import HTTPAPI
import LocalServers
import RecommendationCore
import Redis
import Testing

@testable import RedisAdapters

/// What Redis holds of a user, and taking it away.
@Suite("traces of users in Redis")
struct UserTracesTests {
    private static let user = "caf\u{E9}%7B{x}\" 7f3a91"
    private static let sibling = "cafe\u{301}%7B{x}\" 7f3a91"

    private static func withTraces(
        _ body: (RedisUserTraces, RedisSessionRepository, RedisSubject) async throws -> Void
    ) async throws {
        try await withOwnRedisServer { server in
            try await withRedis(on: server) { redis in
                let sessions = RedisSessionRepository(
                    client: redis.client,
                    namespace: redis.namespace,
                    timeToLive: .seconds(1_800)
                )
                let traces = RedisUserTraces(
                    client: redis.client,
                    namespace: redis.namespace,
                    sessions: sessions,
                    places: RedisWarmPlaces(client: redis.client, namespace: redis.namespace),
                    isNamed: { FeedbackMessage.isNamed($0, in: $1) }
                )
                try await body(traces, sessions, redis)
            }
        }
    }

    private static func erasure(of user: String = Self.user, at milliseconds: Int64 = .max) -> OpenErasure {
        OpenErasure(
            number: 1,
            tenant: .default,
            user: id(user),
            version: 9,
            transaction: 1,
            acceptedAt: milliseconds
        )
    }

    private static func event(_ user: String, at seconds: Int64 = 0) -> SessionEvent {
        SessionEvent(
            user: id(user),
            item: id("i1"),
            type: .click,
            value: 1,
            occurredAt: Timestamp(seconds: 1_767_225_600 + seconds)
        )
    }

    /// The bytes of all that Redis holds: names, and values as they are dumped.
    private static func bytes(_ redis: RedisSubject) async throws -> [UInt8] {
        var all: [UInt8] = []
        for key in try await redis.send("KEYS", "*").array() {
            let name = try #require(try key.bytes())
            all += name
            all += try await redis.client.send(RedisCommand("DUMP", key: name)).bytes() ?? []
            all.append(0)
        }
        return all
    }

    /// Whether an id stands anywhere, as it is, as in a key, or as in JSON.
    private static func mentions(_ user: String, _ redis: RedisSubject) async throws -> Bool {
        let bytes = try await Self.bytes(redis)
        let key = redis.namespace.cacheKey(of: User.ID(trusted: user), tenant: .default).bytes
        return bytes.contains(Array(user.utf8)) || bytes.contains(key)
            || bytes.contains(Array(user.replacing("\"", with: "\\\"").utf8))
    }

    @Test("entries, sessions and places of a user go, and nothing of whose id is another only by bytes")
    func everything() async throws {
        try await Self.withTraces { traces, sessions, redis in
            let places = RedisWarmPlaces(client: redis.client, namespace: redis.namespace)
            let keys = [Self.user, Self.sibling].map {
                redis.namespace.cacheKey(of: User.ID(trusted: $0), tenant: .default)
            }
            for key in keys {
                let grant = try await redis.cache.acquireLease(on: key, for: .seconds(10))
                guard case .granted(let lease) = grant else { throw NeverHappened(description: "\(grant)") }
                _ = try await redis.cache.fill(
                    CacheFill(
                        place: CachePlace(key: key, field: CacheField(parts: ["home"])),
                        entry: [1, 2, 3],
                        version: 5,
                        lease: lease,
                        keepFor: .seconds(60)
                    )
                )
            }
            try await places.leave(keys.map { CachePlace(key: $0, field: CacheField(parts: ["home"])) })
            // Of a node that is gone.
            let gone = RedisNamespace(node: "n2 {x}")
            gone.adopt(incarnation: redis.incarnation)
            try await RedisWarmPlaces(client: redis.client, namespace: gone)
                .leave(keys.map { CachePlace(key: $0, field: CacheField(parts: ["email"])) })
            try await sessions.append(
                [
                    id("own"): [Self.event(Self.user), Self.event(Self.user, at: 1)],
                    id("shared"): [Self.event(Self.user), Self.event(Self.sibling)],
                    id("other"): [Self.event(Self.sibling)],
                ],
                tenant: .default,
                until: .max
            )
            #expect(try await Self.mentions(Self.user, redis))

            // Hash, two sessions and what names them, the texts of two nodes and the common one.
            #expect(try await traces.remove(Self.erasure()) == 7)
            #expect(!(try await Self.mentions(Self.user, redis)))
            #expect(try await Self.mentions(Self.sibling, redis))
            #expect(!(try await redis.exists(keys[0])))
            #expect(try await redis.cache.read(keys[1], CacheField(parts: ["home"])).entry == [1, 2, 3])
            #expect(try await sessions.events(of: id("own"), tenant: .default).isEmpty)
            #expect(try await sessions.events(of: id("shared"), tenant: .default) == [Self.event(Self.sibling)])
            #expect(try await sessions.events(of: id("other"), tenant: .default) == [Self.event(Self.sibling)])
            #expect(try await places.left().map(\.key) == [keys[1]])
            #expect(try await traces.remove(Self.erasure()) == 0, "again there is nothing")
        }
    }

    @Test("nothing is added to a session when a write is late, and who is in a session that lives on is found in it")
    func sessions() async throws {
        try await Self.withTraces { traces, sessions, redis in
            let now = try await redis.now()
            try await sessions.append([id("s"): [Self.event("late")]], tenant: .default, until: now - 1)
            #expect(try await redis.send("DBSIZE").integer() == 0)
            try await sessions.append([id("s"): [Self.event("ann")]], tenant: .default, until: now + 60_000)
            // As if the half hour of who names it were over, and the session had been gone on with.
            let index = RedisCommand(
                "UNLINK",
                key: redis.namespace.sessionsKey(of: id("ann"), tenant: .default)
            )
            #expect(try await redis.client.send(index).integer() == 1)
            try await sessions.append([id("s"): [Self.event("bob", at: 1)]], tenant: .default, until: now + 60_000)
            #expect(try await traces.remove(Self.erasure(of: "ann")) == 2)
            #expect(try await sessions.events(of: id("s"), tenant: .default) == [Self.event("bob", at: 1)])
        }
    }

    private static let stream = "vireo:feedback:stream:default"

    private static func json(_ user: String, _ event: String) -> String {
        let escaped = user.replacing("\"", with: "\\\"")
        return #"{"event_id":"\#(event)","user_id":"\#(escaped)","item_id":"i1","type":"view"}"#
    }

    @Test("entries of streams and what was rejected go; others stay where they were, and pending with whom they were")
    func streams() async throws {
        try await Self.withTraces { traces, _, redis in
            let consumer = RedisFeedbackStream(client: redis.client, consumer: "n1")
            try await consumer.prepare("default")
            var ids: [String] = []
            for number in 0..<250 {
                let user = number % 10 == 3 ? Self.user : number % 10 == 4 ? Self.sibling : "u\(number)"
                let added = try await redis.send("XADD", Self.stream, "*", "event", Self.json(user, "e\(number)"))
                ids.append(try #require(try added.string()))
            }
            // Taken: 100, of which 50 are acknowledged, and one is rejected.
            let taken = try await consumer.read([("default", .new)], count: 100, wait: .milliseconds(1))
            #expect(taken[0].entries.count == 100)
            try await consumer.acknowledge(Array(ids[..<50]), of: "default")
            try await consumer.bury(taken[0].entries[53], code: "unknown_item", field: "item_id", of: "default")
            try await consumer.bury(taken[0].entries[54], code: "unknown_item", field: "item_id", of: "default")
            for text in ["nonsense \"\(Self.user)\" here", "nonsense \(Self.user) here", #"{"user":"u1"}"#] {
                let words = "\(Self.stream):dead * id 1-0 code malformed_json field 0 event".split(separator: " ")
                let arguments = words.map { Array($0.utf8) } + [Array(text.utf8)]
                _ = try await redis.client.send(RedisCommand("XADD", arguments: arguments))
            }
            let last = try await redis.send("XINFO", "STREAM", Self.stream).array()

            #expect(try await traces.remove(Self.erasure()) == 2)
            let left = try await redis.send("XRANGE", Self.stream, "-", "+").array().map { entry in
                try entry.array()[0].string() ?? ""
            }
            #expect(left == ids.indices.filter { $0 % 10 != 3 }.map { ids[$0] })
            // What nobody has been given comes next, in order; what was pending is, and was given once.
            let pending = try await redis.send("XPENDING", Self.stream, "vireo", "-", "+", "1000").array()
            #expect(
                try pending.map { try $0.array()[0].string() ?? "" }
                    == (50..<100).filter { $0 % 10 != 3 && $0 != 54 }.map { ids[$0] }
            )
            for each in pending {
                let parts = try each.array()
                #expect(try parts[1].string() == "n1" && parts[3].integer() == 1)
            }
            let next = try await consumer.read([("default", .new)], count: 1_000, wait: .milliseconds(1))
            #expect(next[0].entries.map(\.id) == (100..<250).filter { $0 % 10 != 3 }.map { ids[$0] })
            let info = try await redis.send("XINFO", "STREAM", Self.stream).array()
            for place in stride(from: 0, to: last.count - 1, by: 2)
            where try last[place].string() == "last-generated-id" {
                #expect(try info[place + 1].string() == last[place + 1].string())
            }
            // Of the dead the one of the sibling stays, and nonsense that does not quote the id.
            let dead = try await redis.send("XRANGE", "\(Self.stream):dead", "-", "+").array()
            #expect(dead.count == 3)
            let bytes = try await Self.bytes(redis)
            #expect(!bytes.contains(Array(Self.json(Self.user, "e3").utf8)))
            #expect(!bytes.contains(Array("\"\(Self.user)\"".utf8)))

            // Who had read one before does not bury it after.
            try await consumer.bury(taken[0].entries[63], code: "unknown_item", field: "item_id", of: "default")
            #expect(try await redis.send("XLEN", "\(Self.stream):dead").integer() == 3)
            #expect(try await traces.remove(Self.erasure()) == 0)
        }
    }

    @Test("what was added later stays; a stream of nothing else keeps its group and its last id")
    func later() async throws {
        try await Self.withTraces { traces, _, redis in
            let consumer = RedisFeedbackStream(client: redis.client, consumer: "n1")
            try await consumer.prepare("default")
            try await redis.send("XADD", Self.stream, "1000-1", "event", Self.json("ann", "a"))
            try await redis.send("XADD", Self.stream, "1001-0", "event", Self.json("ann", "b"))
            #expect(try await traces.remove(Self.erasure(of: "ann", at: 1_000)) == 1)
            #expect(try await redis.send("XLEN", Self.stream).integer() == 1)
            #expect(try await traces.remove(Self.erasure(of: "ann", at: 1_001)) == 1)
            #expect(try await redis.send("XLEN", Self.stream).integer() == 0)
            #expect(try await consumer.read([("default", .new)], count: 10, wait: .milliseconds(1)).isEmpty)
            // Its id would be lower, were the last one forgotten.
            await #expect(throws: RedisError.self) {
                try await redis.send("XADD", Self.stream, "1001-0", "event", "{}")
            }
        }
    }
}

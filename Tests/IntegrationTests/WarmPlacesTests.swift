import Caching
import Redis
import RedisAdapters
import Testing

@Suite("places left for those that start")
struct WarmPlacesTests {
    private static func places(_ redis: RedisSubject, _ members: String...) -> [CachePlace] {
        members.map { member in
            CachePlace(
                key: CacheKey(namespace: redis.incarnation, owner: "a b/{c}", member: member),
                field: CacheField(parts: ["home|x", "m1", "p0", "", "", "0"])
            )
        }
    }

    @Test("a node finds what it left itself, a new one what was left last, in order, whatever the ids are")
    func left() async throws {
        try await withRedis { redis in
            let other = RedisNamespace(node: "n2")
            other.adopt(incarnation: redis.incarnation)
            let stranger = RedisNamespace(node: "n3")
            stranger.adopt(incarnation: redis.incarnation)
            let first = RedisWarmPlaces(client: redis.client, namespace: redis.namespace)
            let second = RedisWarmPlaces(client: redis.client, namespace: other)
            #expect(try await first.left().isEmpty)
            let own = Self.places(redis, "a\nb", "caf\u{E9}", "cafe\u{301}", "x y", "}")
            try await first.leave(own)
            #expect(try await second.left() == own)
            let others = Self.places(redis, "z")
            try await second.leave(others)
            #expect(try await first.left() == own)
            #expect(try await second.left() == others)
            #expect(try await RedisWarmPlaces(client: redis.client, namespace: stranger).left() == others)
            let lifetime = try await redis.timeToLive("vireo:\(redis.incarnation):warm:n1")
            #expect((1...3_600_000).contains(lifetime))
        }
    }

    @Test("what somebody else wrote there is passed over, and is no error that holds up a start")
    func foreign() async throws {
        try await withRedis { redis in
            let places = RedisWarmPlaces(client: redis.client, namespace: redis.namespace)
            let good = Self.places(redis, "a")[0]
            let line = String(decoding: good.key.bytes + [0x20] + good.field.bytes, as: UTF8.self)
            let name = "vireo:\(redis.incarnation):warm:n1"
            try await redis.send("SET", name, "\n \nx y\n\(line)\n\(line) more\nno-field \n\u{0}\u{1}\n")
            #expect(try await places.left() == [good])
            try await redis.send("DEL", name)
            try await redis.send("HSET", name, "a", "b")
            #expect(try await places.left().isEmpty)
        }
    }
}

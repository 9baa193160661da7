import Postgres
import PostgresAdapters
import RecommendationCore
import Redis
import Testing

@testable import RedisAdapters

@Suite("Sessions in Redis and PostgreSQL")
struct SessionTests {
    private static func event(
        _ item: String = "i1",
        by user: String = "ann",
        _ type: EventType = .click,
        at seconds: Int64 = 0
    ) -> SessionEvent {
        SessionEvent(
            user: id(user),
            item: id(item),
            type: type,
            value: 4.5,
            occurredAt: Timestamp(seconds: 1_767_225_600 + seconds)
        )
    }

    private static func repository(_ redis: RedisSubject, timeToLive: Int = 1_800) -> RedisSessionRepository {
        RedisSessionRepository(client: redis.client, namespace: redis.namespace, timeToLive: .seconds(timeToLive))
    }

    private static func name(_ session: String, _ redis: RedisSubject, tenant: String = "default") -> String {
        String(decoding: redis.namespace.sessionKey(id(session), tenant: id(tenant)), as: UTF8.self)
    }

    @Test("a session holds its newest fifty events, each once, and is gone a while after the last")
    func bounds() async throws {
        try await withRedis { redis in
            let sessions = Self.repository(redis)
            #expect(try await sessions.events(of: id("s"), tenant: .default).isEmpty)
            let many = (0..<60).map { Self.event("i\($0)", at: Int64($0)) }
            try await sessions.append([id("s"): Array(many.shuffled())], tenant: .default, until: .max)
            try await sessions.append(
                [id("s"): Array(many.suffix(3)), id("t"): [many[0]]],
                tenant: .default,
                until: .max
            )
            // One that is late does not take the place of a newer one.
            try await sessions.append([id("s"): [many[2]]], tenant: .default, until: .max)
            let held = try await sessions.events(of: id("s"), tenant: .default)
            #expect(held == many.suffix(50).reversed(), "newest first")
            #expect(try await sessions.events(of: id("t"), tenant: .default) == [many[0]])
            let left = try await redis.timeToLive(Self.name("s", redis))
            #expect((1_700_000...1_800_000).contains(left))
            try await sessions.append([:], tenant: .default, until: .max)
        }
    }

    @Test("a session is gone when its time is over")
    func expiry() async throws {
        try await withRedis { redis in
            let sessions = Self.repository(redis, timeToLive: 1)
            try await sessions.append([id("s"): [Self.event()]], tenant: .default, until: .max)
            #expect(try await redis.timeToLive(Self.name("s", redis)) <= 1_000)
            try await redis.send("PEXPIRE", Self.name("s", redis), "1")
            while try await redis.send("EXISTS", Self.name("s", redis)).integer() == 1 {}
            #expect(try await sessions.events(of: id("s"), tenant: .default).isEmpty)
        }
    }

    @Test("no two sessions are one, whatever they and their tenants are called, nor is one a user's cache")
    func hostile() async throws {
        try await withRedis { redis in
            let sessions = Self.repository(redis)
            let names = [
                "a", "a/b", "b", "}{", "{a}", "a}", "%61", "*", "caf\u{E9}", "cafe\u{301}", "a b", "session:a", "\"'",
            ]
            var keys: Set<[UInt8]> = []
            for tenant in names {
                for session in names {
                    let key = redis.namespace.sessionKey(id(session), tenant: id(tenant))
                    #expect(keys.insert(key).inserted)
                    #expect(!key.starts(with: Array("vireo:\(redis.incarnation):".utf8)))
                    let own = Self.event(session, by: tenant)
                    try await sessions.append([id(session): [own]], tenant: id(tenant), until: .max)
                }
            }
            for tenant in names {
                for session in names {
                    let held = try await sessions.events(of: id(session), tenant: id(tenant))
                    #expect(held == [Self.event(session, by: tenant)])
                }
            }
            redis.namespace.adopt(incarnation: "session:\(redis.incarnation)")
            #expect(try await sessions.events(of: id("a"), tenant: id("a")).isEmpty, "of another incarnation")
        }
    }

    @Test("what somebody else has written under a session's name is no event, and is written over")
    func foreign() async throws {
        try await withRedis { redis in
            let sessions = Self.repository(redis)
            let name = Self.name("s", redis)
            try await redis.send("SET", name, "nonsense")
            #expect(try await sessions.events(of: id("s"), tenant: .default).isEmpty)
            try await sessions.append([id("s"): [Self.event()]], tenant: .default, until: .max)
            try await redis.send("ZADD", name, "1", "nonsense", "2", "")
            #expect(try await sessions.events(of: id("s"), tenant: .default) == [Self.event()])
        }
    }

    @Test("an event survives its bytes, and no cut or change of them is trusted")
    func bytes() {
        var bytes: [UInt8] = []
        for name in ["a", "caf\u{E9}", String(repeating: "x", count: 128), "\u{1F680}"] {
            for type in EventType.allCases {
                let event = Self.event(name, by: name + "", type, at: -5)
                bytes = SessionEventCodec.encode(event)
                #expect(SessionEventCodec.decode(bytes) == event)
            }
        }
        for length in 0..<bytes.count { #expect(SessionEventCodec.decode(Array(bytes[..<length])) == nil) }
        #expect(SessionEventCodec.decode(bytes + [0]) == nil)
        for place in [0, 1, 14, 15] {
            var changed = bytes
            changed[place] = 200
            #expect(SessionEventCodec.decode(changed) == nil, "\(place)")
        }
        let control = SessionEventCodec.encode(Self.event("a\u{7}b"))
        #expect(SessionEventCodec.decode(control) == nil, "no such id comes from outside")
    }

    @Test("the store holds the events that were recorded, of those users, until a reset")
    func held() async throws {
        try await withDatabase { database in
            let interactions = PostgresInteractionRepository(store: database.store)
            try await database.addItems("i1", "i2")
            let events = [
                Self.event("i1", by: "ann"), Self.event("i2", by: "ann", .like, at: 7), Self.event("i1", by: "bob"),
            ]
            #expect(try await interactions.holds(events, tenant: .default) == [false, false, false])
            let recorded = events.map { held in
                Feedback(
                    eventID: nil,
                    user: held.user,
                    item: held.item,
                    type: held.type,
                    value: held.value,
                    occurredAt: held.occurredAt
                )
            }
            _ = try await database.feedback.record(recorded, tenant: .default, invalidating: invalidating)
            #expect(try await interactions.holds(events, tenant: .default) == [true, true, true])
            let others = [
                Self.event("i2", by: "ann"), Self.event("i1", by: "ann", .view), Self.event("i1", by: "ann", at: 1),
                Self.event("i1", by: "cid"), Self.event("i9", by: "ann"),
            ]
            #expect(try await interactions.holds(others, tenant: .default).allSatisfy { !$0 })
            #expect(try await interactions.holds(events, tenant: .fleet) == [false, false, false])
            #expect(try await interactions.holds(events, tenant: id("no tenant")) == [false, false, false])
            #expect(try await interactions.holds([], tenant: .default).isEmpty)
            _ = try await database.profiles.apply(.reset, to: id("ann"), tenant: .default)
            #expect(try await interactions.holds(events, tenant: .default) == [false, false, true])
        }
    }
}

import Caching
import LocalServers
import Redis
import RedisAdapters
import Testing

/// The commands of feedback streams, against a real Redis.
@Suite("Feedback streams")
struct FeedbackStreamTests {
    private static let wait = Duration.milliseconds(1)

    /// Two consumers of one stream.
    private static func withStream(
        _ body: (_ first: RedisFeedbackStream, _ second: RedisFeedbackStream, RedisSubject) async throws -> Void
    ) async throws {
        try await withOwnRedisServer { server in
            try await withRedis(on: server) { redis in
                let first = RedisFeedbackStream(client: redis.client, consumer: "n1")
                let second = RedisFeedbackStream(client: redis.client, consumer: "n2")
                try await first.prepare("t")
                try await second.prepare("t")
                try await body(first, second, redis)
            }
        }
    }

    private static func add(_ event: String, _ redis: RedisSubject, field: String = "event") async throws -> String {
        try #require(try await redis.send("XADD", "vireo:feedback:stream:t", "*", field, event).string())
    }

    private static func pending(_ redis: RedisSubject) async throws -> Int64 {
        try await redis.send("XPENDING", "vireo:feedback:stream:t", "vireo").array()[0].integer()
    }

    @Test("an entry is given to one consumer, and again to that one, until it is acknowledged")
    func delivery() async throws {
        try await Self.withStream { first, second, redis in
            #expect(try await first.read([("t", .new)], count: 10, wait: Self.wait).isEmpty)
            let id = try await Self.add("{}", redis)
            let read = try await first.read([("t", .new)], count: 10, wait: Self.wait)
            #expect(read.map(\.index) == [0])
            #expect(read[0].entries.map(\.id) == [id])
            #expect(read[0].entries[0].event == Array("{}".utf8) && !read[0].entries[0].isDeleted)
            #expect(try await second.read([("t", .new)], count: 10, wait: Self.wait).isEmpty)
            #expect(try await second.read([("t", .own(after: "0"))], count: 10, wait: Self.wait)[0].entries.isEmpty)
            let again = try await first.read([("t", .own(after: "0"))], count: 10, wait: Self.wait)
            #expect(again[0].entries == read[0].entries)
            #expect(try await first.read([("t", .own(after: id))], count: 10, wait: Self.wait)[0].entries.isEmpty)
            try await first.acknowledge([id], of: "t")
            #expect(try await first.read([("t", .own(after: "0"))], count: 10, wait: Self.wait)[0].entries.isEmpty)
            #expect(try await Self.pending(redis) == 0)
        }
    }

    @Test("tenants whose names are equal as text, or look like another's dead, have streams of their own")
    func tenants() async throws {
        try await Self.withStream { first, _, redis in
            let tenants = ["caf\u{E9}", "cafe\u{301}", "t:dead", "t"]
            for tenant in tenants { try await first.prepare(tenant) }
            let id = try await Self.add("nonsense", redis)
            try await redis.send("XADD", "vireo:feedback:stream:cafe%CC%81", "*", "event", "2")
            try await redis.send("XADD", "vireo:feedback:stream:t%3Adead", "*", "event", "3")
            let read = try await first.read(tenants.map { ($0, .new) }, count: 10, wait: Self.wait)
            let found = Dictionary(uniqueKeysWithValues: read.map { ($0.index, $0.entries) })
            #expect(
                found.mapValues { $0.map { String(decoding: $0.event ?? [], as: UTF8.self) } }
                    == [1: ["2"], 2: ["3"], 3: ["nonsense"]]
            )
            #expect(found[3]?.map(\.id) == [id])
            try await first.bury(found[3]![0], code: "malformed_json", field: "", of: "t")
            #expect(try await first.read([("t:dead", .new)], count: 10, wait: Self.wait).isEmpty)
        }
    }

    @Test("what was published before there was a group is read; a group that Redis has forgotten is told of")
    func groups() async throws {
        try await Self.withStream { first, _, redis in
            try await redis.send("FLUSHALL")
            await #expect(throws: SharedCacheError.refused("NOGROUP")) {
                try await first.read([("t", .new)], count: 10, wait: Self.wait)
            }
            let id = try await Self.add("{}", redis)
            try await first.prepare("t")
            #expect(try await first.read([("t", .new)], count: 10, wait: Self.wait)[0].entries.map(\.id) == [id])
        }
    }

    @Test("an entry without an event and one that was deleted are what they are")
    func oddities() async throws {
        try await Self.withStream { first, _, redis in
            let other = try await Self.add("{}", redis, field: "payload")
            let deleted = try await Self.add("{}", redis)
            _ = try await first.read([("t", .new)], count: 10, wait: Self.wait)
            try await redis.send("XDEL", "vireo:feedback:stream:t", deleted)
            let own = try await first.read([("t", .own(after: "0"))], count: 10, wait: Self.wait)[0].entries
            #expect(own.map(\.id) == [other, deleted])
            #expect(own.map(\.isDeleted) == [false, true])
            #expect(own.allSatisfy { $0.event == nil })
        }
    }

    @Test("what is pending for long is taken over, however much there is of others, and what is not stays")
    func claims() async throws {
        try await Self.withStream { first, second, redis in
            var ids: [String] = []
            for _ in 0..<50 { ids.append(try await Self.add("{}", redis)) }
            _ = try await first.read([("t", .new)], count: 50, wait: Self.wait)
            #expect(try await second.claim(idle: .seconds(3_600), count: 100, of: "t") == 0)
            // Only the last one is old.
            let (stream, last) = ("vireo:feedback:stream:t", ids[49])
            try await redis.send("XCLAIM", stream, "vireo", "n1", "0", last, "IDLE", "7200000", "JUSTID")
            #expect(try await second.claim(idle: .seconds(3_600), count: 1, of: "t") == 1)
            let own = try await second.read([("t", .own(after: "0"))], count: 100, wait: Self.wait)[0].entries
            #expect(own.map(\.id) == [ids[49]])
        }
    }

    @Test("what is rejected is among the dead with its reason, and pending no more")
    func buries() async throws {
        try await Self.withStream { first, _, redis in
            let id = try await Self.add("nonsense", redis)
            let entry = try await first.read([("t", .new)], count: 10, wait: Self.wait)[0].entries[0]
            try await first.bury(entry, code: "malformed_json", field: "", of: "t")
            #expect(try await Self.pending(redis) == 0)
            let dead = try await redis.send("XRANGE", "vireo:feedback:stream:t:dead", "-", "+").array()
            let fields = try dead[0].array()[1].array().map { try $0.string() }
            #expect(fields == ["id", id, "event", "nonsense", "code", "malformed_json", "field", ""])
        }
    }

    @Test("only what was delivered and acknowledged is trimmed, and nothing where others read the stream too")
    func trims() async throws {
        try await Self.withStream { first, second, redis in
            func length() async throws -> Int64 { try await redis.send("XLEN", "vireo:feedback:stream:t").integer() }
            var ids: [String] = []
            for _ in 0..<1_000 { ids.append(try await Self.add("{}", redis)) }
            #expect(try await first.tidy("t") == 0)
            #expect(try await length() == 1_000, "nobody has been given any")
            _ = try await first.read([("t", .new)], count: 700, wait: Self.wait)
            #expect(try await first.tidy("t") == 700)
            #expect(try await length() == 1_000, "nothing is acknowledged")
            try await first.acknowledge(Array(ids[..<300]) + Array(ids[400..<700]), of: "t")
            try await redis.send("XGROUP", "CREATE", "vireo:feedback:stream:t", "others", "0")
            #expect(try await first.tidy("t") == 100)
            #expect(try await length() == 1_000, "another group may want them")
            try await redis.send("XGROUP", "DESTROY", "vireo:feedback:stream:t", "others")
            #expect(try await second.tidy("t") == 100)
            let kept = try await redis.send("XRANGE", "vireo:feedback:stream:t", "-", "+").array()
            let left = try kept.map { try $0.array()[0].string() }
            #expect(left.count < 1_000 && left.suffix(700) == ids[300...].map { $0 }, "\(left.count)")
            _ = try await second.read([("t", .new)], count: 1_000, wait: Self.wait)
            try await second.acknowledge(Array(ids[300..<400]) + Array(ids[700...]), of: "t")
            #expect(try await second.tidy("t") == 0)
            #expect(try await length() <= 200)
        }
    }
}

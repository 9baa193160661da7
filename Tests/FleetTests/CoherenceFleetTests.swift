import Foundation
import LocalServers
import Testing

/// Two nodes as a stranger sees them; answers are judged by content.
@Suite("Fleet", .serialized)
struct CoherenceFleetTests {
    @Test("a purchase on one node is gone on the other, for every request begun a lease after the acknowledgement")
    func purchase() async throws {
        try await Fleet.with { fleet in
            for number in 1...20 {
                let user = "u" + String(format: "%06d", number)
                let (writer, reader) = number % 2 == 0 ? (0, 1) : (1, 0)
                let before = try await fleet.slate(reader, user: user)
                _ = try await fleet.slate(writer, user: user)
                let bought = try #require(before.ids.first)
                let written = try await fleet.feedback(writer, user: user, item: bought, event: "p-\(number)")
                #expect(written.accepted == 1)
                #expect(written.propagated)
                // At once on the node that took it.
                let own = try await fleet.slate(writer, user: user)
                #expect(!own.ids.contains(bought))
                #expect(own.user_version == written.user_version)
                let acknowledged = ContinuousClock.now
                var gone: Duration?
                while ContinuousClock.now - acknowledged < .milliseconds(1_500) {
                    let begun = ContinuousClock.now
                    let other = try await fleet.slate(reader, user: user)
                    let isStale = other.ids.contains(bought)
                    if begun - acknowledged >= .seconds(1) { #expect(!isStale, "begun \(begun - acknowledged) after") }
                    if !isStale, gone == nil { gone = begun - acknowledged }
                    if let gone, begun - acknowledged > gone + .milliseconds(100) { break }
                }
                #expect(gone != nil)
            }
        }
    }

    @Test("a tombstone takes an item out of personal and of fallback answers; taking it away brings the item back")
    func tombstone() async throws {
        try await Fleet.with { fleet in
            let cold = try await fleet.slate(0, user: "nobody")
            let item = try #require(cold.ids.first)
            #expect(cold.fallback == "cold_start")
            var personal: String?
            for number in 1...300 where personal == nil {
                let user = "u" + String(format: "%06d", number)
                let slate = try await fleet.slate(1, user: user)
                if slate.ids.contains(item), slate.fallback == nil { personal = user }
            }
            let user = try #require(personal, "no personal list has the most popular item")
            let response = try await fleet.admin(0).post(
                "/v1/admin/tombstones",
                #"{"kind":"item","ids":["\#(item)"],"reason":"legal","expires_at":null}"#
            )
            #expect(response.status == 200)
            #expect(response.body.contains(#""added":1,"already":0"#), "\(response.body)")
            #expect(try await !fleet.slate(0, user: user).ids.contains(item), "at once on the node that took it")
            try await Task.sleep(for: .seconds(1))
            for node in 0...1 {
                #expect(try await !fleet.slate(node, user: user).ids.contains(item))
                #expect(try await !fleet.slate(node, user: "nobody").ids.contains(item))
            }
            // The popular list, served where PostgreSQL is gone.
            try await fleet.postgres.kill()
            for node in 0...1 {
                let fallback = try await fleet.slate(node, user: "stranger-\(node)", limit: 50)
                #expect(fallback.fallback == "popular")
                #expect(fallback.degraded.contains("postgres"))
                #expect(!fallback.ids.isEmpty)
                #expect(!fallback.ids.contains(item))
            }
            try await fleet.postgres.restart()
            try await eventually("the tombstone can be taken away", within: 20) {
                try await fleet.admin(1).send(
                    "DELETE",
                    "/v1/admin/tombstones",
                    body: #"{"kind":"item","ids":["\#(item)"]}"#
                )
                .status == 200
            }
            try await eventually("the item is back on the other node", within: 10) {
                try await fleet.slate(0, user: "nobody").ids.contains(item)
            }
        }
    }

    @Test("a model switch never mixes two versions in an answer, and reaches every node within the bound")
    func modelSwitch() async throws {
        try await Fleet.with { fleet in
            let stop = Flag()
            try await withThrowingTaskGroup(of: Int.self) { group in
                for node in 0...1 {
                    for worker in 0..<2 {
                        group.addTask {
                            var answers = 0
                            while !stop.isSet, !Task.isCancelled {
                                let user = "u" + String(format: "%06d", answers % 300 + 1)
                                let slate = try await fleet.slate(node, user: user)
                                let models = Set(slate.items.map { Self.model(inToken: $0.tracking_token) })
                                #expect(models.count <= 1, "worker \(worker)")
                                if let model = models.first { #expect(slate.model_version == "m\(model)") }
                                #expect(slate.headers["x-vireo-model"] == slate.model_version)
                                answers += 1
                            }
                            return answers
                        }
                    }
                }
                group.addTask {
                    defer { stop.set() }
                    for version in 2...3 {
                        // An event makes the next model another one than the last.
                        try await fleet.feedback(
                            0,
                            user: "u000001",
                            item: "i00000\(version)",
                            event: "switch-\(version)"
                        )
                        let trained = try await Vireo.succeed(["train", "--activate", "--json"], fleet.environment)
                        // Not simply the next number: the fleet's own schedule builds models as well.
                        let name = try JSONDecoder().decode(Trained.self, from: Data(trained.utf8)).version
                        // The command line announces nothing: a node hears by its own read, within a second and a lease.
                        try await eventually("all nodes serve \(name) or a later one", within: 10) {
                            try await fleet.everywhere { node in
                                try await Self.number(fleet.slate(node, user: "u000002").model_version)
                                    >= Self.number(name)
                            }
                        }
                    }
                    return 0
                }
                var total = 0
                for try await answers in group { total += answers }
                #expect(total > 100)
            }
        }
    }

    private struct Trained: Decodable {
        let version: String
    }

    private static func number(_ model: String) -> Int { Int(model.dropFirst()) ?? -1 }

    /// The model in the body of a tracking token.
    static func model(inToken token: String) -> Int {
        var text = token.split(separator: ".")[2].replacingOccurrences(of: "-", with: "+").replacingOccurrences(
            of: "_",
            with: "/"
        )
        while text.count % 4 != 0 { text += "=" }
        let bytes = [UInt8](Data(base64Encoded: text) ?? Data())
        return bytes.count > 24 ? bytes[16..<20].reduce(0) { $0 << 8 | Int($1) } : -1
    }

    @Test("hostile ids are served as they are and cross nothing: no user, no tenant, no key")
    func hostileIDs() async throws {
        try await Fleet.with { fleet in
            let ids = [
                "a|b", "a", "b", "{x}", "x", "*", "?", "[a-z]*", "a/b", "a%2Fb", "../a", "a\\nb", "a b", "\"",
                "'; DROP TABLE items; --",
                "caf\u{E9}", "cafe\u{301}", String(repeating: "\u{1F680}", count: 32), "default/u000001", "u000001}",
                "}{", ":", "floor",
            ]
            let other = try await Vireo.succeed(
                ["keys", "create", "--tenant", "other|tenant", "--scopes", "read,write"],
                fleet.environment
            )
            try await eventually("the new key is known", within: 5) {
                try await RawHTTP(port: fleet.nodes[0].port, key: other).get("/v1/recommendations/x").status != 401
            }
            var versions: [[UInt8]: Int64] = [:]
            for (index, id) in ids.enumerated() {
                let written = try await fleet.feedback(index % 2, user: id, item: "i000001", event: "hostile-\(index)")
                #expect(written.accepted == 1)
                versions[Array(id.utf8)] = written.user_version
            }
            #expect(Set(versions.values).count == ids.count)
            for (index, id) in ids.enumerated() {
                for round in 0...2 {
                    let slate = try await fleet.slate((index + round) % 2, user: id)
                    #expect(Array(slate.user_id.utf8) == Array(id.utf8))
                    #expect(slate.user_version == versions[Array(id.utf8)], "\(id)")
                    #expect(!slate.ids.contains("i000001"), "\(id) has bought it")
                }
            }
            // The other tenant has no items and no users, whatever its ids are called.
            for id in ["u000001", "default/u000001", "a|b"] {
                let response = try await RawHTTP(port: fleet.nodes[1].port, key: other)
                    .get("/v1/recommendations/\(id.escapedForPath)")
                #expect(response.status == 503 || !response.body.contains("i0000"), "\(response.body)")
            }
            let stolen = try await RawHTTP(port: fleet.nodes[0].port, key: other).post(
                "/v1/feedback",
                #"{"event_id":"hostile-0","user_id":"a|b","item_id":"i000001","type":"purchase"}"#
            )
            #expect(stolen.status == 422, "the item is another tenant's: \(stolen.body)")
            for target in ["/v1/recommendations/a%0Ab", "/v1/recommendations/" + String(repeating: "x", count: 129)] {
                #expect(try await fleet.app(0).get(target).status == 422)
            }
            for target in ["/v1/recommendations/%ff", "/v1/recommendations/a%2", "/v1/recommendations/%zz"] {
                #expect(try await fleet.app(0).get(target).status == 400)
            }
        }
    }

    @Test("feedback over Redis is heard by both nodes and stored once")
    func channel() async throws {
        try await Fleet.with { fleet in
            let before = try await fleet.slate(0, user: "u000010")
            let item = try #require(before.ids.first)
            try await eventually("both nodes listen", within: 5) {
                try await RedisCommandLine.send(["PUBSUB", "NUMSUB", "vireo:feedback"], port: fleet.redis.port)
                    .contains(":2\r\n")
            }
            let event = #"{"event_id":"r-1","user_id":"u000010","item_id":"\#(item)","type":"purchase"}"#
            let heard = try await RedisCommandLine.publish("vireo:feedback", event, port: fleet.redis.port)
            #expect(heard == 2, "both nodes listen")
            try await eventually("the item is gone on both", within: 3) {
                try await fleet.everywhere { node in try await !fleet.slate(node, user: "u000010").ids.contains(item) }
            }
            for garbage in [
                "", "{", "[]", #"{"event_id":"x"}"#, #"{"user_id":"u","item_id":"i","type":"view"}"#, "\u{0}",
            ] {
                _ = try await RedisCommandLine.publish("vireo:feedback", garbage, port: fleet.redis.port)
            }
            _ = try await RedisCommandLine.publish("vireo:feedback", event, port: fleet.redis.port)
            try await eventually("what came is counted", within: 3) {
                let metrics = try await RawHTTP(port: fleet.nodes[0].adminPort).get("/metrics").body
                return metrics.contains(#"vireo_feedback_channel_total{result="rejected"} 6"#)
                    && metrics.contains(#"vireo_feedback_channel_total{result="taken"} 2"#)
            }
            try await fleet.sql(
                "DO $$ BEGIN ASSERT (SELECT count(*) FROM interactions WHERE event_id = 'r-1') = 1; END $$"
            )
        }
    }
}

final class Flag: @unchecked Sendable {
    // Guarded by the lock.
    private var value = false
    private let lock = NSLock()
    var isSet: Bool { self.lock.withLock { self.value } }
    func set() { self.lock.withLock { self.value = true } }
}

/// One command to Redis over a socket of its own.
enum RedisCommandLine {
    static func publish(_ channel: String, _ payload: String, port: Int) async throws -> Int {
        let text = try await Self.send(["PUBLISH", channel, payload], port: port)
        return Int(text.dropFirst().prefix { $0.isNumber }) ?? -1
    }

    static func send(_ words: [String], port: Int) async throws -> String {
        let command = "*\(words.count)\r\n" + words.map { "$\($0.utf8.count)\r\n\($0)\r\n" }.joined()
        let quit = "*1\r\n$4\r\nQUIT\r\n"
        let answer = try await RawHTTP(port: port).exchange(Array((command + quit).utf8))
        return String(decoding: answer, as: UTF8.self)
    }
}

import Foundation
import LocalServers
import Testing

/// Consent that is taken back, on nodes over one Redis and one PostgreSQL: on every way to a list.
@Suite("Consent on a fleet", .serialized)
struct ConsentFleetTests {
    /// PostgreSQL's connections tell of their scans when they have been idle for ten seconds.
    private static let untilCounted = Duration.seconds(12)

    @Test("without consent no history is read, no tier holds a list, and no path shows what is suppressed")
    func everyPath() async throws {
        let quiet = ["VIREO_SNAPSHOT_INTERVAL_S": "86400", "VIREO_WARM_INTERVAL_S": "off"]
        try await Fleet.with(nodes: 2, settings: quiet) { fleet in
            let user = "u000042"
            let path = "/v1/users/\(user)"
            let own = try await fleet.slate(0, user: user)
            #expect(own.fallback == nil)
            for node in 0...1 { try await Self.askEverywhere(node, user, fleet) { _, _ in } }
            let unwanted = try #require(try await fleet.slate(0, user: "nobody").ids.first)
            let suppressed = try await fleet.app(1).send("PUT", "\(path)/suppressions/item/\(unwanted)", body: "{}")
            #expect(suppressed.status == 200)
            let off = try await fleet.app(0).send("PUT", "\(path)/consent", body: #"{"personalization":false}"#)
            #expect(off.status == 200 && off.body.contains(#""propagated":true"#))
            try await Task.sleep(for: .seconds(1))
            for node in 0...1 {
                let slate = try await fleet.slate(node, user: user)
                #expect(slate.fallback == "cold_start" && !slate.ids.contains(unwanted))
            }
            try await Task.sleep(for: Self.untilCounted)
            let before = try await Self.scans(fleet)
            for node in [0, 1, 0, 1] {
                try await Self.askEverywhere(node, user, fleet) { way, answer in
                    #expect(answer.status == 200, "\(way): \(answer.body)")
                    #expect(!answer.body.contains("\"item_id\":\"\(unwanted)\""), "\(way)")
                    // The item that was asked for may explain another, and the one of the request's own session; nothing else.
                    let seeds = answer.body.components(separatedBy: #""seed_items":["#).dropFirst()
                    #expect(seeds.allSatisfy { $0.hasPrefix("]") || $0.hasPrefix(#""i000017"]"#) }, "\(way)")
                }
            }
            try await Task.sleep(for: Self.untilCounted)
            #expect(try await Self.scans(fleet) == before, "no index and no table of events was looked into")
            for node in 0...1 {
                let cached = try await fleet.admin(node).get("/v1/admin/cache/\(user)")
                #expect(cached.status == 200 && cached.body.contains(#""entries":[]"#), "\(cached.body)")
            }
            let fields = try await RedisCommandLine.send(
                [["EVAL", Self.fields, "0", "{default/\(user)}"]],
                port: fleet.redis.port
            )
            #expect(fields.hasPrefix("*1\r\n$5\r\nfloor\r\n"), "\(fields)")

            // Given again, there are lists again, of what happened before.
            let on = try await fleet.app(1).send("PUT", "\(path)/consent", body: #"{"personalization":true}"#)
            #expect(on.status == 200)
            try await Task.sleep(for: .seconds(1))
            for node in 0...1 {
                let slate = try await fleet.slate(node, user: user)
                #expect(slate.fallback == nil && !slate.ids.contains(unwanted))
            }
            try await Task.sleep(for: Self.untilCounted)
            #expect(try await Self.scans(fleet) > before, "such reads are counted")
        }
    }

    @Test("what the caches hold is shown by the bytes of the id, and never of another tenant's user")
    func inspection() async throws {
        try await Fleet.with(nodes: 1) { fleet in
            let other = try await Vireo.succeed(
                ["keys", "create", "--tenant", "acme", "--scopes", "admin"],
                fleet.environment
            )
            let ids = ["caf\u{E9}", "cafe\u{301}", "a/b", "{x}", "a}", "*", "default/a", "%61"]
            for (number, user) in ids.enumerated() {
                try await fleet.feedback(0, user: user, item: String(format: "i%06d", number + 1), event: "c-\(number)")
                _ = try await fleet.slate(0, user: user)
            }
            try await eventually("the key of the other tenant is known", within: 10) {
                try await RawHTTP(port: fleet.nodes[0].adminPort, key: other).get("/v1/admin/models").status == 200
            }
            var floors: [String] = []
            for user in ids {
                let target = "/v1/admin/cache/\(user.escapedForPath)"
                var held = ""
                // What is computed while the relay tells of the write again may be in no tier: the next is.
                try await eventually("\(user) is in both tiers", within: 10) {
                    _ = try await fleet.slate(0, user: user)
                    held = try await fleet.admin(0).get(target).body
                    return held.contains(#""tier":"l1""#) && held.contains(#""tier":"l2""#)
                }
                floors += held.split(separator: ",").filter { $0.contains("\"floor\"") }.map(String.init)
                let foreign = try await RawHTTP(port: fleet.nodes[0].adminPort, key: other).get(target)
                #expect(foreign.status == 200 && foreign.body.contains(#""entries":[]"#), "\(user): \(foreign.body)")
            }
            #expect(floors.count == ids.count && Set(floors).count == ids.count, "each has a version of its own")
            for user in ["a", "x", "b", "caf", "default/caf\u{E9}"] {
                let none = try await fleet.admin(0).get("/v1/admin/cache/\(user.escapedForPath)")
                #expect(none.body.contains(#""entries":[]"#), "\(user)")
            }
        }
    }

    /// The names of the fields of the one hash whose key ends like this.
    private static let fields =
        "for _, key in ipairs(redis.call('KEYS', 'vireo:*')) do "
        + "if string.sub(key, -#ARGV[1]) == ARGV[1] and redis.call('TYPE', key).ok == 'hash' "
        + "then return redis.call('HKEYS', key) end end return {}"

    /// How often events were looked for, in whatever way.
    private static func scans(_ fleet: Fleet) async throws -> Int {
        let counts = try await fleet.postgres.query(
            "SELECT seq_scan + coalesce(idx_scan, 0) FROM pg_stat_user_tables WHERE relname = 'interactions'"
        )
        return try #require(counts.first.flatMap { Int($0) })
    }

    private static func askEverywhere(
        _ node: Int,
        _ user: String,
        _ fleet: Fleet,
        _ check: (String, RawHTTP.Response) -> Void
    ) async throws {
        let app = fleet.app(node)
        let list = "/v1/recommendations/\(user)"
        for target in [
            "\(list)?limit=20", "\(list)?limit=20&exclude_seen=false", "\(list)?limit=20&region=DE",
            "/v1/items/i000017/similar?user_id=\(user)&limit=20", "/v1/lists/popular?user_id=\(user)&limit=20",
            "/v1/lists/trending?user_id=\(user)&limit=20", "/v1/lists/latest?user_id=\(user)&limit=20",
        ] {
            check(target, try await app.get(target))
        }
        for (target, body) in [
            (list, #"{"limit":20}"#),
            ("/v1/recommendations:batch", #"{"requests":[{"user_id":"\#(user)","limit":20}]}"#),
            (
                "/v1/sessions:recommend",
                #"{"events":[{"item_id":"i000017","type":"view"}],"limit":20,"surface":"home","user_id":"\#(user)"}"#
            ),
        ] {
            check(target, try await app.post(target, body))
        }
    }
}

import Foundation
import LocalServers
import Testing

/// Filters, batches and lists over two nodes, judged by content.
@Suite("Fleet: filters, batches, lists", .serialized)
struct ServingFleetTests {
    private static let rare = (1...30).map { "i" + String(format: "%06d", $0) }

    private static func user(_ number: Int) -> String { "u" + String(format: "%06d", number) }

    @Test("filters hold on both nodes, follow the catalogue, and no slate has what was filtered")
    func filters() async throws {
        try await Fleet.with { fleet in
            try await fleet.sql(
                """
                UPDATE items SET categories = '{rare,other}', regions = '{eu}', labels = '{"lang":"de"}'
                WHERE item_id BETWEEN 'i000001' AND 'i000030'
                """
            )
            func ids(_ node: Int, _ user: String, _ query: String) async throws -> [String] {
                let response = try await fleet.app(node).get("/v1/recommendations/\(user)?\(query)")
                guard response.status == 200 else { throw RawHTTP.Failed(description: response.body) }
                return try response.json(as: Slate.self).ids
            }
            let rare = Set(Self.rare)
            try await eventually("both nodes know the category", within: 10) {
                try await fleet.everywhere { node in
                    let known = try await ids(node, Self.user(1), "category=rare&region=eu&locale=de&limit=20")
                    return !known.isEmpty && rare.isSuperset(of: known)
                }
            }
            for number in 1...10 {
                let user = Self.user(number)
                for node in 0...1 {
                    #expect(rare.isSuperset(of: try await ids(node, user, "category=rare&limit=30")))
                    for query in ["exclude_category=rare", "region=us", "locale=en-GB"] {
                        #expect(rare.isDisjoint(with: try await ids(node, user, query + "&limit=50")), "\(query)")
                    }
                    let own = try await ids(node, user, "limit=5")
                    let without = try await ids(node, user, "limit=50&exclude=\(own[0]),\(own[1])&exclude=\(own[2])")
                    #expect(Set(own.prefix(3)).isDisjoint(with: without))
                    #expect(!without.isEmpty)
                }
                let posted = try await fleet.app(1).post(
                    "/v1/recommendations/\(user)",
                    #"{"category":["rare"],"region":"eu","locale":"de-AT","limit":12}"#
                )
                let same = try await ids(0, user, "category=rare&region=eu&locale=de-AT&limit=12")
                #expect(try posted.json(as: Slate.self).ids == same)
            }
            // What a user has had comes back where it is asked for, and nowhere else.
            let bought = try #require(try await ids(0, Self.user(1), "category=rare&limit=1").first)
            try await fleet.feedback(0, user: Self.user(1), item: bought, event: "f-1")
            try await Task.sleep(for: .seconds(1))
            for node in 0...1 {
                #expect(try await !ids(node, Self.user(1), "category=rare&limit=30").contains(bought))
                #expect(try await ids(node, Self.user(1), "category=rare&limit=30&exclude_seen=false").contains(bought))
            }
            // A pool that is cached follows an item out of the category it was drawn for.
            let moved = try #require(try await ids(1, Self.user(2), "category=rare&limit=1").first)
            try await fleet.sql("UPDATE items SET categories = '{other}' WHERE item_id = '\(moved)'")
            try await eventually("both nodes see it leave", within: 5) {
                try await fleet.everywhere { node in
                    try await !ids(node, Self.user(2), "category=rare&limit=30").contains(moved)
                }
            }
            // A tombstone holds whatever is asked for.
            let denied = try #require(try await ids(1, Self.user(3), "category=rare&limit=1").first)
            try await fleet.tombstone(denied)
            #expect(try await !ids(0, Self.user(3), "category=rare&limit=30&exclude_seen=false").contains(denied))
            try await Task.sleep(for: .seconds(1))
            #expect(try await !ids(1, Self.user(3), "category=rare&limit=30&exclude_seen=false").contains(denied))
            for query in ["category=a,,b", "exclude_seen=maybe", "locale=%20"] {
                #expect(try await fleet.app(0).get("/v1/recommendations/u1?" + query).status == 422)
            }
            #expect(try await fleet.app(0).get("/v1/recommendations/u1?categories=a").status == 400)
        }
    }

    @Test("a batch of a hundred is one statement at PostgreSQL and one read a user at Redis, and coherent")
    func batch() async throws {
        try await Fleet.with(postgres: ["shared_preload_libraries": "pg_stat_statements"]) { fleet in
            try await fleet.sql("CREATE EXTENSION pg_stat_statements")
            let users = (1...100).map(Self.user)
            let requests = users.map { #"{"user_id":"\#($0)","limit":10}"# }
            /// Statements that read histories since the last reset; no other asks for users.
            func expectStatements(_ count: Int, _ text: Comment) async throws {
                try await fleet.sql(
                    """
                    DO $$ DECLARE histories bigint; others bigint; BEGIN
                        SELECT coalesce(sum(calls), 0) INTO histories FROM pg_stat_statements
                        WHERE query LIKE '%user_state s%' AND query LIKE '%interactions%';
                        SELECT coalesce(sum(calls), 0) INTO others FROM pg_stat_statements
                        WHERE query LIKE '%user_state%' AND query NOT LIKE '%interactions%' AND query NOT LIKE '%pg_stat%';
                        ASSERT histories = \(count) AND others = 0, 'histories: ' || histories || ', others: ' || others;
                    END $$
                    """
                )
            }
            func reset() async throws {
                try await fleet.sql("DO $$ BEGIN PERFORM pg_stat_statements_reset(); END $$")
                _ = try await RedisCommandLine.send(["CONFIG", "RESETSTAT"], port: fleet.redis.port)
            }
            func reads() async throws -> Int {
                let stats = try await RedisCommandLine.send(["INFO", "commandstats"], port: fleet.redis.port)
                guard let line = stats.split(separator: "\r\n").first(where: { $0.hasPrefix("cmdstat_hmget:calls=") })
                else { return 0 }
                return Int(line.dropFirst("cmdstat_hmget:calls=".count).prefix { $0.isNumber }) ?? -1
            }
            // Some of the demo's users have no history, and none of their own to be cached.
            let events = users.map { #"{"user_id":"\#($0)","item_id":"i000100","type":"click"}"# }
            let told = try await fleet.app(0).post("/v1/feedback:batch", "[\(events.joined(separator: ","))]")
            #expect(told.body.contains(#""accepted":100"#), "\(told.body)")
            try await reset()
            let computed = try await fleet.batch(0, requests)
            try await expectStatements(1, "all histories in one statement")
            #expect(computed.map(\.user_id) == users)
            #expect(computed.allSatisfy { $0.served_from?.tier == "computed" && $0.items?.count == 10 })
            try await reset()
            let shared = try await fleet.batch(1, requests)
            #expect(shared.allSatisfy { $0.served_from?.tier == "l2" }, "\(shared.compactMap { $0.served_from?.tier })")
            #expect(try await reads() == 100, "one HMGET a user, and no other")
            try await expectStatements(0, "what L2 has is not read again")
            try await reset()
            let local = try await fleet.batch(1, requests)
            #expect(local.allSatisfy { $0.served_from?.tier == "l1" })
            #expect(try await reads() == 0)
            for (index, user) in users.enumerated() where index % 10 == 0 {
                let own = try await fleet.slate(index / 10 % 2, user: user, limit: 10)
                for answers in [computed, shared, local] { #expect(answers[index].ids == own.ids) }
            }

            // A purchase: gone at once where it was made, at once anywhere for who names the version, a lease later for all.
            let bought = computed[0].ids[0]
            let written = try await fleet.feedback(0, user: users[0], item: bought, event: "b-1")
            #expect(try await !fleet.batch(0, [requests[0]])[0].ids.contains(bought))
            let named = try await fleet.batch(
                1,
                [#"{"user_id":"\#(users[0])","min_version":\#(written.user_version)}"#, requests[1]]
            )
            #expect(!named[0].ids.contains(bought))
            #expect(try #require(named[0].user_version) >= written.user_version)
            let next = named[0].ids[0]
            let again = try await fleet.feedback(0, user: users[0], item: next, event: "b-2")
            func single(_ version: Int64) async throws -> RawHTTP.Response {
                try await fleet.app(1).send(
                    "GET",
                    "/v1/recommendations/\(users[0].escapedForPath)",
                    headers: [("X-Min-Version", "\(version)")]
                )
            }
            let own = try await single(again.user_version).json(as: Slate.self)
            #expect(!own.ids.contains(next) && !own.ids.contains(bought))
            #expect(try await single(9_000_000_000).status == 412)
            try await Task.sleep(for: .seconds(1))
            #expect(try await !fleet.batch(1, [requests[0]])[0].ids.contains(bought))

            // Each by itself an answer or a problem; ids as they are.
            let mixed = try await fleet.batch(
                1,
                [
                    #"{"user_id":"a|b"}"#, #"{"user_id":"\#(users[0])","min_version":9000000000}"#,
                    #"{"user_id":"{x}","surface":"nowhere"}"#, #"{"user_id":"*","category":["no such"]}"#,
                    #"{"user_id":"\#(users[1])","exclude":["\#(computed[1].ids[0])"]}"#, requests[1], requests[1],
                ]
            )
            #expect(mixed.map(\.user_id) == ["a|b", users[0], "{x}", "*", users[1], users[1], users[1]])
            #expect(mixed[0].items?.count == 10)
            #expect(mixed[1].problem?.code == "version_unknown" && mixed[1].problem?.status == 412)
            #expect(mixed[2].problem?.status == 422)
            #expect(mixed[3].items?.isEmpty == true)
            // Compared within the call: the fleet may have a newer model by now.
            let excluded = computed[1].ids[0]
            #expect(!mixed[4].ids.contains(excluded))
            #expect(mixed[4].ids.first == mixed[5].ids.first { $0 != excluded })
            #expect(mixed[5].ids.count == 10 && mixed[6].ids == mixed[5].ids)

            // Without Redis it is still one statement; without PostgreSQL what is cached, and a fallback for the rest.
            try await fleet.postgres.kill()
            let without = try await fleet.batch(1, [requests[1], #"{"user_id":"stranger"}"#])
            #expect(without[0].ids == mixed[5].ids)
            #expect(without[1].served_from?.tier == "fallback" && without[1].items?.isEmpty == false)
            try await fleet.postgres.restart()
        }
    }

    @Test("lists and likenesses: the same on every node, without what is denied or had, and each tenant's own")
    func lists() async throws {
        try await Fleet.with { fleet in
            let names = ["popular", "trending?window=7d", "latest"]
            func target(_ name: String, _ query: String) -> String {
                "/v1/lists/" + name + (name.contains("?") ? "&" : "?") + query
            }
            for name in names {
                let tracked = try await fleet.app(0).list(target(name, "limit=20"))
                #expect(tracked.items.count == 20 && tracked.recommendation_id != nil)
                #expect(tracked.items.allSatisfy { $0.tracking_token?.hasPrefix("v2.") == true })
                #expect(
                    zip(tracked.items, tracked.items.dropFirst()).allSatisfy {
                        $0.score >= $1.score || name != "latest"
                    }
                )
                #expect(tracked.headers["cache-control"] == "private, no-store")
                let open = try await fleet.app(1).list(target(name, "limit=20&tokens=none"))
                #expect(open.ids == tracked.ids)
                #expect(open.recommendation_id == nil && open.items.allSatisfy { $0.tracking_token == nil })
                #expect(open.headers["cache-control"] == "public, no-cache")
                #expect(open.headers["vary"] == "Authorization")
                let tag = try #require(open.headers["etag"])
                #expect(try await fleet.app(0).list(target(name, "limit=20&tokens=none")).headers["etag"] == tag)
                for node in 0...1 {
                    #expect(
                        try await fleet.app(node).status(target(name, "limit=20&tokens=none"), ifNoneMatch: tag) == 304
                    )
                    #expect(
                        try await fleet.app(node).status(target(name, "limit=19&tokens=none"), ifNoneMatch: tag) == 200
                    )
                }
            }
            #expect(try await fleet.app(0).list("/v1/lists/latest?limit=3").ids == ["i000200", "i000199", "i000198"])

            // A token of a list is anybody's of the tenant.
            let place = try #require(try await fleet.app(0).list("/v1/lists/popular?limit=1").items.first)
            let event = try JSONEncoder().encode([
                "event_id": "l-1", "user_id": Self.user(5), "item_id": place.item_id, "type": "purchase",
                "tracking_token": try #require(place.tracking_token),
            ])
            #expect(try await fleet.app(1).post("/v1/feedback", String(decoding: event, as: UTF8.self)).status == 200)
            try await Task.sleep(for: .seconds(1))
            for node in 0...1 {
                let own = try await fleet.app(node).list("/v1/lists/popular?limit=50&user_id=" + Self.user(5))
                #expect(!own.ids.contains(place.item_id) && own.user_version > 0)
                #expect(own.headers["cache-control"] == "private, no-store")
                #expect(try await fleet.app(node).list("/v1/lists/popular?limit=50").ids.contains(place.item_id))
            }

            // Likeness, for everybody and for a user who has had some of it.
            let seed = place.item_id
            let similar = try await fleet.app(0).list("/v1/items/\(seed)/similar?limit=20")
            #expect(!similar.ids.contains(seed) && similar.items.count > 5)
            #expect(try await fleet.app(1).list("/v1/items/\(seed)/similar?limit=20").ids == similar.ids)
            let had = similar.ids[0]
            try await fleet.feedback(0, user: Self.user(6), item: had, type: "hide", event: "l-2")
            #expect(
                try await !fleet.app(0).list("/v1/items/\(seed)/similar?limit=20&user_id=\(Self.user(6))").ids.contains(
                    had
                )
            )
            try await Task.sleep(for: .seconds(1))
            #expect(
                try await !fleet.app(1).list("/v1/items/\(seed)/similar?limit=20&user_id=\(Self.user(6))").ids.contains(
                    had
                )
            )

            // A tombstone: gone at once here, a lease later there, and every validator of before is void.
            let denied = try await fleet.app(0).list("/v1/lists/latest?limit=1").ids[0]
            let url = "/v1/lists/latest?limit=5&tokens=none"
            let before = try #require(try await fleet.app(1).list(url).headers["etag"])
            try await fleet.tombstone(denied)
            #expect(try await !fleet.app(0).list("/v1/lists/latest?limit=100").ids.contains(denied))
            try await Task.sleep(for: .seconds(1))
            for node in 0...1 {
                #expect(try await !fleet.app(node).list(url).ids.contains(denied))
                #expect(try await fleet.app(node).status(url, ifNoneMatch: before) == 200)
                #expect(try await fleet.app(node).get("/v1/items/\(denied)/similar").status == 404)
            }
            // So does a change of an item.
            let sold = try await fleet.app(0).list(url).ids[0]
            let then = try #require(try await fleet.app(1).list(url).headers["etag"])
            try await fleet.sql("UPDATE items SET in_stock = false WHERE item_id = '\(sold)'")
            try await eventually("both nodes see it sold out", within: 5) {
                try await fleet.everywhere { node in try await !fleet.app(node).list(url).ids.contains(sold) }
            }
            #expect(try await fleet.app(0).status(url, ifNoneMatch: then) == 200)

            // Another tenant: its own lists, nothing of ours, and validators that are worth nothing here.
            let key = try await fleet.otherTenant(items: 50)
            let other = RawHTTP(port: fleet.nodes[0].port, key: key)
            #expect(try await other.list("/v1/lists/latest?limit=1").ids == ["i000050"])
            let foreign = try #require(try await other.list(url).headers["etag"])
            #expect(try await fleet.app(0).status(url, ifNoneMatch: foreign) == 200)
            for name in ["i000150", "nothing", "a%7Cb", "%7Bx%7D", "*", "a%2Fb"] {
                let response = try await other.get("/v1/items/\(name)/similar")
                #expect(response.status == 404)
                #expect(
                    response.body.contains(#""detail":"there is nothing here""#),
                    "whoever's it is: \(response.body)"
                )
            }
        }
    }
}

import Foundation
import LocalServers
import Testing

/// Sessions on two nodes over one Redis, as a stranger sees them.
@Suite("Sessions of a fleet", .serialized)
struct SessionFleetTests {
    @Test("what one node takes for a session counts on the other at once: with history, without consent, until a reset")
    func events() async throws {
        try await Fleet.with { fleet in
            let cold = try await fleet.session(1, session: "s1")
            #expect(cold.fallback == "cold_start" && cold.user_id == nil)
            // The next request of the other node is answered by it: no waiting, no lease.
            for round in 0..<10 {
                let (session, item) = ("round-\(round)", String(format: "i%06d", 20 + round))
                try await fleet.record(round % 2, session: session, user: "anon-\(round)", item: item)
                let answer = try await fleet.session(1 - round % 2, session: session)
                #expect(answer.fallback == nil && answer.degraded.isEmpty)
                #expect(answer.filtered.seen == 1 && !answer.ids.contains(item))
                #expect(answer.seeds == [item])
            }
            // What is hidden in the session is not shown.
            let shown = try await fleet.session(1, session: "round-0")
            let hidden = try #require(shown.ids.first)
            try await fleet.record(0, session: "round-0", user: "anon-0", item: hidden, type: "hide")
            #expect(!(try await fleet.session(1, session: "round-0")).ids.contains(hidden))

            // Merged with a history, and without consent not.
            let user = "u000042"
            let own = try await fleet.slate(0, user: user, limit: 20)
            let item = try #require(own.ids.last)
            try await fleet.record(0, session: "s2", user: "visitor", item: item)
            let merged = try await fleet.session(1, session: "s2", user: user)
            #expect(merged.user_id == user && merged.filtered.seen > 1 && !merged.ids.contains(item))
            let consent = try await fleet.app(0).send(
                "PUT",
                "/v1/users/\(user)/consent",
                body: #"{"personalization":false}"#
            )
            #expect(consent.status == 200)
            let without = try await fleet.session(1, session: "s2", user: user)
            #expect(without.filtered.seen == 1 && without.fallback == nil && without.seeds == [item])

            // Tombstones hold, and so do the user's suppressions.
            let denied = try #require(without.ids.first)
            let unwanted = try #require(without.ids.dropFirst().first)
            try await fleet.tombstone(denied)
            let put = try await fleet.app(0).send("PUT", "/v1/users/\(user)/suppressions/item/\(unwanted)", body: "{}")
            #expect(put.status == 200, "\(put.body)")
            try await eventually("what is denied is gone", within: 3) {
                try await !fleet.session(1, session: "s2", user: user).ids.contains(denied)
            }
            #expect(!(try await fleet.session(1, session: "s2", user: user)).ids.contains(unwanted))

            // A reset of whose events they are ends them, on the other node, at once.
            #expect(try await fleet.app(0).post("/v1/users/visitor:reset", "{}").status == 200)
            #expect(try await fleet.session(1, session: "s2").fallback == "cold_start")
            #expect(try await fleet.session(1, session: "s2", user: user).seeds.isEmpty)
        }
    }

    @Test("names of sessions never meet, nor do tenants; with Redis gone the request and the history are what counts")
    func names() async throws {
        try await Fleet.with { fleet in
            let names = [
                "a", "a/b", "}{", "{a}", "*", "%61", "caf\u{E9}", "cafe\u{301}", "a b", "\"", "default/a", "\u{1F680}",
            ]
            for (index, name) in names.enumerated() {
                let item = String(format: "i%06d", 30 + index)
                try await fleet.record(index % 2, session: name, user: name, item: item)
            }
            for (index, name) in names.enumerated() {
                let answer = try await fleet.session((index + 1) % 2, session: name)
                #expect(answer.seeds == [String(format: "i%06d", 30 + index)], "\(name)")
                #expect(answer.filtered.seen == 1)
            }
            let other = RawHTTP(port: fleet.nodes[0].port, key: try await fleet.otherTenant(items: 100))
            let foreign = try await other.post("/v1/sessions:recommend", #"{"session_id":"a"}"#)
            #expect(foreign.status == 200 && foreign.body.contains(#""fallback":"cold_start""#), "\(foreign.body)")

            // A session that ends: the key goes by itself, and is small.
            let keys = try await RedisCommandLine.send([["KEYS", "vireo:session:*"]], port: fleet.redis.port)
            #expect(keys.hasPrefix("*\(names.count)\r\n"))

            try await fleet.redis.kill()
            let user = "u000017"
            let event = #"[{"item_id":"i000050","type":"click"}]"#
            for node in 0...1 {
                try await eventually("node \(node + 1) answers without Redis", within: 10) {
                    let answer = try await fleet.session(node, session: "a", events: event)
                    return answer.degraded == ["redis"] && answer.seeds == ["i000050"] && answer.fallback == nil
                }
                let named = try await fleet.session(node, session: "a", user: user, events: event)
                #expect(named.degraded == ["redis"] && named.filtered.seen > 1 && !named.ids.contains("i000050"))
            }
            // An event is stored all the same; it is not kept in its session.
            try await fleet.record(0, session: "lost", user: user, item: "i000051")
            try await fleet.redis.restart(empty: true)
            try await eventually("sessions are kept again", within: 20) {
                try await fleet.record(0, session: "again", user: "anon", item: "i000052")
                return try await fleet.session(1, session: "again").seeds == ["i000052"]
            }
            #expect(try await fleet.session(1, session: "lost").fallback == "cold_start")
            let history = try await fleet.session(1, session: nil, user: user)
            #expect(!history.ids.contains("i000051"))
        }
    }
}

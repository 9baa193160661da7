import Foundation
import LocalServers
import Testing

/// Items and users change on one node; what the other shows is judged by content.
@Suite("Fleet: catalogue and users", .serialized)
struct CatalogueFleetTests {
    /// The lease, and what a request takes that began just before its end.
    private static let bound = Duration.milliseconds(1_000)

    /// Expects a condition on the node that took the write at once, and on the other for every request begun a lease after
    /// the acknowledgement.
    private static func expectEverywhere(
        _ what: String,
        of fleet: Fleet,
        writer: Int,
        sourceLocation: SourceLocation = #_sourceLocation,
        _ holds: (Int) async throws -> Bool
    ) async throws {
        let acknowledged = ContinuousClock.now
        #expect(try await holds(writer), "\(what): at once on the node that took it", sourceLocation: sourceLocation)
        let reader = 1 - writer
        var first: Duration?
        while ContinuousClock.now - acknowledged < Self.bound + .milliseconds(300) {
            let begun = ContinuousClock.now - acknowledged
            let isSo = try await holds(reader)
            if isSo, first == nil { first = begun }
            if begun >= Self.bound { #expect(isSo, "\(what): begun \(begun) after", sourceLocation: sourceLocation) }
            // Once it is so it stays so.
            if let first {
                #expect(isSo, "\(what): it came back", sourceLocation: sourceLocation)
                if begun > first + .milliseconds(100) { break }
            }
            try await Task.sleep(for: .milliseconds(5))
        }
        #expect(first != nil, "\(what): never", sourceLocation: sourceLocation)
    }

    private static func write(
        _ fleet: Fleet,
        _ node: Int,
        _ method: String,
        _ target: String,
        _ body: String? = nil,
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> RawHTTP.Response {
        let response = try await fleet.app(node).send(method, target, body: body)
        #expect(response.status == 200, "\(target): \(response.body)", sourceLocation: sourceLocation)
        return response
    }

    /// A user whose list is personal.
    private static func someone(_ fleet: Fleet, after number: Int = 0) async throws -> String {
        for number in (number + 1)...300 {
            let user = "u" + String(format: "%06d", number)
            if try await fleet.slate(0, user: user).fallback == nil { return user }
        }
        throw RawHTTP.Failed(description: "nobody has a personal list")
    }

    @Test("hidden, out of stock, out of its window, regrouped or deleted on one node, an item is gone on the other")
    func items() async throws {
        try await Fleet.with { fleet in
            let user = try await Self.someone(fleet)
            let deny = #"{"kind":"category","ids":["withdrawn"]}"#
            #expect(try await fleet.admin(0).post("/v1/admin/tombstones", deny).status == 200)
            let makers = #"{"kind":"creator","ids":["barred"]}"#
            #expect(try await fleet.admin(0).post("/v1/admin/tombstones", makers).status == 200)
            let changes = [
                ("hidden", #"{"hidden":true}"#, #"{"hidden":null}"#),
                ("out of stock", #"{"in_stock":false}"#, #"{"in_stock":true}"#),
                ("its window is past", #"{"available_until":"2020-01-01T00:00:00Z"}"#, #"{"available_until":null}"#),
                ("its window is to come", #"{"available_from":"2100-01-01T00:00:00Z"}"#, #"{"available_from":null}"#),
                ("its category is denied", #"{"categories":["x","withdrawn"]}"#, #"{"categories":["x"]}"#),
                ("its creator is denied", #"{"creator":"barred"}"#, #"{"creator":null}"#),
            ]
            for (number, (what, change, undo)) in changes.enumerated() {
                let writer = number % 2
                // From the cache of the other node, so that what is taken out is taken out of a pool that has it.
                _ = try await fleet.slate(1 - writer, user: user)
                let before = try await fleet.slate(1 - writer, user: user)
                #expect(before.served_from.tier == "l1")
                let cold = try await fleet.slate(1 - writer, user: "nobody")
                let item = try #require(before.ids.first)
                let popular = try #require(cold.ids.first)
                for id in [item, popular] {
                    _ = try await Self.write(fleet, writer, "PATCH", "/v1/items/\(id)", change)
                }
                try await Self.expectEverywhere(what, of: fleet, writer: writer) { node in
                    let personal = try await fleet.slate(node, user: user)
                    let anybody = try await fleet.slate(node, user: "nobody")
                    return !personal.ids.contains(item) && !anybody.ids.contains(popular)
                }
                for id in [item, popular] { _ = try await Self.write(fleet, writer, "PATCH", "/v1/items/\(id)", undo) }
                try await Self.expectEverywhere("\(what), undone", of: fleet, writer: writer) { node in
                    try await fleet.slate(node, user: user).ids.contains(item)
                }
            }
            // Deleted: the row is gone, and the id is denied even when it is made again.
            let list = try await fleet.slate(1, user: user)
            let gone = try #require(list.ids.first)
            let deleted = try await Self.write(fleet, 0, "DELETE", "/v1/items/\(gone)")
            #expect(deleted.body.contains(#""propagated":true"#))
            try await Self.expectEverywhere("deleted", of: fleet, writer: 0) { node in
                try await !fleet.slate(node, user: user).ids.contains(gone)
            }
            for node in 0...1 { #expect(try await fleet.app(node).get("/v1/items/\(gone)").status == 404) }
            let again = try await Self.write(fleet, 1, "PUT", "/v1/items/\(gone)", #"{"title":"Again"}"#)
            #expect(again.body.contains(#""created":true"#))
            try await Task.sleep(for: Self.bound)
            for node in 0...1 {
                #expect(try await !fleet.slate(node, user: user, limit: 100).ids.contains(gone))
                #expect(try await !fleet.slate(node, user: "nobody", limit: 100).ids.contains(gone))
            }
            // The popular list, served where PostgreSQL is gone, is no way around any of it.
            let cold = try await fleet.slate(0, user: "nobody", limit: 2)
            let hidden = try #require(cold.ids.first)
            let sold = try #require(cold.ids.last)
            _ = try await Self.write(fleet, 0, "PATCH", "/v1/items/\(hidden)", #"{"hidden":true}"#)
            _ = try await Self.write(fleet, 1, "PATCH", "/v1/items/\(sold)", #"{"in_stock":false}"#)
            try await Task.sleep(for: Self.bound)
            try await fleet.postgres.kill()
            for node in 0...1 {
                let fallback = try await fleet.slate(node, user: "stranger-\(node)", limit: 100)
                #expect(fallback.fallback == "popular")
                #expect(!fallback.ids.isEmpty)
                #expect(Set(fallback.ids).isDisjoint(with: [hidden, sold, gone]))
            }
        }
    }

    @Test("a new title is read on the other node, and a new category counts there for diversity")
    func texts() async throws {
        try await Fleet.with { fleet in
            var found: (user: String, seed: String)?
            for number in 1...300 where found == nil {
                let user = "u" + String(format: "%06d", number)
                let body = try await fleet.app(1).get("/v1/recommendations/\(user)?limit=20").body
                if let range = body.range(of: #""seed_items":["i"#) {
                    found = (user, "i" + body[range.upperBound...].prefix { $0 != "\"" })
                }
            }
            let (user, seed) = try #require(found, "no list names what explains it")
            _ = try await Self.write(fleet, 0, "PATCH", "/v1/items/\(seed)", #"{"title":"Quite \"another\" \u00fc"}"#)
            let text = #"Quite \"another\" ü"#
            try await Self.expectEverywhere("title", of: fleet, writer: 0) { node in
                try await fleet.app(node).get("/v1/recommendations/\(user)?limit=20").body.contains(text)
            }
            // All of the list in one category: three of ten may stay.
            let list = try await fleet.slate(1, user: user, limit: 10)
            let all = try await fleet.slate(1, user: user, limit: 100)
            for id in all.ids {
                _ = try await Self.write(fleet, 0, "PATCH", "/v1/items/\(id)", #"{"categories":["all the same"]}"#)
            }
            #expect(list.ids.count == 10)
            try await Self.expectEverywhere("category", of: fleet, writer: 0) { node in
                let slate = try await fleet.slate(node, user: user, limit: 10)
                return slate.ids.filter { all.ids.contains($0) }.count == 3
            }
        }
    }

    private struct Filtered: Decodable {
        struct Counts: Decodable {
            let suppressed: Int
        }
        let filtered: Counts
    }

    @Test("what a user suppresses on one node the other does not show, until it is allowed again")
    func suppressions() async throws {
        try await Fleet.with { fleet in
            let user = try await Self.someone(fleet)
            let other = try await Self.someone(fleet, after: Int(user.dropFirst()) ?? 0)
            _ = try await fleet.slate(1, user: user)
            let before = try await fleet.slate(1, user: user, limit: 50)
            #expect(before.served_from.tier == "l1")
            let item = try #require(before.ids.first)
            // A category that another item of the list has, and this one has not.
            let own = try await Self.categories(of: item, fleet)
            var grouped: (item: String, category: String)?
            for id in before.ids.dropFirst(2) where grouped == nil {
                let category = try await Self.categories(of: id, fleet).first { !own.contains($0) }
                if let category { grouped = (id, category) }
            }
            let (member, category) = try #require(grouped, "all items of the list are of the same categories")
            let maker = before.ids[1]
            _ = try await Self.write(fleet, 0, "PATCH", "/v1/items/\(maker)", #"{"creator":"some maker"}"#)
            let cases = [
                ("item/\(item)", [item]), ("category/\(category.escapedForPath)", [member]),
                ("creator/some%20maker", [maker]),
            ]
            for (number, (what, gone)) in cases.enumerated() {
                let writer = number % 2
                let target = "/v1/users/\(user)/suppressions/\(what)"
                let written = try await Self.write(fleet, writer, "PUT", target)
                #expect(written.body.contains(#""propagated":true"#))
                try await Self.expectEverywhere(what, of: fleet, writer: writer) { node in
                    let slate = try await fleet.slate(node, user: user, limit: 50)
                    return Set(slate.ids).isDisjoint(with: gone)
                }
                for node in 0...1 {
                    let counts = try await fleet.app(node).get("/v1/recommendations/\(user)?limit=50")
                        .json(as: Filtered.self)
                    #expect(counts.filtered.suppressed > 0)
                    let theirs = try await fleet.app(node).get("/v1/recommendations/\(other)").json(as: Filtered.self)
                    #expect(theirs.filtered.suppressed == 0, "another user's list is as it was")
                }
            }
            // Into a suppressed category after the pool was computed: the pool of the other node has it.
            let pooled = try await fleet.slate(1, user: user, limit: 50)
            #expect(pooled.served_from.tier == "l1")
            let moved = try #require(pooled.ids.first)
            _ = try await Self.write(
                fleet,
                0,
                "PATCH",
                "/v1/items/\(moved)",
                #"{"categories":["x","\#(category)"]}"#
            )
            try await Self.expectEverywhere("moved", of: fleet, writer: 0) { node in
                try await !fleet.slate(node, user: user, limit: 50).ids.contains(moved)
            }
            _ = try await Self.write(fleet, 1, "DELETE", "/v1/users/\(user)/suppressions/item/\(item)")
            try await Self.expectEverywhere("allowed again", of: fleet, writer: 1) { node in
                try await fleet.slate(node, user: user, limit: 50).ids.contains(item)
            }
        }
    }

    private struct Stored: Decodable {
        let categories: [String]
    }

    private static func categories(of item: String, _ fleet: Fleet) async throws -> [String] {
        try await fleet.app(0).get("/v1/items/\(item)").json(as: Stored.self).categories
    }

    private struct Cached: Decodable {
        struct Entry: Decodable {
            let tier: String
            let user_version: Int64
            let bytes: Int
        }
        let entries: [Entry]
        let floor: Int64?
    }

    @Test("without consent no history counts and nothing is cached, on any node; a reset forgets; what is said is kept")
    func consent() async throws {
        try await Fleet.with { fleet in
            let user = try await Self.someone(fleet)
            for node in 0...1 {
                _ = try await fleet.slate(node, user: user)
                let cached = try await fleet.admin(node).get("/v1/admin/cache/\(user)").json(as: Cached.self)
                #expect(cached.entries.map(\.tier) == ["l1", "l2"])
                #expect(cached.entries.allSatisfy { $0.user_version == cached.floor && $0.bytes > 100 })
            }
            let personal = try await fleet.slate(0, user: user)
            let off = try await Self.write(
                fleet,
                0,
                "PUT",
                "/v1/users/\(user)/consent",
                #"{"personalization":false}"#
            )
            #expect(off.body.contains(#""propagated":true"#))
            try await Self.expectEverywhere("consent is off", of: fleet, writer: 0) { node in
                let slate = try await fleet.slate(node, user: user)
                let nobody = try await fleet.slate(node, user: "nobody")
                return slate.fallback == "cold_start" && slate.ids == nobody.ids && slate.ids != personal.ids
            }
            for node in 0...1 {
                for _ in 0..<3 {
                    let slate = try await fleet.slate(node, user: user)
                    #expect(slate.fallback == "cold_start", "nothing of it is cached")
                }
                let version = try await fleet.slate(node, user: user).user_version
                let cached = try await fleet.admin(node).get("/v1/admin/cache/\(user)").json(as: Cached.self)
                // What is under the floor may lie there until it expires, and is served to nobody.
                #expect(cached.entries.allSatisfy { $0.tier == "l2" && $0.user_version < version })
                #expect(cached.floor == version)
            }
            // An event is stored, and counts once there is consent again.
            let bought = try #require(personal.ids.first)
            try await fleet.feedback(1, user: user, item: bought, event: "while-off")
            #expect(try await fleet.slate(1, user: user).fallback == "cold_start")
            _ = try await Self.write(fleet, 1, "PUT", "/v1/users/\(user)/consent", #"{"personalization":true}"#)
            try await Self.expectEverywhere("consent is back", of: fleet, writer: 1) { node in
                let slate = try await fleet.slate(node, user: user)
                return slate.fallback == nil && !slate.ids.contains(bought)
            }
            _ = try await Self.write(fleet, 1, "PUT", "/v1/users/\(user)/suppressions/item/\(personal.ids[1])")
            _ = try await Self.write(fleet, 0, "POST", "/v1/users/\(user):reset")
            try await Self.expectEverywhere("reset", of: fleet, writer: 0) { node in
                let slate = try await fleet.slate(node, user: user, limit: 100)
                return slate.fallback == "cold_start" && !slate.ids.contains(personal.ids[1])
            }
            // The same event again is no new history.
            let again = try await fleet.feedback(0, user: user, item: bought, event: "while-off")
            #expect(again.duplicates == 1)
            #expect(try await fleet.slate(1, user: user).fallback == "cold_start")
        }
    }

    @Test("hostile ids of items, users and suppressions are what they are, and a batch tells what it did not take")
    func hostile() async throws {
        try await Fleet.with { fleet in
            let ids = [
                "a|b", "{x}", "*", "a/b", "a%2Fb", "\u{1F680}", "caf\u{E9}", "cafe\u{301}", "'; DROP TABLE items; --",
                "x:reset", "..", "i000001}",
            ]
            for (number, id) in ids.enumerated() {
                let escaped = id.escapedForPath
                let title = #"{"title":"\#(number)"}"#
                _ = try await Self.write(fleet, number % 2, "PUT", "/v1/items/\(escaped)", title)
                _ = try await Self.write(fleet, 0, "PUT", "/v1/users/\(escaped)/suppressions/item/\(escaped)")
                _ = try await Self.write(
                    fleet,
                    1,
                    "PUT",
                    "/v1/users/\(escaped)",
                    #"{"labels":{"number":"\#(number)"}}"#
                )
            }
            for (number, id) in ids.enumerated() {
                let item = try await fleet.app(0).get("/v1/items/\(id.escapedForPath)")
                #expect(item.body.contains(#""title":"\#(number)""#), "\(id): \(item.body)")
                let user = try await fleet.app(1).get("/v1/users/\(id.escapedForPath)")
                #expect(user.body.contains(#"{"number":"\#(number)"}"#), "\(id): \(user.body)")
                #expect(user.body.components(separatedBy: #""kind""#).count == 2, "\(id): \(user.body)")
                let cached = try await fleet.admin(0).get("/v1/admin/cache/\(id.escapedForPath)")
                #expect(cached.status == 200)
            }
            let events = ids.map { id in
                let text = String(decoding: (try? JSONEncoder().encode(id)) ?? Data(), as: UTF8.self)
                return #"{"event_id":\#(text),"user_id":\#(text),"item_id":\#(text),"type":"purchase"}"#
            }
            let lines = events + [#"{"user_id":"u","item_id":"nothing like it","type":"view"}"#, "{"]
            let reply = try await fleet.app(0).post("/v1/feedback:batch", "[\(events.joined(separator: ","))]")
            #expect(reply.body.hasPrefix(#"{"accepted":\#(ids.count),"duplicates":0,"rejected":[],"#), "\(reply.body)")
            let again = try await Self.lines(fleet, 1, lines.joined(separator: "\n"))
            #expect(
                again.body.hasPrefix(#"{"accepted":0,"duplicates":\#(ids.count),"rejected":[{"index":12,"#),
                "\(again.body)"
            )
            #expect(again.body.contains(##"{"index":13,"code":"malformed_json","pointer":"#/13"}"##), "\(again.body)")
            for id in ids {
                let slate = try await fleet.slate(1, user: id, limit: 100)
                #expect(!slate.ids.contains { Array($0.utf8) == Array(id.utf8) })
                #expect(slate.user_version > 0)
            }
        }
    }

    private static func lines(_ fleet: Fleet, _ node: Int, _ body: String) async throws -> RawHTTP.Response {
        let head =
            "POST /v1/feedback:batch HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer \(fleet.keys.app)\r\n"
            + "Content-Type: application/x-ndjson\r\nContent-Length: \(body.utf8.count)\r\n\r\n"
        return try RawHTTP.parse(try await fleet.app(node).exchange(Array((head + body).utf8)))
    }
}

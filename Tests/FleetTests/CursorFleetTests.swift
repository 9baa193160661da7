import Foundation
import Testing

/// Lists that are paged through, on two nodes as a stranger sees them: every page from another node than the one before.
@Suite("Cursors of a fleet", .serialized)
struct CursorFleetTests {
    private static let user = "u000042"
    private static let train = ["train", "--recipe", "popularity", "--activate", "--force"]

    private struct Page: Decodable {
        let items: [Slate.Place]
        let next_cursor: String?
        let model_version: String
        let policy_version: String
        let user_version: Int64

        var ids: [String] { self.items.map(\.item_id) }
    }

    private struct Problem: Decodable {
        let code: String
    }

    private static func get(_ fleet: Fleet, _ node: Int, _ cursor: String, limit: Int = 20) async throws
        -> RawHTTP.Response
    {
        try await fleet.app(node).get(
            "/v1/recommendations/\(Self.user)?limit=\(limit)&cursor=\(cursor.escapedForPath)"
        )
    }

    private static func page(_ fleet: Fleet, _ node: Int, _ cursor: String, limit: Int = 20) async throws -> Page {
        let response = try await Self.get(fleet, node, cursor, limit: limit)
        guard response.status == 200 else { throw RawHTTP.Failed(description: "\(response.status): \(response.body)") }
        return try response.json(as: Page.self)
    }

    /// The rest of a list, page after page.
    private static func rest(_ fleet: Fleet, after first: Page, from node: Int) async throws -> [Page] {
        var (pages, node) = ([first], node)
        while let cursor = pages.last?.next_cursor {
            pages.append(try await Self.page(fleet, node, cursor))
            node = 1 - node
        }
        return pages
    }

    private static func end(_ fleet: Fleet, _ node: Int, _ cursor: String) async throws -> String {
        let response = try await Self.get(fleet, node, cursor)
        #expect(response.status == 410, "\(response.status): \(response.body)")
        return response.status == 410 ? try response.json(as: Problem.self).code : ""
    }

    @Test("pages go on across nodes, purchases, tombstones and another model, and nothing comes twice")
    func pages() async throws {
        try await Fleet.with { fleet in
            let whole = try await fleet.slate(0, user: Self.user, limit: 100)
            let first = try await Self.page(fleet, 0, "*")
            #expect(first.ids == Array(whole.ids.prefix(20)))
            // What was bought stays where it was; what is denied does not.
            let (bought, denied) = (whole.ids[30], whole.ids[45])
            try await fleet.feedback(0, user: Self.user, item: bought, event: "e1")
            let body = #"{"kind":"item","ids":["\#(denied)"],"reason":"test"}"#
            #expect(try await fleet.admin(0).post("/v1/admin/tombstones?wait=all", body).status == 200)
            let trained = try await Vireo.succeed(Self.train, fleet.environment)
            try await eventually("m2 serves: \(trained)", within: 10) {
                try await fleet.everywhere { try await fleet.slate($0, user: Self.user).model_version == "m2" }
            }
            let pages = try await Self.rest(fleet, after: first, from: 1)
            let ids = pages.flatMap(\.ids)
            #expect(ids.count > 100 && Set(ids).count == ids.count)
            #expect(pages.allSatisfy { $0.model_version == "m1" && $0.user_version == first.user_version })
            #expect(!ids.contains(denied) && ids.contains(bought))
            #expect(pages.flatMap(\.items).map(\.rank) == Array(1...ids.count))
            // In the order of the list of before, but for what diversity may let in once one is gone.
            #expect(Array(ids.prefix(40)) == Array(whole.ids.prefix(40)))
            let again = try await Self.page(fleet, 0, "*")
            #expect(again.model_version == "m2" && !again.ids.contains(bought))
        }
    }

    @Test("what the user takes back ends a list on the other node at once, what the operator does within a lease")
    func ends() async throws {
        try await Fleet.with { fleet in
            let path = "/v1/users/\(Self.user)"
            func cursor() async throws -> String {
                try #require(try await Self.page(fleet, 0, "*").next_cursor)
            }
            // The user's own: at once, for it is read.
            var begun = try await cursor()
            for change in [
                ("PUT", "\(path)/suppressions/item/i000001"), ("PUT", "\(path)/consent"), ("POST", "\(path):reset"),
            ] {
                let body = change.1.hasSuffix("consent") ? #"{"personalization":false}"# : "{}"
                if change.1.hasSuffix("reset") {
                    try await fleet.feedback(0, user: Self.user, item: "i000002", event: "r")
                }
                begun = try await cursor()
                let response = try await fleet.app(0).send(change.0, change.1, body: body)
                #expect((200..<300).contains(response.status), "\(change): \(response.body)")
                #expect(try await Self.end(fleet, 1, begun) == "cursor_user", "\(change)")
            }
            begun = try await cursor()
            #expect(
                try await fleet.admin(0).post("/v1/admin/purge", #"{"scope":"user","id":"\#(Self.user)"}"#).status
                    == 200
            )
            #expect(try await Self.end(fleet, 1, begun) == "cursor_user")
            // The operator's: after a call that waited for all, at once.
            begun = try await cursor()
            let purge = #"{"scope":"surface","id":"home"}"#
            #expect(try await fleet.admin(0).post("/v1/admin/purge?wait=all", purge).status == 200)
            #expect(try await Self.end(fleet, 1, begun) == "cursor_purged")
            for version in ["p7", "p8"] {
                #expect(try await fleet.admin(0).send("PUT", "/v1/admin/policies/\(version)", body: "{}").status < 300)
                let response = try await fleet.admin(0).post("/v1/admin/policies/\(version):activate?wait=all", "{}")
                #expect(response.status == 200, "\(response.body)")
            }
            begun = try await cursor()
            #expect(try await fleet.admin(0).post("/v1/admin/policies/p8:rollback?wait=all", "{}").status == 200)
            #expect(try await Self.end(fleet, 1, begun) == "cursor_withdrawn")
            begun = try await cursor()
            _ = try await Vireo.succeed(Self.train, fleet.environment)
            try await eventually("m2 serves", within: 10) {
                try await fleet.everywhere { try await fleet.slate($0, user: Self.user).model_version == "m2" }
            }
            #expect(try await Self.page(fleet, 1, begun).model_version == "m1")
            #expect(try await fleet.admin(0).post("/v1/admin/models/m1:retire?wait=all", "{}").status == 200)
            #expect(try await Self.end(fleet, 1, begun) == "cursor_withdrawn")
            // A stranger's, and none at all.
            begun = try await cursor()
            let other = try await fleet.app(1).get("/v1/recommendations/u000043?cursor=\(begun.escapedForPath)")
            #expect(other.status == 410)
            #expect(try await Self.end(fleet, 1, String(begun.dropLast(4)) + "AAAA") == "cursor_foreign")
        }
    }
}

import HTTPAPI
import RecommendationCore
import Serving
import Testing

@Suite("Item routes")
struct ItemRouteTests {
    private static let whole =
        #"{"title":"Alien","categories":["horror","scifi"],"creator":"c9","campaigns":["spring"],"#
        + #""labels":{"lang":"en"},"price":9.99,"regions":["de"],"available_from":"2026-09-01T10:00:00Z","#
        + #""available_until":"2026-10-01T10:00:00Z","in_stock":false,"hidden":true}"#

    @Test("a whole item is taken as it is, and its answer is the contract's")
    func put() async throws {
        let canned = Canned()
        try await withServers(canned.useCases) { ports in
            let reply = try await send(ports.public, "PUT", "/v1/items/i7", Self.whole)
            #expect(reply.status == 200)
            #expect(reply.text == #"{"item_id":"i7","revision":6,"created":false,"propagated":true}"#)
            #expect(reply["etag"] == "\"6\"")
            let (item, condition, tenant) = try #require(canned.last.items.first)
            #expect(
                item
                    == Item(
                        id: .i7,
                        title: "Alien",
                        categories: ["horror", "scifi"],
                        creator: "c9",
                        campaigns: ["spring"],
                        labels: ["lang": "en"],
                        price: 9.99,
                        regions: ["de"],
                        availableFrom: Timestamp(rfc3339: "2026-09-01T10:00:00Z"),
                        availableUntil: Timestamp(rfc3339: "2026-10-01T10:00:00Z"),
                        inStock: false,
                        hidden: true
                    )
            )
            #expect(condition == .none)
            #expect(tenant == .default)
        }
    }

    @Test("what is left out of a whole item, or null, has its default")
    func defaults() async throws {
        let canned = Canned()
        try await withServers(canned.useCases) { ports in
            let nulls =
                #"{"title":"x","categories":null,"creator":null,"campaigns":null,"labels":null,"price":null,"#
                + #""regions":null,"available_from":null,"available_until":null,"in_stock":null,"hidden":null}"#
            for json in [#"{"title":"x"}"#, nulls] {
                let reply = try await send(ports.public, "PUT", "/v1/items/new", json)
                #expect(reply.text == #"{"item_id":"new","revision":6,"created":true,"propagated":true}"#)
                #expect(canned.last.items.last?.0 == Item(id: Item.ID(trusted: "new"), title: "x"))
            }
        }
    }

    @Test(
        "every field that is wrong is named with what is allowed, and nothing is stored",
        arguments: [
            (#"{}"#, 422, [Wrong("#/title", "required", nil)]),
            (#"{"title":""}"#, 422, [Wrong("#/title", "invalid", "a string of 1 to 1024 bytes")]),
            (
                #"{"title":"\#(String(repeating: "x", count: 1_025))"}"#, 422,
                [Wrong("#/title", "invalid", "a string of up to 1024 bytes without U+0000")]
            ),
            (
                #"{"title":"a\u0000b"}"#, 422,
                [Wrong("#/title", "invalid", "a string of up to 1024 bytes without U+0000")]
            ),
            (#"{"title":7}"#, 422, [Wrong("#/title", "invalid", "a string of up to 1024 bytes without U+0000")]),
            (
                #"{"title":"x","categories":"a","campaigns":{},"regions":1}"#, 422,
                [
                    Wrong("#/categories", "invalid", "an array of up to 32 names"),
                    Wrong("#/campaigns", "invalid", "an array of up to 32 names"),
                    Wrong("#/regions", "invalid", "an array of up to 256 names"),
                ]
            ),
            (
                #"{"title":"x","categories":[\#(Array(repeating: "\"c\"", count: 33).joined(separator: ","))]}"#, 422,
                [Wrong("#/categories", "invalid", "an array of up to 32 names")]
            ),
            (
                #"{"title":"x","categories":["a","","a\nb",7,null]}"#, 422,
                [
                    Wrong("#/categories/1", "invalid", Wrong.identifier),
                    Wrong("#/categories/2", "invalid", Wrong.identifier),
                    Wrong("#/categories/3", "invalid", Wrong.identifier),
                    Wrong("#/categories/4", "invalid", Wrong.identifier),
                ]
            ),
            (
                #"{"title":"x","creator":"","price":-1}"#, 422,
                [
                    Wrong("#/creator", "invalid", Wrong.identifier),
                    Wrong("#/price", "out_of_range", "a number from 0 to 1000000000000"),
                ]
            ),
            (#"{"title":"x","price":1e400}"#, 422, [Wrong("#/price", "out_of_range", "a finite number")]),
            (#"{"title":"x","price":"9"}"#, 422, [Wrong("#/price", "invalid", "a number")]),
            (
                #"{"title":"x","labels":{"a":1,"b\n":"c","d":null,"e":"\#(String(repeating: "y", count: 1_025))"}}"#,
                422,
                [
                    Wrong("#/labels/a", "invalid", "a string of up to 1024 bytes without U+0000"),
                    Wrong("#/labels/b%0A", "invalid", Wrong.identifier),
                    Wrong("#/labels/d", "invalid", "a string of up to 1024 bytes without U+0000"),
                    Wrong("#/labels/e", "invalid", "a string of up to 1024 bytes without U+0000"),
                ]
            ),
            (
                #"{"title":"x","labels":{"caf\u00e9":"a","cafe\u0301":"b"}}"#, 422,
                [Wrong("#/labels/cafe%CC%81", "duplicate", nil)]
            ),
            (
                #"{"title":"x","labels":{\#((0...64).map { "\"l\($0)\":\"\"" }.joined(separator: ","))}}"#, 422,
                [Wrong("#/labels", "invalid", "an object of up to 64 strings")]
            ),
            (#"{"title":"x","labels":[]}"#, 422, [Wrong("#/labels", "invalid", "an object of up to 64 strings")]),
            (
                #"{"title":"x","available_from":"soon","available_until":7,"in_stock":1,"hidden":"no"}"#, 422,
                [
                    Wrong("#/available_from", "invalid", "an RFC 3339 time, for example 2026-09-01T10:00:00Z"),
                    Wrong("#/available_until", "invalid", "an RFC 3339 time, for example 2026-09-01T10:00:00Z"),
                    Wrong("#/in_stock", "invalid", "true|false"),
                    Wrong("#/hidden", "invalid", "true|false"),
                ]
            ),
            (
                #"{"title":"x","available_from":"2026-09-01T10:00:00Z","available_until":"2026-09-01T10:00:00Z"}"#, 422,
                [Wrong("#/available_until", "out_of_range", "a time after available_from")]
            ),
            (#"[]"#, 422, [Wrong("#", "invalid", "one item object")]),
        ] as [(String, Int, [Wrong])]
    )
    func badItems(_ json: String, _ status: Int, _ errors: [Wrong]) async throws {
        let canned = Canned()
        try await withServers(canned.useCases) { ports in
            try await send(ports.public, "PUT", "/v1/items/i7", json).expectProblem(status, "invalid_parameter", errors)
            #expect(canned.last.items.isEmpty)
        }
    }

    private static let fields =
        "title|categories|creator|campaigns|labels|price|regions|available_from|available_until|in_stock|hidden"

    @Test("a key that nobody knows is refused, in a whole item and in a patch")
    func unknownKeys() async throws {
        let canned = Canned()
        try await withServers(canned.useCases) { ports in
            for method in ["PUT", "PATCH"] {
                try await send(ports.public, method, "/v1/items/i7", #"{"title":"x","item_id":"i7"}"#)
                    .expectProblem(400, "unknown_parameter", [Wrong("#/item_id", "unknown_parameter", Self.fields)])
            }
            try await send(ports.public, "PUT", "/v1/items/i7?force=1", Self.whole)
                .expectProblem(400, "unknown_parameter", [Wrong("#/force", "unknown_parameter", "wait")])
            #expect(canned.last.items.isEmpty)
            #expect(canned.last.patches.isEmpty)
        }
    }

    @Test("a patch keeps what it does not name, and null is the default again")
    func patch() async throws {
        let canned = Canned()
        try await withServers(canned.useCases) { ports in
            let json =
                #"{"title":"New","categories":null,"creator":null,"labels":{"lang":null,"new":"1"},"price":null,"#
                + #""available_until":null,"in_stock":null}"#
            for type in ["application/json", "application/merge-patch+json"] {
                let reply = try await request(
                    ports.public,
                    "PATCH",
                    "/v1/items/i7",
                    headers: [("Content-Type", type)],
                    body: json
                )
                #expect(reply.text == #"{"item_id":"i7","revision":6,"created":false,"propagated":false}"#)
                #expect(reply["etag"] == "\"6\"")
            }
            let (id, patch, condition, tenant) = try #require(canned.last.patches.last)
            #expect(id == .i7)
            #expect(condition == .none)
            #expect(tenant == .default)
            var expected = StoredItem.full.item
            expected.title = "New"
            expected.categories = []
            expected.creator = nil
            expected.labels = ["age": "18", "new": "1"]
            expected.price = nil
            expected.availableUntil = nil
            expected.inStock = true
            #expect(patch.applied(to: StoredItem.full.item) == expected)
            _ = try await send(ports.public, "PATCH", "/v1/items/i7", "{}")
            #expect(canned.last.patches.last?.1 == ItemPatch())
        }
    }

    @Test(
        "what is wrong with a patch is named as for a whole item",
        arguments: [
            (#"{"title":null}"#, [Wrong("#/title", "required", nil)]),
            (
                #"{"price":-0.5,"hidden":2}"#,
                [
                    Wrong("#/price", "out_of_range", "a number from 0 to 1000000000000"),
                    Wrong("#/hidden", "invalid", "true|false"),
                ]
            ),
            (#""title""#, [Wrong("#", "invalid", "one object of changes")]),
            // The window's other end is stored.
            (
                #"{"available_until":"2020-01-01T00:00:00Z"}"#,
                [Wrong("#/available_until", "out_of_range", "a time after available_from")]
            ),
        ] as [(String, [Wrong])]
    )
    func badPatches(_ json: String, _ errors: [Wrong]) async throws {
        try await withServers { ports in
            try await send(ports.public, "PATCH", "/v1/items/i7", json)
                .expectProblem(422, "invalid_parameter", errors)
        }
    }

    @Test("an item is read with its tag, and not again by who has it")
    func read() async throws {
        try await withServers { ports in
            let reply = try await request(ports.public, "GET", "/v1/items/i7")
            #expect(reply.status == 200)
            #expect(reply["etag"] == "\"5\"")
            #expect(
                reply.text == #"{"item_id":"i7","title":"Alien \"3\"","categories":["horror","scifi"],"creator":"c9","#
                    + #""campaigns":["spring"],"labels":{"age":"18","lang":"en"},"price":9.99,"regions":["de"],"#
                    + #""available_from":"2026-09-01T10:00:00.000Z","available_until":"2026-12-26T03:46:40.000Z","#
                    + #""in_stock":false,"hidden":true,"created_at":"2026-09-01T10:00:00.000Z","revision":5}"#
            )
            for tags in ["\"5\"", "W/\"5\"", "\"x\", \"5\"", "*"] {
                let again = try await request(
                    ports.public,
                    "GET",
                    "/v1/items/i7",
                    headers: [("If-None-Match", tags), ("Connection", "close")]
                )
                #expect(again.status == 304, "\(tags)")
                #expect(again["etag"] == "\"5\"")
                #expect(again.text.isEmpty)
            }
            let other = try await request(ports.public, "GET", "/v1/items/i7", headers: [("If-None-Match", "\"4\"")])
            #expect(other.status == 200)
            try await request(ports.public, "GET", "/v1/items/none").expectProblem(404, "not_found")
        }
    }

    @Test(
        "a write happens only in the state its conditions name",
        arguments: [
            ("i7", "If-Match", "\"5\"", 200), ("i7", "If-Match", "*", 200), ("i7", "If-Match", "\"1\", \"5\"", 200),
            ("i7", "If-Match", "\"4\"", 412), ("i7", "If-Match", "W/\"5\"", 412), ("i7", "If-Match", "\"abc\"", 412),
            ("i7", "If-Match", "\"99999999999999999999\"", 412), ("new", "If-Match", "*", 412),
            ("new", "If-Match", "\"5\"", 412), ("i7", "If-None-Match", "*", 412), ("new", "If-None-Match", "*", 200),
            ("i7", "If-Match", "5", 400), ("i7", "If-Match", "", 400), ("i7", "If-None-Match", "\"5\"", 400),
        ]
    )
    func conditions(_ id: String, _ name: String, _ value: String, _ status: Int) async throws {
        try await withServers { ports in
            let reply = try await send(ports.public, "PUT", "/v1/items/\(id)", Self.whole, headers: [(name, value)])
            #expect(reply.status == status)
            if status == 412 { try reply.expectProblem(412, "precondition_failed") }
            if status == 400 { try reply.expectProblem(400, "malformed_header") }
            guard id == "i7" else { return }
            let deleted = try await request(ports.public, "DELETE", "/v1/items/i7", headers: [(name, value)])
            #expect(deleted.status == status)
        }
    }

    @Test("a deletion says under which epoch the id is denied")
    func delete() async throws {
        let canned = Canned()
        try await withServers(canned.useCases) { ports in
            let reply = try await request(ports.public, "DELETE", "/v1/items/i7")
            #expect(reply.text == #"{"item_id":"i7","deleted":true,"epoch":9014,"propagated":true}"#)
            try await request(ports.public, "DELETE", "/v1/items/none").expectProblem(404, "not_found")
            try await send(ports.public, "PATCH", "/v1/items/none", "{}").expectProblem(404, "not_found")
            #expect(canned.last.deletions.map(\.0.string) == ["i7", "none"])
        }
    }

    @Test("items are listed by pages, whose cursors say nothing of their making")
    func list() async throws {
        let canned = Canned()
        try await withServers(canned.useCases) { ports in
            let reply = try await request(ports.public, "GET", "/v1/items")
            #expect(reply.text.hasPrefix(#"{"items":[{"item_id":"i7","title""#))
            let cursor = ItemCursor.text(after: .i7)
            #expect(reply.text.hasSuffix(#","revision":5}],"next_cursor":"\#(cursor)"}"#))
            _ = try await request(ports.public, "GET", "/v1/items?limit=1000&cursor=\(cursor)")
            #expect(canned.last.pages.map(\.0) == [nil, cursor])
            #expect(canned.last.pages.map(\.1) == [100, 1_000])
            for limit in ["0", "1001", "-1"] {
                try await request(ports.public, "GET", "/v1/items?limit=\(limit)")
                    .expectProblem(422, "invalid_parameter", [Wrong("#/limit", "out_of_range", "1..1000")])
            }
            for bad in ["", "i7", "i1.", "i1.A", "i1.*", "i1.Cg", "i2.aTc"] {
                try await request(ports.public, "GET", "/v1/items?cursor=\(bad)")
                    .expectProblem(
                        422,
                        "invalid_parameter",
                        [Wrong("#/cursor", "invalid", "the next_cursor of an answer")]
                    )
            }
            try await request(ports.public, "GET", "/v1/items?page=2")
                .expectProblem(400, "unknown_parameter", [Wrong("#/page", "unknown_parameter", "cursor|limit")])
        }
    }

    @Test(
        "an id is the bytes that were sent",
        arguments: [
            ("a%7Cb", "a|b"), ("%7Bx%7D", "{x}"), ("*", "*"), ("a%2Fb", "a/b"), ("%F0%9F%9A%80", "\u{1F680}"),
            ("cafe%CC%81", "cafe\u{301}"), ("caf%C3%A9", "caf\u{E9}"), ("'%3B--", "';--"), ("a:b", "a:b"),
        ]
    )
    func hostileIDs(_ sent: String, _ id: String) async throws {
        let canned = Canned()
        try await withServers(canned.useCases) { ports in
            #expect(try await send(ports.public, "PUT", "/v1/items/\(sent)", #"{"title":"x"}"#).status == 200)
            #expect(canned.last.items.last?.0.id == Item.ID(trusted: id))
            #expect(ItemCursor.id(of: ItemCursor.text(after: Item.ID(trusted: id))) == Item.ID(trusted: id))
            for bad in ["a%0Ab", "%00", String(repeating: "x", count: 129)] {
                for method in ["PUT", "PATCH"] {
                    try await send(ports.public, method, "/v1/items/\(bad)", #"{"title":"x"}"#)
                        .expectProblem(422, "invalid_parameter", [Wrong("#/item_id", "invalid", Wrong.identifier)])
                }
                for method in ["GET", "DELETE"] {
                    try await request(ports.public, method, "/v1/items/\(bad)")
                        .expectProblem(422, "invalid_parameter", [Wrong("#/item_id", "invalid", Wrong.identifier)])
                }
            }
            try await request(ports.public, "GET", "/v1/items/%ff").expectProblem(400, "malformed_path")
            try await request(ports.public, "GET", "/v1/items/a/b").expectProblem(404, "not_found")
        }
    }

    @Test("items are for keys that may write, of their tenant, on the public port")
    func access() async throws {
        let canned = Canned()
        try await withServers(canned.useCases, authentication: true) { ports in
            let writer = [("Authorization", "Bearer writer")]
            #expect(try await send(ports.public, "PUT", "/v1/items/i7", Self.whole, headers: writer).status == 200)
            #expect(canned.last.items.last?.2 == .acme)
            for key in ["reader", "admin"] {
                let headers = [("Authorization", "Bearer \(key)")]
                try await send(ports.public, "PUT", "/v1/items/i7", Self.whole, headers: headers)
                    .expectProblem(403, "missing_scope")
            }
            try await request(ports.public, "GET", "/v1/items/i7").expectProblem(401, "unauthenticated")
            try await request(ports.admin, "GET", "/v1/items/i7", headers: writer).expectProblem(404, "not_found")
            let other = try await request(ports.public, "POST", "/v1/items/i7", headers: writer)
            try other.expectProblem(405, "method_not_allowed")
            #expect(other["allow"] == "GET, HEAD, PUT, PATCH, DELETE")
            let text = writer + [("Content-Type", "text/plain")]
            let refused = try await request(ports.public, "PATCH", "/v1/items/i7", headers: text, body: "{}")
            try refused.expectProblem(415, "unsupported_media_type")
            #expect(refused["accept"] == "application/json, application/merge-patch+json")
        }
    }
}

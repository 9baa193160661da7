import HTTPAPI
import RecommendationCore
import Serving
import Testing

@Suite("GET /v1/lists/{list} and /v1/items/{item_id}/similar")
struct ListRouteTests {
    private static let after =
        #""surface":"popular","generated_at":"2026-09-01T10:00:00.000Z","items":[{"item_id":"i7","rank":1,"score":0.5,"#
    private static let rest =
        #""sources":["popularity"],"explanation":{"code":"popular","text":"Popular right now","seed_items":[]}}],"#
        + #""next_cursor":null,"model_version":"m42","policy_version":"p7","experiments":[],"#
        + #""served_from":{"tier":"computed","age_ms":0,"stale":false},"fallback":null,"fallback_reason":null,"#
        + #""degraded":[],"filtered":{"tombstone":0,"unavailable":0,"seen":0,"suppressed":0,"policy":0,"#
        + #""frequency_cap":0,"diversity":0,"pool_exhausted":false},"user_version":0}"#

    @Test("a list is a recommendation without a user, byte by byte")
    func document() async throws {
        try await withServers { ports in
            let reply = try await request(ports.public, "GET", "/v1/lists/popular")
            #expect(
                reply.text == #"{"recommendation_id":"00000000000000000000000001","# + Self.after
                    + #""tracking_token":"v1.k3","# + Self.rest
            )
            #expect(reply["cache-control"] == "private, no-store")
            #expect(reply["etag"] == nil && reply["vary"] == nil)
        }
    }

    @Test("without tokens and user it is public, asked for again before each use, and has no id and no tokens")
    func publicList() async throws {
        try await withServers { ports in
            let reply = try await request(ports.public, "GET", "/v1/lists/popular?tokens=none")
            #expect(reply.text == "{" + Self.after + Self.rest)
            #expect(reply["cache-control"] == "public, no-cache")
            #expect(reply["vary"] == "Authorization")
            #expect(reply["etag"] == #"W/"9013.m42.p7.abc""#)
            let personal = try await request(ports.public, "GET", "/v1/lists/popular?tokens=none&user_id=u1")
            #expect(personal["cache-control"] == "private, no-store")
            #expect(personal["etag"] == nil)
        }
    }

    @Test("who has it already is told so in a few bytes")
    func notModified() async throws {
        try await withServers { ports in
            for condition in [#"W/"9013.m42.p7.abc""#, #""9013.m42.p7.abc""#, #""x", W/"9013.m42.p7.abc""#, "*"] {
                let reply = try await request(
                    ports.public,
                    "GET",
                    "/v1/lists/popular?tokens=none",
                    headers: [("If-None-Match", condition)]
                )
                #expect(reply.status == 304, "\(condition)")
                #expect(reply.body.isEmpty)
                #expect(reply["etag"] == #"W/"9013.m42.p7.abc""#)
                #expect(reply["cache-control"] == "public, no-cache")
                #expect(reply["vary"] == "Authorization")
                #expect(reply["content-type"] == nil)
            }
            for condition in [#"W/"9012.m42.p7.abc""#, "", "9013", #""""#] {
                let reply = try await request(
                    ports.public,
                    "GET",
                    "/v1/lists/popular?tokens=none",
                    headers: [("If-None-Match", condition)]
                )
                #expect(reply.status == 200, "\(condition)")
            }
            let tracked = try await request(
                ports.public,
                "GET",
                "/v1/lists/popular",
                headers: [("If-None-Match", "*")]
            )
            #expect(tracked.status == 200, "what is nobody else's is not compared")
        }
    }

    @Test("a list that could not be verified is nobody's to keep")
    func degraded() async throws {
        var useCases = Canned().useCases
        useCases.lists.list = { _ throws(ServingError) in
            var list = ItemList.example(isTracked: false)
            list.degraded = [.unverified]
            return list
        }
        try await withServers(useCases) { ports in
            let reply = try await request(ports.public, "GET", "/v1/lists/popular?tokens=none")
            #expect(reply["cache-control"] == "private, no-store")
            #expect(reply["etag"] == nil)
        }
    }

    @Test("parameters reach the use case, and have defaults")
    func parameters() async throws {
        let canned = Canned()
        try await withServers(canned.useCases) { ports in
            _ = try await request(ports.public, "GET", "/v1/lists/latest")
            var asked = try #require(canned.last.lists.last)
            #expect(asked.kind == .latest && asked.limit == 10 && asked.user == nil && asked.isTracked)
            _ = try await request(
                ports.public,
                "GET",
                "/v1/lists/trending?window=7d&category=a%2Cb,c&category=d&limit=100&user_id=u%7C1&tokens=none"
            )
            asked = try #require(canned.last.lists.last)
            #expect(asked.window == .week && asked.limit == 100 && !asked.isTracked)
            #expect(asked.categories.map(\.string) == ["a,b", "c", "d"])
            #expect(asked.user?.string == "u|1")
            _ = try await request(ports.public, "GET", "/v1/items/a%2Fb/similar?limit=3&user_id=u1&surface=detail")
            let similar = try #require(canned.last.similar.last)
            #expect(similar.item.string == "a/b" && similar.limit == 3 && similar.user?.string == "u1")
            #expect(similar.surface == "detail")
        }
    }

    @Test(
        "what is wrong is pointed at",
        arguments: [
            ("/v1/lists/popular?window=24h", "#/window"), ("/v1/lists/trending?window=2h", "#/window"),
            ("/v1/lists/popular?limit=101", "#/limit"), ("/v1/lists/popular?tokens=some", "#/tokens"),
            ("/v1/lists/popular?category=a,,b", "#/category/1"), ("/v1/lists/popular?user_id=a%0Ab", "#/user_id"),
            ("/v1/items/i1/similar?limit=0", "#/limit"), ("/v1/items/a%0A/similar", "#/item_id"),
            ("/v1/lists/popular?category=" + (0...20).map(String.init).joined(separator: ","), "#/category"),
        ]
    )
    func invalid(target: String, pointer: String) async throws {
        try await withServers { ports in
            let reply = try await request(ports.public, "GET", target)
            #expect(reply.status == 422)
            #expect(reply.text.contains(#""pointer":"\#(pointer)""#), "\(reply.text)")
            #expect(reply.text.contains(#""allowed":"#))
        }
    }

    @Test("unknown lists and items are not found, unknown parameters are malformed")
    func unknown() async throws {
        try await withServers { ports in
            let best = try await request(ports.public, "GET", "/v1/lists/best")
            #expect(best.status == 404)
            let nothing = try await request(ports.public, "GET", "/v1/items/nothing/similar")
            #expect(nothing.status == 404)
            for target in ["/v1/lists/popular?surface=home", "/v1/items/i1/similar?tokens=none", "/v1/lists/popular?x"]
            {
                #expect(try await request(ports.public, "GET", target).status == 400, "\(target)")
            }
            #expect(try await request(ports.public, "POST", "/v1/lists/popular").status == 405)
        }
    }
}

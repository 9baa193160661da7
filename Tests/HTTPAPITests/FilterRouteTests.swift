import HTTPAPI
import RecommendationCore
import Serving
import Testing

@Suite("Filters and batches")
struct FilterRouteTests {
    @Test("the filters of a query and those of a body are the same")
    func filters() async throws {
        let canned = Canned()
        try await withServers(canned.useCases) { ports in
            let query =
                "?category=a%2Cb,c&category=d&exclude_category=e&exclude=i1,i%2C2&exclude_seen=false&region=eu"
                + "&locale=de-AT&limit=7&surface=detail"
            _ = try await request(ports.public, "GET", "/v1/recommendations/u1" + query)
            let asked = try #require(canned.last.recommendations.last)
            #expect(asked.filters.categories.map(\.string) == ["a,b", "c", "d"])
            #expect(asked.filters.excludedCategories.map(\.string) == ["e"])
            #expect(asked.filters.excludedItems.map(\.string) == ["i1", "i,2"])
            #expect(asked.filters.excludesSeen == false)
            #expect(asked.filters.region?.string == "eu")
            #expect(asked.filters.locale == LanguageTag("DE-at"))
            let body =
                #"{"category":["a,b","c","d"],"exclude_category":"e","exclude":["i1","i,2"],"exclude_seen":false,"#
                + #""region":"eu","locale":"de-AT","limit":7,"surface":"detail"}"#
            let reply = try await send(ports.public, "POST", "/v1/recommendations/u1", body)
            #expect(reply.status == 200)
            let posted = try #require(canned.last.recommendations.last)
            #expect(posted.filters == asked.filters)
            #expect(posted.limit == 7 && posted.surface == "detail" && posted.user.string == "u1")
            _ = try await send(ports.public, "POST", "/v1/recommendations/u1", "{}")
            #expect(canned.last.recommendations.last?.filters == RequestFilters.none)
            #expect(canned.last.recommendations.last?.limit == 10)
            // To JSON these are the same number; a client may write whole ones with a point.
            for limit in ["5", "5.0", "5e0", "0.5E+1"] {
                let reply = try await send(ports.public, "POST", "/v1/recommendations/u1", #"{"limit":\#(limit)}"#)
                #expect(reply.status == 200, "\(limit)")
                #expect(canned.last.recommendations.last?.limit == 5, "\(limit)")
            }
        }
    }

    @Test(
        "what is wrong in a query is pointed at",
        arguments: [
            ("category=", "#/category/0"), ("exclude=a,", "#/exclude/1"), ("exclude_seen=1", "#/exclude_seen"),
            ("exclude_seen=", "#/exclude_seen"), ("locale=x%20y", "#/locale"), ("locale=", "#/locale"),
            ("region=", "#/region"), ("exclude=" + (0...100).map { "i\($0)" }.joined(separator: ","), "#/exclude"),
            ("exclude_category=" + (0...20).map { "c\($0)" }.joined(separator: ","), "#/exclude_category"),
            ("category=a&category=" + String(repeating: "x", count: 129), "#/category/1"),
        ]
    )
    func invalidQuery(query: String, pointer: String) async throws {
        try await withServers { ports in
            let reply = try await request(ports.public, "GET", "/v1/recommendations/u1?" + query)
            #expect(reply.status == 422)
            #expect(reply.text.contains(#""pointer":"\#(pointer)""#), "\(reply.text)")
            #expect(reply.text.contains(#""allowed":"#))
        }
    }

    @Test("a cursor begins a list or goes on with one, and then nothing is said that the first page said")
    func cursors() async throws {
        let canned = Canned()
        try await withServers(canned.useCases) { ports in
            let path = "/v1/recommendations/u1"
            for (query, body, page) in [
                ("", "{}", .whole), ("?cursor=*", #"{"cursor":"*"}"#, .first),
                ("?cursor=%2A&category=a", #"{"cursor":"*","category":"a"}"#, .first),
                (
                    "?cursor=v1.k.AA&limit=5&explain=full", #"{"cursor":"v1.k.AA","limit":5,"explain":"full"}"#,
                    .next("v1.k.AA")
                ),
                ("?limit=3", #"{"cursor":null}"#, .whole),
            ] as [(String, String, RecommendationRequest.Page)] {
                #expect(try await request(ports.public, "GET", path + query).status == 200)
                #expect(canned.last.recommendations.last?.page == page, "\(query)")
                #expect(try await send(ports.public, "POST", path, body).status == 200)
                #expect(canned.last.recommendations.last?.page == page, "\(body)")
            }
            for (query, body, pointer) in [
                ("cursor=", #"{"cursor":""}"#, "cursor"), ("cursor=x", #"{"cursor":7}"#, "cursor"),
                ("cursor=v1.a&surface=home", #"{"cursor":"v1.a","surface":"home"}"#, "surface"),
                ("cursor=v1.a&category=a", #"{"cursor":"v1.a","category":["a"]}"#, "category"),
                ("cursor=v1.a&exclude_seen=false", #"{"cursor":"v1.a","exclude_seen":false}"#, "exclude_seen"),
            ] {
                for reply in [
                    try await request(ports.public, "GET", "\(path)?\(query)"),
                    try await send(ports.public, "POST", path, body),
                ] {
                    #expect(reply.status == 422, "\(query)")
                    #expect(reply.text.contains(##""pointer":"#/\##(pointer)""##), "\(reply.text)")
                }
            }
            var useCases = canned.useCases
            useCases.recommend = { _ throws(ServingError) in throw .cursorGone(.expired) }
            try await withServers(useCases) { ports in
                let gone = try await request(ports.public, "GET", path + "?cursor=v1.k.AA")
                #expect(gone.status == 410 && gone.text.contains(#""title":"Gone""#), "\(gone.text)")
                #expect(gone.text.contains(#""code":"cursor_expired""#))
            }
            let batch = #"{"requests":[{"user_id":"u1","cursor":"*"}]}"#
            #expect(try await send(ports.public, "POST", "/v1/recommendations:batch", batch).status == 400)
        }
    }

    @Test("why an item is not in a list is told of the list that the request would have")
    func explain() async throws {
        let canned = Canned()
        try await withServers(canned.useCases) { ports in
            let path = "/v1/recommendations/u1/explain/"
            let reply = try await request(ports.public, "GET", path + "i9?surface=detail&limit=3&category=a,b")
            #expect(reply.status == 200)
            let begin =
                #"{"item_id":"i9","user_id":"u1","surface":"home","shown":false,"rank":null,"removed_by":"diversity","#
                + #""rank_before_filters":4,"candidates":250,"score":0.75,"components":{"collaborative":0.5,"#
                + #""content":0.25,"popularity":0},"seed_items":["i3"],"model_version":"m42","policy_version":"p7","#
                + #""served_from":{"tier":"l1""#
            #expect(reply.text.hasPrefix(begin), "\(reply.text)")
            let asked = try #require(canned.last.recommendations.last)
            #expect(asked.surface == "detail" && asked.limit == 3 && asked.filters.categories.count == 2)
            #expect(try await request(ports.public, "GET", path + "nothing").status == 404)
            for (query, status) in [("cursor=*", 400), ("explain=full", 400), ("limit=0", 422), ("category=", 422)] {
                #expect(try await request(ports.public, "GET", path + "i9?" + query).status == status, "\(query)")
            }
            let long = String(repeating: "x", count: 129)
            let refused = try await request(ports.public, "GET", path + long)
            #expect(refused.status == 422 && refused.text.contains(##""pointer":"#/item_id""##), "\(refused.text)")
        }
    }

    @Test("unknown parameters and keys, a filter twice that is no list, and bytes that are no text are malformed")
    func malformed() async throws {
        try await withServers { ports in
            for query in ["categories=a", "min_version=1", "region=a&region=b", "exclude=%ff", "category=a,%2"] {
                #expect(
                    try await request(ports.public, "GET", "/v1/recommendations/u1?" + query).status == 400,
                    "\(query)"
                )
            }
            for body in [#"{"user_id":"u1"}"#, #"{"min_version":1}"#, "[", #"{"limit":1,"limit":2}"#] {
                let reply = try await send(ports.public, "POST", "/v1/recommendations/u1", body)
                #expect(reply.status == 400, "\(body)")
            }
            for (body, pointer) in [
                (#"{"limit":"5"}"#, "#/limit"), (#"{"limit":5.5}"#, "#/limit"), (#"{"limit":1e400}"#, "#/limit"),
                (#"{"limit":0.0}"#, "#/limit"), (#"{"limit":101.0}"#, "#/limit"),
                (#"{"exclude_seen":"true"}"#, "#/exclude_seen"),
                (#"{"category":[1]}"#, "#/category/0"), (#"{"exclude":{}}"#, "#/exclude"), ("[]", "#"),
                (#"{"explain":"x"}"#, "#/explain"), (#"{"locale":"_"}"#, "#/locale"),
            ] {
                let reply = try await send(ports.public, "POST", "/v1/recommendations/u1", body)
                #expect(reply.status == 422, "\(body)")
                #expect(reply.text.contains(#""pointer":"\#(pointer)""#), "\(reply.text)")
            }
        }
    }

    @Test("the version that an answer has to hold comes in a header, in digits and once")
    func minimumVersion() async throws {
        let canned = Canned()
        try await withServers(canned.useCases) { ports in
            let target = "/v1/recommendations/u1"
            for version in [Int64(0), 119, .max] {
                let headers = [("x-MIN-version", " \(version)")]
                #expect(try await request(ports.public, "GET", target, headers: headers).status == 200)
                #expect(canned.last.recommendations.last?.minimumVersion == version)
                #expect(try await send(ports.public, "POST", target, "{}", headers: headers).status == 200)
                #expect(canned.last.recommendations.last?.minimumVersion == version)
            }
            _ = try await request(ports.public, "GET", target)
            #expect(canned.last.recommendations.last?.minimumVersion == 0)
            for wrong in ["", "-1", "+1", "1.0", "1, 2", "m1", "9223372036854775808", "%31"] {
                let reply = try await request(ports.public, "GET", target, headers: [("X-Min-Version", wrong)])
                #expect(reply.status == 400 && reply.text.contains("X-Min-Version"), "\(wrong)")
            }
            let twice = [("X-Min-Version", "1"), ("X-Min-Version", "1")]
            #expect(try await request(ports.public, "GET", target, headers: twice).status == 400)
        }
    }

    @Test("a batch is answered in order, each user with a list or a problem")
    func batch() async throws {
        let canned = Canned()
        try await withServers(canned.useCases) { ports in
            let body =
                #"{"requests":[{"user_id":"u1","limit":5,"category":["a"]},{"user_id":"u\"2","min_version":119},"#
                + #"{"user_id":"u1"}]}"#
            let reply = try await send(ports.public, "POST", "/v1/recommendations:batch", body)
            #expect(reply.status == 200)
            let asked = try #require(canned.last.batches.last)
            #expect(asked.0.map(\.user.string) == ["u1", "u\"2", "u1"])
            #expect(asked.0.map(\.limit) == [5, 10, 10])
            #expect(asked.0.map(\.minimumVersion) == [0, 119, 0])
            #expect(asked.0[0].filters.categories.map(\.string) == ["a"])
            #expect(reply.text.hasPrefix(#"{"results":[{"recommendation_id":"#))
            #expect(
                reply.text.contains(
                    #"},{"user_id":"u\"2","problem":{"type":"urn:vireo:problem:version_unknown","#
                        + #""title":"Precondition failed","status":412,"#
                )
            )
            #expect(reply.text.hasSuffix("}]}"))
        }
    }

    @Test("a batch is bounded in users and in items, and every error of it is pointed at")
    func batchErrors() async throws {
        try await withServers { ports in
            func users(_ count: Int, limit: Int) -> String {
                let requests = (0..<count).map { #"{"user_id":"u\#($0)","limit":\#(limit)}"# }
                return #"{"requests":[\#(requests.joined(separator: ","))]}"#
            }
            for (body, pointer) in [
                (users(101, limit: 1), "#/requests"), (users(11, limit: 100), "#/requests"),
                (users(0, limit: 1), "#/requests"),
                (#"{"requests":[{"user_id":"u1"},{"limit":1}]}"#, "#/requests/1/user_id"),
                (#"{"requests":[{"user_id":"u1","limit":101}]}"#, "#/requests/0/limit"),
                (#"{"requests":[{"user_id":"u1","min_version":-1}]}"#, "#/requests/0/min_version"),
                (#"{"requests":[{"user_id":"u1","exclude":["a",""]}]}"#, "#/requests/0/exclude/1"),
                (#"{"requests":[7]}"#, "#/requests/0"), (#"{"requests":{}}"#, "#/requests"), ("{}", "#/requests"),
            ] {
                let reply = try await send(ports.public, "POST", "/v1/recommendations:batch", body)
                #expect(reply.status == 422, "\(body.prefix(80)): \(reply.text)")
                #expect(reply.text.contains(#""pointer":"\#(pointer)""#), "\(reply.text)")
            }
            #expect(
                try await send(ports.public, "POST", "/v1/recommendations:batch", users(10, limit: 100)).status == 200
            )
            let unknown = try await send(
                ports.public,
                "POST",
                "/v1/recommendations:batch",
                #"{"requests":[{"user_id":"u1","cursor":"x"}]}"#
            )
            #expect(unknown.status == 400)
            #expect(unknown.text.contains(##""pointer":"#/requests/0/cursor""##))
            #expect(try await request(ports.public, "GET", "/v1/recommendations:batch").status == 405)
        }
    }
}

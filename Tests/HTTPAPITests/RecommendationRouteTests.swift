import HTTPAPI
import RecommendationCore
import Serving
import Testing

@Suite("GET /v1/recommendations/{user_id}")
struct RecommendationRouteTests {
    private static let before =
        #"{"recommendation_id":"00000000000000000000000001","user_id":"u1","surface":"home","#
        + #""generated_at":"2026-09-01T10:00:00.000Z","items":[{"item_id":"i7","rank":1,"score":0.8123,"#
        + #""tracking_token":"v1.k3","sources":["collaborative","content","popularity"]"#
    private static let between =
        #"},{"item_id":"i\"8","rank":2,"score":0.5,"tracking_token":"v1.k4","sources":["popularity","content"]"#
    private static let after =
        #"}],"next_cursor":null,"model_version":"m42","policy_version":"p7","experiments":[],"#
        + #""served_from":{"tier":"l1","age_ms":1412,"stale":false},"fallback":null,"fallback_reason":null,"#
        + #""degraded":["redis","unverified"],"filtered":{"tombstone":1,"unavailable":2,"seen":4,"suppressed":5,"#
        + #""policy":6,"frequency_cap":7,"diversity":3,"pool_exhausted":true},"user_version":118}"#

    @Test("an answer is the contract's, byte by byte")
    func full() async throws {
        try await withServers { ports in
            let reply = try await request(ports.public, "GET", "/v1/recommendations/u1?explain=full")
            let first =
                #","explanation":{"code":"because_you_liked","text":"Because you liked Alien","seed_items":["i3"],"#
                + #""components":{"collaborative":0.52,"content":0.21,"popularity":0.0823}}"#
            let second =
                #","explanation":{"code":"similar_to_your_history","text":"Similar to what you have seen","#
                + #""seed_items":[],"components":{"collaborative":0,"content":0.2,"popularity":0.3}}"#
            #expect(reply.text == Self.before + first + Self.between + second + Self.after)
        }
    }

    @Test("explanations are reasons unless asked for otherwise")
    func explanations() async throws {
        try await withServers { ports in
            let first =
                #","explanation":{"code":"because_you_liked","text":"Because you liked Alien","seed_items":["i3"]}"#
            let second =
                #","explanation":{"code":"similar_to_your_history","text":"Similar to what you have seen","seed_items":[]}"#
            for query in ["", "?explain=reason"] {
                let reply = try await request(ports.public, "GET", "/v1/recommendations/u1" + query)
                #expect(reply.text == Self.before + first + Self.between + second + Self.after)
            }
            let none = try await request(ports.public, "GET", "/v1/recommendations/u1?explain=none")
            #expect(none.text == Self.before + Self.between + Self.after)
        }
    }

    @Test("headers say where the answer came from")
    func headers() async throws {
        try await withServers { ports in
            let reply = try await request(
                ports.public,
                "GET",
                "/v1/recommendations/u1",
                headers: [("X-Request-ID", "abc-1")]
            )
            #expect(reply.status == 200)
            #expect(reply["content-type"] == "application/json")
            #expect(reply["cache-control"] == "private, no-store")
            #expect(reply["x-request-id"] == "abc-1")
            #expect(reply["x-vireo-cache"] == "l1")
            #expect(reply["age"] == "1")
            #expect(reply["x-vireo-model"] == "m42")
            #expect(reply["x-vireo-policy"] == "p7")
            #expect(reply["server-timing"] == "cache;dur=0.12, final;dur=1.5")
            #expect(reply["server"] == "vireo")
            #expect(reply["date"] != nil)
            #expect(reply["content-length"] == "\(reply.body.count)")
        }
    }

    @Test("a fallback and its staleness are said")
    func fallback() async throws {
        var useCases = Canned().useCases
        useCases.recommend = { _ throws(ServingError) in
            var answer = Recommendation.full
            answer.items = []
            answer.tier = .stale
            answer.fallback = .stale
            answer.fallbackReason = "store_unavailable"
            answer.ageMilliseconds = -5
            answer.stages = []
            return answer
        }
        try await withServers(useCases) { ports in
            let reply = try await request(ports.public, "GET", "/v1/recommendations/u1")
            #expect(reply.text.contains(#""items":[],"#))
            #expect(reply.text.contains(#""served_from":{"tier":"stale","age_ms":-5,"stale":true}"#))
            #expect(reply.text.contains(#""fallback":"stale","fallback_reason":"store_unavailable""#))
            #expect(reply["x-vireo-cache"] == "stale")
            #expect(reply["age"] == "0")
            #expect(reply["server-timing"] == nil)
        }
    }

    @Test("parameters reach the use case, and have defaults")
    func parameters() async throws {
        let canned = Canned()
        try await withServers(canned.useCases) { ports in
            _ = try await request(ports.public, "GET", "/v1/recommendations/u1")
            #expect(canned.last.recommendations.last?.surface == "home")
            #expect(canned.last.recommendations.last?.limit == 10)
            #expect(canned.last.recommendations.last?.tenant == .default)
            for limit in [1, 100] {
                _ = try await request(ports.public, "GET", "/v1/recommendations/u1?limit=\(limit)&surface=d%65tail")
                #expect(canned.last.recommendations.last?.limit == limit)
                #expect(canned.last.recommendations.last?.surface == "detail")
            }
        }
    }

    @Test(
        "an id arrives as the bytes that were sent",
        arguments: [
            ("a%2Fb", "a/b"), ("%7Bx%7D", "{x}"), ("*", "*"), ("|", "|"), ("%25", "%"), ("+", "+"), ("%20", " "),
            ("caf%C3%A9", "caf\u{E9}"), ("cafe%CC%81", "cafe\u{301}"), ("..", ".."), ("%2e", "."), ("a:b", "a:b"),
            (String(repeating: "%F0%9F%98%80", count: 32), String(repeating: "😀", count: 32)),
            (String(repeating: "x", count: 128), String(repeating: "x", count: 128)), ("%E2%84%AA", "\u{212A}"),
        ]
    )
    func hostileIDs(_ sent: String, _ expected: String) async throws {
        let canned = Canned()
        try await withServers(canned.useCases) { ports in
            let reply = try await request(ports.public, "GET", "/v1/recommendations/\(sent)")
            #expect(reply.status == 200)
            #expect(canned.last.recommendations.map { Array($0.user.string.utf8) } == [Array(expected.utf8)])
        }
    }

    @Test(
        "bad input is refused, all fields at once",
        arguments: [
            ("u1?limit=", 422, "invalid_parameter", [Wrong("#/limit", "invalid", "1..100")]),
            ("u1?limit", 422, "invalid_parameter", [Wrong("#/limit", "invalid", "1..100")]),
            ("u1?limit=0", 422, "invalid_parameter", [Wrong("#/limit", "out_of_range", "1..100")]),
            ("u1?limit=101", 422, "invalid_parameter", [Wrong("#/limit", "out_of_range", "1..100")]),
            ("u1?limit=-1", 422, "invalid_parameter", [Wrong("#/limit", "out_of_range", "1..100")]),
            ("u1?limit=-", 422, "invalid_parameter", [Wrong("#/limit", "invalid", "1..100")]),
            ("u1?limit=99999999999999999999", 422, "invalid_parameter", [Wrong("#/limit", "out_of_range", "1..100")]),
            ("u1?limit=abc", 422, "invalid_parameter", [Wrong("#/limit", "invalid", "1..100")]),
            ("u1?limit=1.5", 422, "invalid_parameter", [Wrong("#/limit", "invalid", "1..100")]),
            ("u1?limit=+5", 422, "invalid_parameter", [Wrong("#/limit", "invalid", "1..100")]),
            ("u1?explain=all", 422, "invalid_parameter", [Wrong("#/explain", "invalid", "none|reason|full")]),
            ("u1?explain=", 422, "invalid_parameter", [Wrong("#/explain", "invalid", "none|reason|full")]),
            ("u1?surface=", 422, "invalid_parameter", [Wrong("#/surface", "invalid", Wrong.identifier)]),
            ("%0A", 422, "invalid_parameter", [Wrong("#/user_id", "invalid", Wrong.identifier)]),
            ("%C2%85", 422, "invalid_parameter", [Wrong("#/user_id", "invalid", Wrong.identifier)]),
            ("%7F", 422, "invalid_parameter", [Wrong("#/user_id", "invalid", Wrong.identifier)]),
            (
                String(repeating: "x", count: 129), 422, "invalid_parameter",
                [
                    Wrong("#/user_id", "invalid", Wrong.identifier)
                ]
            ),
            (
                "%00?limit=0&explain=x&surface=%01", 422, "invalid_parameter",
                [
                    Wrong("#/user_id", "invalid", Wrong.identifier), Wrong("#/surface", "invalid", Wrong.identifier),
                    Wrong("#/limit", "out_of_range", "1..100"), Wrong("#/explain", "invalid", "none|reason|full"),
                ]
            ),
            ("%FF", 400, "malformed_path", []), ("%", 400, "malformed_path", []), ("a%2", 400, "malformed_path", []),
            ("%zz", 400, "malformed_path", []), ("%ED%A0%80", 400, "malformed_path", []),
            ("u1?limit=%", 400, "malformed_query", []), ("u1?limit=%FF", 400, "malformed_query", []),
            ("u1?=5", 400, "malformed_query", []), ("u1?limit=5&", 400, "malformed_query", []),
            ("u1?limit=5&limit=5", 400, "duplicate_parameter", [Wrong("#/limit", "duplicate_parameter", nil)]),
            (
                "u1?curser=x&categories=y&limit=0", 400, "unknown_parameter",
                [
                    Wrong("#/curser", "unknown_parameter", Wrong.parameters),
                    Wrong("#/categories", "unknown_parameter", Wrong.parameters),
                ]
            ),
            ("", 404, "not_found", []), ("u1/", 404, "not_found", []), ("u1/explains/i1", 404, "not_found", []),
        ] as [(String, Int, String, [Wrong])]
    )
    func badInput(_ target: String, _ status: Int, _ code: String, _ errors: [Wrong]) async throws {
        let canned = Canned()
        try await withServers(canned.useCases) { ports in
            let reply = try await request(ports.public, "GET", "/v1/recommendations/" + target)
            try reply.expectProblem(status, code, errors)
            #expect(canned.last.recommendations.isEmpty)
        }
    }

    @Test("the contract's example of a problem is met")
    func exampleProblem() async throws {
        try await withServers { ports in
            let reply = try await request(
                ports.public,
                "GET",
                "/v1/recommendations/u1?limit=500",
                headers: [("X-Request-ID", "01J")]
            )
            #expect(
                reply.text
                    == #"{"type":"urn:vireo:problem:invalid_parameter","title":"Invalid request","status":422,"#
                    + #""detail":"limit must be 1..100","instance":"/v1/recommendations/u1","#
                    + #""code":"invalid_parameter","request_id":"01J","#
                    + ##""errors":[{"pointer":"#/limit","code":"out_of_range","allowed":"1..100"}]}"##
            )
            #expect(reply["content-type"] == "application/problem+json")
        }
    }

    @Test("bytes that are not percent-encoded are refused", arguments: [[0xC3, 0xA9], [0xFF], [0xC3]] as [[UInt8]])
    func rawBytes(_ bytes: [UInt8]) async throws {
        try await withServers { ports in
            let reply = try await onWire(ports.public) { wire in
                try wire.send(
                    Array("GET /v1/recommendations/".utf8) + bytes + Array(" HTTP/1.1\r\nHost: x\r\n\r\n".utf8)
                )
                return try wire.reply()
            }
            #expect(reply.status == 400)
            #expect(reply["content-type"] == "application/problem+json")
        }
    }

    @Test("HEAD answers as GET does, without the body")
    func head() async throws {
        try await withServers { ports in
            let (get, head, next) = try await onWire(ports.public) { wire in
                try wire.send("GET /v1/recommendations/u1 HTTP/1.1\r\nHost: x\r\n\r\n")
                let get = try wire.reply()
                try wire.send("HEAD /v1/recommendations/u1 HTTP/1.1\r\nHost: x\r\n\r\n")
                let head = try wire.reply(hasBody: false)
                // A body would be taken for the beginning of this answer.
                try wire.send("HEAD /v1/recommendations/u1?limit=0 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                return (get, head, try wire.reply(hasBody: false))
            }
            #expect(head.status == 200)
            #expect(head["content-length"] == "\(get.body.count)")
            #expect(head["x-vireo-cache"] == "l1")
            #expect(next.status == 422)
            #expect(next["content-type"] == "application/problem+json")
        }
    }

    @Test(
        "an error of the use case becomes its problem",
        arguments: [
            (ServingError.notReady, 503, "not_ready", []),
            (.unverified, 503, "unverified", []),
            (.notDurable, 503, "not_durable", []),
            (.storeUnavailable, 503, "unavailable", []),
            (
                .unknownSurface(allowed: ["home", "email"]), 422, "invalid_parameter",
                [
                    Wrong("#/surface", "unknown_surface", "home|email")
                ]
            ),
            (.conflict("that is so already"), 409, "conflict", []),
            (.failed("SELECT secret"), 500, "internal_error", []),
        ] as [(ServingError, Int, String, [Wrong])]
    )
    func servingErrors(_ error: ServingError, _ status: Int, _ code: String, _ errors: [Wrong]) async throws {
        var useCases = Canned().useCases
        useCases.recommend = { _ throws(ServingError) in throw error }
        try await withServers(useCases) { ports in
            let reply = try await request(ports.public, "GET", "/v1/recommendations/u1")
            try reply.expectProblem(status, code, errors)
            #expect(reply["retry-after"] == (status == 503 ? "1" : nil))
            #expect(!reply.text.contains("secret"))
        }
    }
}

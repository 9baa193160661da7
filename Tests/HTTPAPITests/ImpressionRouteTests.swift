import HTTPAPI
import RecommendationCore
import Serving
import Testing

@Suite("POST /v1/impressions")
struct ImpressionRouteTests {
    private static let target = "/v1/impressions"
    private static let id = "01J00000000000000000000007"

    private static func body(_ items: String) -> String {
        #"{"recommendation_id":"\#(Self.id)","items":[\#(items)]}"#
    }

    @Test("what can be read is handed on in one call, what is wrong is told with its place in the body")
    func mixed() async throws {
        let canned = Canned()
        var useCases = canned.useCases
        let record = useCases.recordImpressions
        useCases.recordImpressions = { request, tenant async throws(ServingError) in
            var answer = try await record(request, tenant)
            answer.accepted -= 1
            answer.duplicates = 1
            answer.isCounted = false
            answer.rejected = [
                FeedbackRejection(index: 1, code: "unknown_key", field: "tracking_token", allowed: "another")
            ]
            return answer
        }
        try await withServers(useCases) { ports in
            let items = [
                #"{"item_id":"","tracking_token":"v2.k"}"#, #"{"item_id":"i7","tracking_token":"v2.k3.x"}"#, "7",
                #"{"item_id":"i8","tracking_token":"v2.k3.y","rank":1}"#, #"{"item_id":"i9"}"#,
                #"{"item_id":"i9","tracking_token":"v2.k3.z"}"#,
            ]
            let reply = try await send(ports.public, "POST", Self.target, Self.body(items.joined(separator: ",")))
            #expect(reply.status == 200)
            let expected =
                #"{"accepted":1,"duplicates":1,"rejected":["#
                + ##"{"index":0,"code":"invalid","pointer":"#/items/0/item_id","allowed":"\##(Wrong.identifier)"},"##
                + ##"{"index":2,"code":"invalid","pointer":"#/items/2","allowed":"one impression"},"##
                + ##"{"index":3,"code":"unknown_parameter","pointer":"#/items/3/rank","allowed":"item_id|tracking_token"},"##
                + ##"{"index":4,"code":"required","pointer":"#/items/4/tracking_token"},"##
                + ##"{"index":5,"code":"unknown_key","pointer":"#/items/5/tracking_token","allowed":"another"}],"counted":false}"##
            #expect(reply.text == expected)
        }
        let (request, tenant) = try #require(canned.last.impressions.first)
        #expect(canned.last.impressions.count == 1 && tenant == .default)
        #expect(request.id.string == Self.id)
        #expect(request.items.map(\.item.string) == ["i7", "i9"])
        #expect(request.items.map(\.trackingToken) == ["v2.k3.x", "v2.k3.z"])
    }

    @Test("a call of which no item can be read asks nobody")
    func nothing() async throws {
        let canned = Canned()
        try await withServers(canned.useCases) { ports in
            let reply = try await send(ports.public, "POST", Self.target, Self.body("7"))
            #expect(reply.status == 200)
            #expect(reply.text.hasPrefix(#"{"accepted":0,"duplicates":0,"rejected":[{"index":0"#))
        }
        #expect(canned.last.impressions.isEmpty)
    }

    @Test("a call that is none is a problem with the pointer, and it takes the scope write")
    func refused() async throws {
        let canned = Canned()
        try await withServers(canned.useCases) { ports in
            let item = #"{"item_id":"i7","tracking_token":"v2"}"#
            for id in ["", "01J", "81J00000000000000000000007", "01J0000000000000000000000U"] {
                let body = #"{"recommendation_id":"\#(id)","items":[\#(item)]}"#
                let reply = try await send(ports.public, "POST", Self.target, body)
                try reply.expectProblem(
                    422,
                    "invalid_parameter",
                    [Wrong("#/recommendation_id", "invalid", "the recommendation_id of an answer, 26 characters")]
                )
            }
            let many = Array(repeating: item, count: 101).joined(separator: ",")
            for items in ["", many] {
                let reply = try await send(ports.public, "POST", Self.target, Self.body(items))
                try reply.expectProblem(
                    422,
                    "invalid_parameter",
                    [Wrong("#/items", "invalid", "an array of 1 to 100 impressions")]
                )
            }
            let unknown = try await send(ports.public, "POST", Self.target, #"{"user_id":"u1"}"#)
            #expect(unknown.status == 400)
        }
        #expect(canned.last.impressions.isEmpty)
        try await withServers(canned.useCases, authentication: true) { ports in
            let headers = [("Authorization", "Bearer reader"), ("Content-Type", "application/json")]
            let body = Self.body(#"{"item_id":"i7","tracking_token":"v2"}"#)
            let reply = try await request(ports.public, "POST", Self.target, headers: headers, body: body)
            #expect(reply.status == 403)
        }
    }
}

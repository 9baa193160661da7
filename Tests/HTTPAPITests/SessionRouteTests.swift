import HTTPAPI
import RecommendationCore
import Serving
import Testing

@Suite("POST /v1/sessions:recommend")
struct SessionRouteTests {
    private static let path = "/v1/sessions:recommend"

    @Test("a whole body is taken as it is, and the answer is a user's")
    func whole() async throws {
        let canned = Canned()
        try await withServers(canned.useCases) { ports in
            let body =
                #"{"events":[{"item_id":"i1","type":"view","occurred_at":"2026-09-01T10:00:00+02:00"},"#
                + #"{"item_id":"a/b","type":"rating","value":4.5}],"limit":7,"surface":"detail","user_id":"u1","#
                + #""session_id":"s1","explain":"full","exclude":["i9"]}"#
            let reply = try await send(ports.public, "POST", Self.path, body)
            #expect(reply.status == 200)
            #expect(reply["x-vireo-cache"] == "l1" && reply["cache-control"] == "private, no-store")
            #expect(reply.text.contains(#","user_id":"u1","surface":"#))
            #expect(reply.text.contains(#""components":"#))
            let asked = try #require(canned.last.sessions.last)
            #expect(asked.recommendation.user == User.ID(trusted: "u1") && asked.recommendation.tenant == .default)
            #expect(asked.recommendation.limit == 7 && asked.recommendation.surface == "detail")
            #expect(asked.recommendation.filters.excludedItems == [Item.ID(trusted: "i9")])
            #expect(asked.session == Session.ID(trusted: "s1"))
            #expect(
                asked.events == [
                    SessionRequest.Event(
                        item: Item.ID(trusted: "i1"),
                        type: .view,
                        value: 1,
                        occurredAt: Timestamp(seconds: 1_788_249_600)
                    ),
                    SessionRequest.Event(item: Item.ID(trusted: "a/b"), type: .rating, value: 4.5, occurredAt: nil),
                ]
            )
        }
    }

    @Test("everything may be left out or null; then it is a list of nobody")
    func optional() async throws {
        let canned = Canned()
        try await withServers(canned.useCases) { ports in
            let null = #"{"events":null,"user_id":null,"session_id":null,"limit":null,"surface":null}"#
            for body in ["{}", null, #"{"events":[]}"#] {
                let reply = try await send(ports.public, "POST", Self.path, body)
                #expect(reply.status == 200)
                #expect(reply.text.contains(#""user_id":null,"#))
                let asked = try #require(canned.last.sessions.last)
                #expect(asked.events.isEmpty && asked.session == nil)
                #expect(asked.recommendation.user == TokenSigner.nobody && asked.recommendation.limit == 10)
            }
            let minimum = try await send(
                ports.public,
                "POST",
                Self.path,
                #"{"user_id":"u1"}"#,
                headers: [("X-Min-Version", "120")]
            )
            #expect(minimum.status == 200)
            #expect(canned.last.sessions.last?.recommendation.minimumVersion == 120)
        }
    }

    @Test("all that is wrong is pointed at")
    func invalid() async throws {
        try await withServers { ports in
            let body =
                #"{"events":[{"item_id":"","type":"buy"},{"type":"rating","item_id":"i1"},{"type":"view"},3,"#
                + #"{"item_id":"i1","type":"view","occurred_at":"2099-01-01T00:00:00Z"},"#
                + #"{"item_id":"i1","type":"view","value":2000000}],"limit":0,"user_id":"","session_id":"\n"}"#
            let types = "purchase|rating|like|click|view|dislike|hide|add_to_cart"
            try await send(ports.public, "POST", Self.path, body).expectProblem(
                422,
                "invalid_parameter",
                [
                    Wrong("#/user_id", "invalid", Wrong.identifier), Wrong("#/session_id", "invalid", Wrong.identifier),
                    Wrong("#/events/0/item_id", "invalid", Wrong.identifier),
                    Wrong("#/events/0/type", "unknown_type", types),
                    Wrong("#/events/1/value", "required", "the rating"), Wrong("#/events/2/item_id", "required", nil),
                    Wrong("#/events/3", "invalid", "one event object"),
                    Wrong("#/events/4/occurred_at", "out_of_range", "from 1970-01-01 to a day from now"),
                    Wrong("#/events/5/value", "out_of_range", "a number from -1000000 to 1000000"),
                    Wrong("#/limit", "out_of_range", "1..100"),
                ]
            )
            let event = #"{"item_id":"i1","type":"view"}"#
            let many = #"{"events":[\#(Array(repeating: event, count: 101).joined(separator: ","))]}"#
            try await send(ports.public, "POST", Self.path, many).expectProblem(
                422,
                "invalid_parameter",
                [Wrong("#/events", "invalid", "an array of up to 100 events")]
            )
            let most = #"{"events":[\#(Array(repeating: event, count: 100).joined(separator: ","))]}"#
            #expect(try await send(ports.public, "POST", Self.path, most).status == 200)
        }
    }

    @Test("what is unknown is refused: 400")
    func unknown() async throws {
        try await withServers { ports in
            for body in [#"{"event":[]}"#, #"{"events":[{"item_id":"i1","type":"view","user_id":"u1"}]}"#] {
                let reply = try await send(ports.public, "POST", Self.path, body)
                #expect(reply.status == 400 && reply.text.contains("unknown_parameter"), "\(reply.text)")
            }
            #expect(try await request(ports.public, "GET", Self.path).status == 405)
        }
    }

    @Test("feedback names its session")
    func feedback() async throws {
        let canned = Canned()
        try await withServers(canned.useCases) { ports in
            let event = #"{"user_id":"u1","item_id":"i1","type":"view","session_id":"s/1"}"#
            let one = try await send(ports.public, "POST", "/v1/feedback", event)
            #expect(one.status == 200)
            #expect(canned.last.feedback.last?.0.session == Session.ID(trusted: "s/1"))
            let batch = try await send(ports.public, "POST", "/v1/feedback:batch", "[\(event)]")
            #expect(batch.status == 200)
            #expect(canned.last.feedback.map(\.0.session) == [Session.ID(trusted: "s/1"), Session.ID(trusted: "s/1")])
        }
    }
}

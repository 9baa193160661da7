import HTTPAPI
import RecommendationCore
import Serving
import Testing

@Suite("POST /v1/feedback")
struct FeedbackRouteTests {
    private static let types = "purchase|rating|like|click|view|dislike|hide|add_to_cart"
    private static let time = "an RFC 3339 time, for example 2026-09-01T10:00:00Z"

    @Test("a whole event is taken as it is, and its answer is the contract's")
    func whole() async throws {
        let canned = Canned()
        try await withServers(canned.useCases) { ports in
            let reply = try await send(
                ports.public,
                "POST",
                "/v1/feedback",
                #"{"event_id":"c1-9f","user_id":"cafe\u0301","item_id":"a/b","type":"rating","value":4.5,"#
                    + #""occurred_at":"2026-09-01T10:00:00+02:00","tracking_token":"v1.k3","session_id":"s1"}"#
            )
            #expect(reply.status == 200)
            #expect(
                reply.text == #"{"accepted":1,"duplicates":0,"rejected":[],"user_version":119,"propagated":true}"#
            )
            let (event, tenant) = try #require(canned.last.feedback.first)
            #expect(canned.last.feedback.count == 1)
            #expect(tenant == .default)
            #expect(event.eventID == "c1-9f")
            #expect(event.user == User.ID(trusted: "cafe\u{301}"))
            #expect(event.item == Item.ID(trusted: "a/b"))
            #expect(event.type == "rating")
            #expect(event.value == 4.5)
            #expect(event.occurredAt == Timestamp(seconds: 1_788_249_600))
            #expect(event.trackingToken == "v1.k3")
        }
    }

    @Test("a write that is not known to be stored says so")
    func notDurable() async throws {
        var useCases = Canned().useCases
        useCases.recordFeedback = { _, _ throws(ServingError) in throw .notDurable }
        try await withServers(useCases) { ports in
            let reply = try await send(
                ports.public,
                "POST",
                "/v1/feedback",
                #"{"user_id":"u1","item_id":"i1","type":"like"}"#
            )
            try reply.expectProblem(503, "not_durable", [])
            #expect(reply["retry-after"] == "1")
        }
    }

    @Test("what is optional may be left out or null")
    func optional() async throws {
        let canned = Canned()
        try await withServers(canned.useCases) { ports in
            for rest in [
                "", #","event_id":null,"value":null,"occurred_at":null,"tracking_token":null,"session_id":null"#,
            ] {
                let json = #"{"user_id":"u1","item_id":"i1","type":"view""# + rest + "}"
                let reply = try await send(ports.public, "POST", "/v1/feedback", json)
                #expect(reply.status == 200)
                let event = try #require(canned.last.feedback.last?.0)
                #expect(event.eventID == nil)
                #expect(event.value == nil)
                #expect(event.occurredAt == nil)
                #expect(event.trackingToken == nil)
            }
        }
    }

    @Test("a duplicate, and an answer that is not propagated, are said")
    func duplicate() async throws {
        var useCases = Canned().useCases
        useCases.recordFeedback = { _, _ throws(ServingError) in
            FeedbackAnswer(accepted: 0, duplicates: 1, rejected: [], userVersions: [], propagated: false)
        }
        try await withServers(useCases) { ports in
            let reply = try await send(ports.public, "POST", "/v1/feedback", Self.event)
            #expect(
                reply.text == #"{"accepted":0,"duplicates":1,"rejected":[],"user_version":null,"propagated":false}"#
            )
        }
    }

    @Test("an event the use case rejects is an invalid request")
    func rejected() async throws {
        var useCases = Canned().useCases
        useCases.recordFeedback = { _, _ throws(ServingError) in
            FeedbackAnswer(
                accepted: 0,
                duplicates: 0,
                rejected: [
                    FeedbackRejection(index: 0, code: "unknown_type", field: "type", allowed: "view|click"),
                    FeedbackRejection(index: 0, code: "unknown_item", field: "item_id", allowed: nil),
                ],
                userVersions: [],
                propagated: true
            )
        }
        try await withServers(useCases) { ports in
            let reply = try await send(ports.public, "POST", "/v1/feedback", Self.event)
            try reply.expectProblem(
                422,
                "invalid_parameter",
                [Wrong("#/type", "unknown_type", "view|click"), Wrong("#/item_id", "unknown_item", nil)]
            )
        }
    }

    private static let event = #"{"user_id":"u1","item_id":"i1","type":"view"}"#

    @Test(
        "bad events are refused",
        arguments: [
            ("", 400, "malformed_json", [Wrong("#", "malformed_json", nil)]),
            ("{", 400, "malformed_json", [Wrong("#", "malformed_json", nil)]),
            (#"{"user_id":"\ud800"}"#, 400, "malformed_json", [Wrong("#/user_id", "malformed_json", nil)]),
            (#"{"user_id":"u1","user_id":"u2"}"#, 400, "duplicate_key", [Wrong("#/user_id", "duplicate_key", nil)]),
            (
                #"{"user_id":"u1","item":"i1","~/":1}"#, 400, "unknown_parameter",
                [
                    Wrong("#/item", "unknown_parameter", Self.fields),
                    Wrong("#/~0~1", "unknown_parameter", Self.fields),
                ]
            ),
            ("[]", 422, "invalid_parameter", [Wrong("#", "invalid", "one event object")]),
            (
                #"[{"user_id":"u1","item_id":"i1","type":"view"}]"#, 422, "invalid_parameter",
                [
                    Wrong("#", "invalid", "one event object")
                ]
            ),
            ("null", 422, "invalid_parameter", [Wrong("#", "invalid", "one event object")]),
            (
                "{}", 422, "invalid_parameter",
                [
                    Wrong("#/user_id", "required", nil), Wrong("#/item_id", "required", nil),
                    Wrong("#/type", "required", nil),
                ]
            ),
            (
                #"{"user_id":null,"item_id":"i1","type":"view"}"#, 422, "invalid_parameter",
                [
                    Wrong("#/user_id", "required", nil)
                ]
            ),
            (
                #"{"user_id":"u1","item_id":"i1","type":"viewed"}"#, 422, "invalid_parameter",
                [
                    Wrong("#/type", "unknown_type", Self.types)
                ]
            ),
            (
                #"{"user_id":"u1","item_id":"i1","type":"view","value":1e999}"#, 422, "invalid_parameter",
                [
                    Wrong("#/value", "out_of_range", "a finite number")
                ]
            ),
            (
                #"{"event_id":"","user_id":7,"item_id":"a\u0000","type":["view"],"value":"1","occurred_at":"yesterday","#
                    + #""tracking_token":true,"session_id":"\n"}"#, 422, "invalid_parameter",
                [
                    Wrong("#/event_id", "invalid", Wrong.identifier), Wrong("#/user_id", "invalid", Wrong.identifier),
                    Wrong("#/item_id", "invalid", Wrong.identifier), Wrong("#/type", "unknown_type", Self.types),
                    Wrong("#/value", "invalid", "a number"), Wrong("#/occurred_at", "invalid", Self.time),
                    Wrong("#/tracking_token", "invalid", "a string of up to 1024 bytes without U+0000"),
                    Wrong("#/session_id", "invalid", Wrong.identifier),
                ]
            ),
        ] as [(String, Int, String, [Wrong])]
    )
    func badEvents(_ json: String, _ status: Int, _ code: String, _ errors: [Wrong]) async throws {
        let canned = Canned()
        try await withServers(canned.useCases) { ports in
            try await send(ports.public, "POST", "/v1/feedback", json).expectProblem(status, code, errors)
            #expect(canned.last.feedback.isEmpty)
        }
    }

    private static let fields = "event_id|user_id|item_id|type|value|occurred_at|tracking_token|session_id"

    @Test("a malformed document is refused with its place")
    func place() async throws {
        try await withServers { ports in
            let reply = try await send(ports.public, "POST", "/v1/feedback", #"{"user_id":tru}"#)
            #expect(try reply.json["detail"]?.text == "unexpected byte, at byte 14")
        }
    }

    @Test("an unknown query parameter is refused before the body is looked at")
    func unknownParameter() async throws {
        try await withServers { ports in
            try await send(ports.public, "POST", "/v1/feedback?wait=all", "{").expectProblem(
                400,
                "unknown_parameter",
                [Wrong("#/wait", "unknown_parameter", "none")]
            )
        }
    }

    @Test("JSON says so in its content type")
    func contentType() async throws {
        try await withServers { ports in
            for type in ["application/json", "application/json; charset=utf-8", "Application/JSON ;x=y"] {
                let headers = [("Content-Type", type)]
                let reply = try await request(ports.public, "POST", "/v1/feedback", headers: headers, body: Self.event)
                #expect(reply.status == 200, "\(type)")
            }
            for type in ["text/plain", "application/json5", "application/problem+json", ""] {
                let headers = [("Content-Type", type)]
                let reply = try await request(ports.public, "POST", "/v1/feedback", headers: headers, body: Self.event)
                try reply.expectProblem(415, "unsupported_media_type")
                #expect(reply["accept"] == "application/json")
            }
            try await request(ports.public, "POST", "/v1/feedback", body: Self.event)
                .expectProblem(415, "unsupported_media_type")
            try await send(ports.public, "POST", "/v1/feedback", Self.event, headers: [("Content-Encoding", "gzip")])
                .expectProblem(415, "unsupported_media_type")
        }
    }

    @Test("a body of the most bytes is read, one byte more is refused, said ahead or not")
    func bodySize() async throws {
        var limits = HTTPConfiguration.Limits()
        limits.body = 1_000
        try await withServers(limits: limits) { ports in
            let fits = Self.event + String(repeating: " ", count: 1_000 - Self.event.utf8.count)
            #expect(try await send(ports.public, "POST", "/v1/feedback", fits).status == 200)
            let tooLarge = try await send(ports.public, "POST", "/v1/feedback", fits + " ")
            try tooLarge.expectProblem(413, "body_too_large")
            #expect(tooLarge["connection"] == "close")
            let chunked = try await onWire(ports.public) { wire in
                try wire.send(
                    "POST /v1/feedback HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                        + "Transfer-Encoding: chunked\r\n\r\n3e9\r\n\(fits) \r\n0\r\n\r\n"
                )
                let reply = try wire.reply()
                _ = try wire.rest()
                return reply
            }
            try chunked.expectProblem(413, "body_too_large")
        }
    }

    @Test("the limit of a public body is 1 MiB")
    func defaultBodySize() async throws {
        try await withServers { ports in
            let fits = Self.event + String(repeating: " ", count: (1 << 20) - Self.event.utf8.count)
            #expect(try await send(ports.public, "POST", "/v1/feedback", fits).status == 200)
            try await send(ports.public, "POST", "/v1/feedback", fits + " ").expectProblem(413, "body_too_large")
        }
    }
}

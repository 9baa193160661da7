import HTTPAPI
import RecommendationCore
import Serving
import Synchronization
import Testing

@Suite("POST /v1/feedback:batch")
struct FeedbackBatchRouteTests {
    private static let target = "/v1/feedback:batch"

    /// Answers as the use case does: type `view` is stored, item `none` is unknown, event `twice` a duplicate.
    private static func useCases(_ calls: Calls) -> UseCases {
        var useCases = Canned().useCases
        useCases.recordFeedback = { requests, _ throws(ServingError) in
            calls.all.withLock { $0.append(requests) }
            var answer = FeedbackAnswer(accepted: 0, duplicates: 0, rejected: [], userVersions: [], propagated: true)
            for (index, request) in requests.enumerated() {
                if request.item.string == "none" {
                    answer.rejected.append(
                        FeedbackRejection(index: index, code: "unknown_item", field: "item_id", allowed: nil)
                    )
                } else if request.eventID == "twice" {
                    answer.duplicates += 1
                } else {
                    answer.accepted += 1
                    answer.userVersions.append((request.user, Int64(100 + index)))
                }
            }
            return answer
        }
        return useCases
    }

    private final class Calls: Sendable {
        let all = Mutex<[[FeedbackRequest]]>([])
    }

    private static let events = [
        #"{"event_id":"e1","user_id":"u1","item_id":"i1","type":"view"}"#,
        #"{"event_id":"e2","user_id":"u2","item_id":"none","type":"view"}"#,
        #"{"event_id":"e3","user_id":"u\"2","item_id":"i1","type":"view"}"#,
        #"{"user_id":"","item_id":"i1","type":"nothing"}"#,
        #"{"user_id":"u1","item_id":"i1","type":"sold"}"#,
        #"{"user_id":"u1","item_id":"i1","type":"view","colour":1}"#,
        #"7"#,
        #"{"event_id":"twice","user_id":"u1","item_id":"i1","type":"view"}"#,
    ]

    private static let rejected =
        ##"{"index":1,"code":"unknown_item","pointer":"#/1/item_id"},"##
        + ##"{"index":3,"code":"invalid","pointer":"#/3/user_id","allowed":"\##(Wrong.identifier)"},"##
        + ##"{"index":4,"code":"unknown_type","pointer":"#/4/type","##
        + #""allowed":"purchase|rating|like|click|view|dislike|hide|add_to_cart"},"#
        + ##"{"index":5,"code":"unknown_parameter","pointer":"#/5/colour","##
        + #""allowed":"event_id|user_id|item_id|type|value|occurred_at|tracking_token|session_id"},"#
        + ##"{"index":6,"code":"invalid","pointer":"#/6","allowed":"one event object"}"##

    @Test("an array or lines: what is right is stored in one call, what is wrong is told with its place")
    func mixed() async throws {
        let calls = Calls()
        try await withServers(Self.useCases(calls)) { ports in
            let array = "[" + Self.events.joined(separator: ",") + "]"
            let expected =
                #"{"accepted":2,"duplicates":1,"rejected":["# + Self.rejected
                + #"],"user_versions":{"u1":100,"u\"2":102},"propagated":true}"#
            let reply = try await send(ports.public, "POST", Self.target, array)
            #expect(reply.status == 200)
            #expect(reply.text == expected)
            // Empty lines are no events, and the last one may end or not.
            let lines = Self.events.joined(separator: "\n") + "\r\n \n"
            let type = [("Content-Type", "application/x-ndjson; charset=utf-8")]
            #expect(try await request(ports.public, "POST", Self.target, headers: type, body: lines).text == expected)
            #expect(
                calls.all.withLock { $0.map { $0.map(\.eventID) } } == [
                    ["e1", "e2", "e3", "twice"], ["e1", "e2", "e3", "twice"],
                ]
            )
        }
    }

    @Test("a line that is no JSON rejects itself; an array that is none is refused whole")
    func malformed() async throws {
        let calls = Calls()
        try await withServers(Self.useCases(calls)) { ports in
            let type = [("Content-Type", "application/x-ndjson")]
            let lines = Self.events[0] + "\n{\n" + #"{"user_id":"a","user_id":"b"}"#
            let reply = try await request(ports.public, "POST", Self.target, headers: type, body: lines)
            #expect(
                reply.text == #"{"accepted":1,"duplicates":0,"rejected":[{"index":1,"code":"malformed_json","#
                    + ##""pointer":"#/1"},{"index":2,"code":"duplicate_key","pointer":"#/2/user_id"}],"##
                    + #""user_versions":{"u1":100},"propagated":true}"#
            )
            try await send(ports.public, "POST", Self.target, "[" + Self.events[0] + ",{]")
                .expectProblem(400, "malformed_json", [Wrong("#/1", "malformed_json", nil)])
            #expect(calls.all.withLock { $0.count } == 1)
        }
    }

    @Test("where nothing is right nothing is asked of the store")
    func nothing() async throws {
        let calls = Calls()
        try await withServers(Self.useCases(calls)) { ports in
            let reply = try await send(ports.public, "POST", Self.target, "[7]")
            #expect(
                reply.text == ##"{"accepted":0,"duplicates":0,"rejected":[{"index":0,"code":"invalid","##
                    + ##""pointer":"#/0","##
                    + #""allowed":"one event object"}],"user_versions":{},"propagated":true}"#
            )
            #expect(calls.all.withLock { $0.isEmpty })
        }
    }

    @Test("one to a thousand events")
    func count() async throws {
        let calls = Calls()
        try await withServers(Self.useCases(calls)) { ports in
            let wrong = [Wrong("#", "invalid", "an array or lines of 1 to 1000 events")]
            func array(_ count: Int) -> String {
                "[" + Array(repeating: Self.events[0], count: count).joined(separator: ",") + "]"
            }
            for body in [array(0), array(1_001), Self.events[0], "null"] {
                try await send(ports.public, "POST", Self.target, body).expectProblem(422, "invalid_parameter", wrong)
            }
            let type = [("Content-Type", "application/x-ndjson")]
            for body in ["", "\n\n", Array(repeating: Self.events[0], count: 1_001).joined(separator: "\n")] {
                try await request(ports.public, "POST", Self.target, headers: type, body: body)
                    .expectProblem(422, "invalid_parameter", wrong)
            }
            #expect(calls.all.withLock { $0.isEmpty })
            #expect(try await send(ports.public, "POST", Self.target, array(1_000)).status == 200)
            #expect(calls.all.withLock { $0.map(\.count) } == [1_000])
        }
    }

    @Test("the body is JSON or lines of it, of up to 1 MiB")
    func body() async throws {
        try await withServers { ports in
            let type = [("Content-Type", "text/csv")]
            let reply = try await request(ports.public, "POST", Self.target, headers: type, body: "a,b")
            try reply.expectProblem(415, "unsupported_media_type")
            #expect(reply["accept"] == "application/json, application/x-ndjson")
            let large = String(repeating: " ", count: 1 << 20) + "[]"
            try await send(ports.public, "POST", Self.target, large).expectProblem(413, "body_too_large")
            let one = try await request(
                ports.public,
                "POST",
                "/v1/feedback",
                headers: [("Content-Type", "application/x-ndjson")],
                body: "{}"
            )
            try one.expectProblem(415, "unsupported_media_type")
        }
    }
}

import HTTPAPI
import RecommendationCore
import Serving
import Testing

@Suite("Erasure routes")
struct ErasureRouteTests {
    @Test("an erasure is taken as a job that can be looked at")
    func whole() async throws {
        let canned = Canned()
        try await withServers(canned.useCases) { ports in
            let taken = try await request(ports.public, "DELETE", "/v1/users/caf%C3%A9%7B%2F")
            #expect(taken.status == 202 && taken.text == #"{"job":"j1","propagated":true}"#)
            #expect(canned.last.erased.map(\.0) == [User.ID(trusted: "caf\u{E9}{/")])
            #expect(canned.last.erased.map(\.1) == [.default])
            let late = try await request(ports.public, "DELETE", "/v1/users/late")
            #expect(late.status == 202 && late.text == #"{"job":"j1","propagated":false}"#)
            #expect(
                try await request(ports.public, "GET", "/v1/erasures/j1").text
                    == #"{"job":"j1","state":"done","removed":{"redis_keys":1,"pg_rows":3121,"decisions":0},"#
                    + #""reason":null,"created_at":"2026-09-01T10:00:00.000Z","finished_at":"2026-09-01T10:00:06.000Z"}"#
            )
            #expect(
                try await request(ports.public, "GET", "/v1/erasures/j2").text
                    == #"{"job":"j2","state":"failed","removed":{"redis_keys":1,"pg_rows":3121,"decisions":0},"#
                    + #""reason":"Redis: OOM","created_at":"2026-09-01T10:00:00.000Z","finished_at":null}"#
            )
            try await request(ports.public, "GET", "/v1/erasures/j3").expectProblem(404, "not_found")
        }
    }

    @Test("what is no job, or no user, is pointed at; reading is not enough of a scope")
    func invalid() async throws {
        try await withServers(authentication: true) { ports in
            for job in ["j0", "j01", "b1", "j", "1"] {
                let reply = try await request(
                    ports.public,
                    "GET",
                    "/v1/erasures/\(job)",
                    headers: [("Authorization", "Bearer writer")]
                )
                try reply.expectProblem(
                    422,
                    "invalid_parameter",
                    [Wrong("#/job", "invalid", "j and a number, for example j1")]
                )
            }
            for (method, target) in [("DELETE", "/v1/users/u1"), ("GET", "/v1/erasures/j1")] {
                let reply = try await request(
                    ports.public,
                    method,
                    target,
                    headers: [("Authorization", "Bearer reader")]
                )
                #expect(reply.status == 403, "\(method)")
            }
            let long = try await request(
                ports.public,
                "DELETE",
                "/v1/users/\(String(repeating: "a", count: 129))",
                headers: [("Authorization", "Bearer writer")]
            )
            #expect(long.status == 422)
        }
    }

    @Test(
        "an event is of the user it names, by bytes; what names none is of whoever's id it holds as a text",
        arguments: [
            (#"{"user_id":"u1","item_id":"u2"}"#, "u1", true), (#"{"user_id":"u1","item_id":"u2"}"#, "u2", false),
            (#"{"user_id":"u\u0031"}"#, "u1", true), (#"{"user_id":"u11"}"#, "u1", false),
            (#"{"user_id":"cafe\u0301"}"#, "caf\u{E9}", false), (#"{"user_id":"caf\u00e9"}"#, "caf\u{E9}", true),
            (#"{"user":"u1"}"#, "u1", true), (#"{"user_id":["u1"]}"#, "u1", true), (#"{"u1":1}"#, "u1", true),
            (#"["u1"]"#, "u1", true), (#"{"user":"u12"}"#, "u1", false), (#"{"user_id":"u1""#, "u1", true),
            (#"{"user_id":"u12""#, "u1", false), ("u1", "u1", true), ("u12", "u1", false), ("", "u1", false),
        ]
    )
    func named(text: String, user: String, isNamed: Bool) {
        #expect(FeedbackMessage.isNamed(User.ID(trusted: user), in: Array(text.utf8)) == isNamed)
    }
}

import RecommendationCore
import Serving
import Testing

@testable import HTTPAPI

@Suite("Routes of models")
struct ModelRouteTests {
    private static let rest =
        #""built_at":"2026-09-01T10:00:00.000Z","recipe":"g=.5","parameters":{},"first_event":null,"last_event":null,"#
        + #""interactions":20000000,"users":1000000,"items":50000,"bytes":9,"checksum":"0000000000000007","#
    private static let active =
        #"{"version":"m42","state":"active","percent":87.5,"# + rest
        + #""metrics":{"ndcg_at_10":0.21,"recall_at_10":0.5},"baseline":null}"#
    private static let building =
        #"{"version":"m43","state":"building","percent":0,"# + rest + #""metrics":{},"baseline":null}"#
    private static let standing =
        #""active":"m42","canary":{"version":"m41","percent":12.5},"previous":"m40","epoch":9020"#

    private static func post(_ port: Int, _ path: String, _ body: String?) async throws -> Reply {
        let type = body == nil ? [] : [("Content-Type", "application/json")]
        return try await request(port, "POST", path, headers: type, body: body)
    }

    @Test("models are listed with what serves, and shown one by one")
    func models() async throws {
        try await withServers { ports in
            let list = try await request(ports.admin, "GET", "/v1/admin/models")
            #expect(list.text == "{\(Self.standing),\"models\":[\(Self.active),\(Self.building)]}")
            let one = try await request(ports.admin, "GET", "/v1/admin/models/m43")
            #expect(one.text == Self.building)
            try await request(ports.admin, "GET", "/v1/admin/models/m1").expectProblem(404, "not_found")
            for name in ["42", "m", "m0", "m042", "m+42", "M42", "m42%20", "m99999999999999999999", "x"] {
                let allowed = "m and a number, for example m42"
                try await request(ports.admin, "GET", "/v1/admin/models/\(name)")
                    .expectProblem(422, "invalid_parameter", [Wrong("#/version", "invalid", allowed)])
            }
        }
    }

    @Test("a version comes with its parameters, its data and the version that it was compared with")
    func version() async throws {
        var canned = Canned().useCases
        canned.models.list = { _ throws(ServingError) in
            var version = ModelVersion.active
            version.parameters = ["p": 1.3, "a": 1]
            version.firstEvent = Timestamp(seconds: 0)
            version.lastEvent = Timestamp(seconds: 1_788_256_800)
            version.baseline = ModelBaseline(number: 41, metrics: ["ndcg_at_10": 0.2])
            return ([version], .initial)
        }
        try await withServers(canned) { ports in
            let text = try await request(ports.admin, "GET", "/v1/admin/models/m42").text
            #expect(text.contains(#""parameters":{"a":1.0,"p":1.3},"first_event":"1970-01-01T00:00:00.000Z","#))
            #expect(text.contains(#""last_event":"2026-09-01T10:00:00.000Z""#))
            #expect(text.hasSuffix(#""baseline":{"version":"m41","metrics":{"ndcg_at_10":0.2}}}"#))
        }
    }

    @Test("an activation says what serves, how it compares, and who is late")
    func activate() async throws {
        let canned = Canned()
        try await withServers(canned.useCases) { ports in
            func activate(_ version: String, _ body: String?) async throws -> Reply {
                try await Self.post(ports.admin, "/v1/admin/models/\(version):activate", body)
            }
            let all = try await activate("m42", nil)
            let rest = #""nodes_late":1,"propagated":true}"#
            #expect(all.text == "{\(Self.standing),\"comparison\":\"not_compared\",\(rest)")
            let forced = try await activate("m42", #"{"percent":0.29,"force":true}"#)
            #expect(forced.text.contains(#""comparison":"forced""#))
            let dry = try await activate("m42", #"{"percent":100,"dry_run":true}"#)
            #expect(dry.text == "{\"dry_run\":true,\(Self.standing),\"comparison\":\"not_compared\",\"nodes_late\":1}")
            try await activate("m9", nil).expectProblem(404, "not_found")
            for percent in ["0", "0.004", "100.1", "-1"] {
                try await activate("m42", #"{"percent":\#(percent)}"#)
                    .expectProblem(422, "invalid_parameter", [Wrong("#/percent", "out_of_range", "0.01..100")])
            }
            try await activate("m42", #"{"percent":"all"}"#)
                .expectProblem(422, "invalid_parameter", [Wrong("#/percent", "invalid", "a number")])
            try await activate("m42", #"{"share":1}"#)
                .expectProblem(
                    400,
                    "unknown_parameter",
                    [Wrong("#/share", "unknown_parameter", "percent|force|dry_run")]
                )
        }
        #expect(
            canned.last.modelCalls == [
                "activate 42 10000 false false of default", "activate 42 29 true false of default",
                "activate 42 10000 false true of default", "activate 9 10000 false false of default",
            ]
        )
    }

    @Test("a model that is too bad is refused with the figure, both values and the allowance")
    func guarded() async throws {
        try await withServers { ports in
            let reply = try await request(ports.admin, "POST", "/v1/admin/models/m44:activate")
            try reply.expectProblem(
                409,
                "model_guard",
                [Wrong("#/metrics/ndcg_at_10", "too_low", "0.105875 or more, or force")]
            )
            #expect(
                reply.text.contains(
                    #""metric":"ndcg_at_10","value":0.0912,"active":"m42","active_value":0.121,"allowance":0.125,"lowest":0.105875"#
                )
            )
            #expect(
                reply.text.contains("ndcg_at_10 is 0.0912, of m42 on the same events 0.121; 12.5 % less is allowed")
            )
        }
    }

    @Test("rollback, retirement and warming answer what came of them")
    func others() async throws {
        try await withServers { ports in
            func post(_ path: String) async throws -> Reply { try await request(ports.admin, "POST", path) }
            let back = try await post("/v1/admin/models/m42:rollback")
            #expect(back.text == "{\(Self.standing),\"propagated\":false}")
            try await post("/v1/admin/models/m41:rollback").expectProblem(409, "conflict")
            let retired = try await post("/v1/admin/models/m42:retire")
            #expect(retired.text == #"{"version":"m42","state":"retired","epoch":9021,"propagated":true}"#)
            try await post("/v1/admin/models/m9:retire").expectProblem(404, "not_found")
            let warm = try await post("/v1/admin/models/m42:warm")
            #expect(warm.status == 202)
            #expect(warm.text == #"{"version":"m42","loaded":1,"nodes":2}"#)
            try await post("/v1/admin/models/m9:warm").expectProblem(404, "not_found")
        }
    }

    @Test("a training is taken as a job that can be looked at")
    func train() async throws {
        let canned = Canned()
        try await withServers(canned.useCases) { ports in
            func train(_ body: String?) async throws -> Reply {
                try await Self.post(ports.admin, "/v1/admin/models:train", body)
            }
            let taken = try await train(nil)
            #expect(taken.status == 202)
            #expect(taken.text == #"{"job":"b7"}"#)
            #expect(try await train(#"{"recipe":"ease","activate":true,"force":true}"#).status == 202)
            try await train(#"{"recipe":"magic"}"#)
                .expectProblem(422, "invalid_parameter", [Wrong("#/recipe", "invalid", "product|ease")])
            try await train(#"{"force":true}"#)
                .expectProblem(422, "invalid_parameter", [Wrong("#/force", "invalid", "true only with activate")])
            let job = try await request(ports.admin, "GET", "/v1/admin/jobs/b7")
            #expect(
                job.text == #"{"job":"b7","state":"done","recipe":"ease","activate":true,"model":"m43","#
                    + #""reason":"not activated","created_at":"2026-09-01T10:00:00.000Z","#
                    + #""started_at":"2026-09-01T10:00:01.000Z","finished_at":null}"#
            )
            try await request(ports.admin, "GET", "/v1/admin/jobs/b8").expectProblem(404, "not_found")
            try await request(ports.admin, "GET", "/v1/admin/jobs/7")
                .expectProblem(
                    422,
                    "invalid_parameter",
                    [Wrong("#/job", "invalid", "b or w and a number, for example b7")]
                )
        }
        #expect(canned.last.modelCalls == ["train - false false of default", "train ease true true of default"])
    }
}

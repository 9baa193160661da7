import HTTPAPI
import RecommendationCore
import Serving
import Testing

@Suite("POST /v1/admin/precompute")
struct JobRouteTests {
    private static let path = "/v1/admin/precompute"

    @Test("a warming is taken as a job that can be looked at")
    func whole() async throws {
        let canned = Canned()
        try await withServers(canned.useCases) { ports in
            let body = #"{"surface":"home","users":"active_7d"}"#
            let taken = try await send(ports.admin, "POST", Self.path, body)
            #expect(taken.status == 202 && taken.text == #"{"job":"w3"}"#)
            #expect(canned.last.warmings.map(\.0) == ["home"] && canned.last.warmings.map(\.1) == [.default])
            let job = try await request(ports.admin, "GET", "/v1/admin/jobs/w3")
            #expect(
                job.text == #"{"job":"w3","state":"running","surface":"home","users":"active_7d","scheduled":true,"#
                    + #""total":120,"computed":30,"held":48,"failed":2,"reason":null,"#
                    + #""created_at":"2026-09-01T10:00:00.000Z","started_at":"2026-09-01T10:00:01.000Z","#
                    + #""finished_at":null}"#
            )
            try await request(ports.admin, "GET", "/v1/admin/jobs/w4").expectProblem(404, "not_found")
        }
    }

    @Test("what is missing, unknown or of no surface is pointed at")
    func invalid() async throws {
        try await withServers { ports in
            try await send(ports.admin, "POST", Self.path, #"{"users":"all"}"#).expectProblem(
                422,
                "invalid_parameter",
                [Wrong("#/surface", "required", nil), Wrong("#/users", "invalid", "active_7d")]
            )
            try await send(ports.admin, "POST", Self.path, #"{"surface":"shelf","users":"active_7d"}"#).expectProblem(
                422,
                "invalid_parameter",
                [Wrong("#/surface", "unknown_surface", "home")]
            )
            let unknown = try await send(ports.admin, "POST", Self.path, #"{"surface":"home","user":"u1"}"#)
            #expect(unknown.status == 400)
            for job in ["w0", "w03", "x3", "w", "3"] {
                #expect(try await request(ports.admin, "GET", "/v1/admin/jobs/\(job)").status == 422, "\(job)")
            }
        }
    }
}

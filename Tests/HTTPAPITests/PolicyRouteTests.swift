import HTTPAPI
import RecommendationCore
import Serving
import Testing

@Suite("Policy routes")
struct PolicyRouteTests {
    private static let policies = "/v1/admin/policies"

    @Test("a document is stored whole under its version; the same again is no error, and says that it was there")
    func put() async throws {
        let canned = Canned()
        try await withServers(canned.useCases) { ports in
            let reply = try await send(ports.admin, "PUT", Self.policies + "/p8", #"{"pool_size":50}"#)
            #expect(reply.status == 200)
            #expect(reply.text == #"{"version":"p8","created":true}"#)
            let (policy, tenant) = try #require(canned.last.policies.first)
            var expected = Policy.builtIn
            expected.version = "p8"
            expected.poolSize = 50
            #expect(policy == expected)
            #expect(tenant == .default)
            let again = try await send(ports.admin, "PUT", Self.policies + "/p7", "{}")
            #expect(again.text == #"{"version":"p7","created":false}"#)
        }
    }

    @Test("a bad document stores nothing, and all of its errors are said at once")
    func badDocument() async throws {
        let canned = Canned()
        try await withServers(canned.useCases) { ports in
            try await send(
                ports.admin,
                "PUT",
                Self.policies + "/p8",
                #"{"pool_size":1,"frequency_caps":[{"surface":"home","max":0,"per":"24h"}],"decisions":{"percent":101}}"#
            ).expectProblem(
                422,
                "invalid_parameter",
                [
                    Wrong("#/pool_size", "out_of_range", "10..1000"),
                    Wrong("#/decisions/percent", "out_of_range", "0..100"),
                    Wrong("#/frequency_caps/0/max", "out_of_range", "1..100"),
                ]
            )
            try await send(ports.admin, "PUT", Self.policies + "/p8", #"{"pool":1}"#).expectProblem(
                400,
                "unknown_parameter",
                [
                    Wrong(
                        "#/pool",
                        "unknown_parameter",
                        "weights|diversity|frequency_caps|seen_filter|event_weights|invalidating_events|"
                            + "half_life_days|ttl|pool_size|fallback|static_items|on_unverified|surfaces|exploration|"
                            + "eligibility|boosts|pins|surface_overrides|mmr|decisions"
                    )
                ]
            )
            try await send(ports.admin, "PUT", Self.policies + "/p8", #"{"ttl":{"soft_s":1,"soft_s":2}}"#)
                .expectProblem(400, "duplicate_key", [Wrong("#/ttl/soft_s", "duplicate_key", nil)])
            #expect(canned.last.policies.isEmpty)
        }
    }

    @Test(
        "a version is a plain name",
        arguments: [
            "a%7Cb", "a%20b", "%7Bx%7D", "*", "a%2Fb", "a%0Ab", "%F0%9F%9A%80", String(repeating: "v", count: 65),
        ]
    )
    func badVersions(_ version: String) async throws {
        let canned = Canned()
        try await withServers(canned.useCases) { ports in
            let wrong = [Wrong("#/version", "invalid", PlainName.allowed)]
            let path = Self.policies + "/" + version
            try await send(ports.admin, "PUT", path, "{}").expectProblem(422, "invalid_parameter", wrong)
            try await request(ports.admin, "GET", path).expectProblem(422, "invalid_parameter", wrong)
            for verb in [":activate", ":rollback"] {
                try await send(ports.admin, "POST", path + verb, "{}")
                    .expectProblem(422, "invalid_parameter", wrong)
            }
            #expect(canned.last.policies.isEmpty && canned.last.policyCalls.isEmpty)
        }
    }

    @Test("a policy is shown as the document that stores it, and one that is not there is 404")
    func get() async throws {
        try await withServers { ports in
            let reply = try await request(ports.admin, "GET", Self.policies + "/p0")
            #expect(reply.text == PolicyDocumentTests.whole)
            try await request(ports.admin, "GET", Self.policies + "/p99").expectProblem(404, "not_found")
        }
    }

    @Test("versions are listed, with what is in force and what was")
    func list() async throws {
        try await withServers { ports in
            let reply = try await request(ports.admin, "GET", Self.policies)
            #expect(
                reply.text == #"{"active":"p7","previous":"p6","canary":null,"epoch":9001,"policies":["#
                    + #"{"version":"p7","created_at":"2026-09-01T10:00:00.000Z","built_in":false},"#
                    + #"{"version":"p0","created_at":null,"built_in":true}]}"#
            )
        }
    }

    @Test("activation and rollback, with a body, without one, and as a dry run")
    func change() async throws {
        let canned = Canned()
        try await withServers(canned.useCases) { ports in
            let done = #"{"active":"p7","previous":"p6","canary":null,"epoch":9001,"propagated":true}"#
            let activate = Self.policies + "/p7:activate"
            for body in [#"{"percent":100}"#, "{}", #"{"percent":100.0,"dry_run":false}"#] {
                #expect(try await send(ports.admin, "POST", activate, body).text == done)
            }
            #expect(try await request(ports.admin, "POST", activate).text == done)
            #expect(
                try await send(ports.admin, "POST", activate, #"{"dry_run":true}"#).text
                    == #"{"dry_run":true,"active":"p7","canary":null}"#
            )
            let rollback = Self.policies + "/p7:rollback"
            #expect(
                try await request(ports.admin, "POST", rollback).text
                    == #"{"active":"p7","previous":"p6","canary":null,"epoch":9001,"propagated":false}"#
            )
            #expect(
                try await send(ports.admin, "POST", rollback, #"{"dry_run":true}"#).text
                    == #"{"dry_run":true,"active":"p6","canary":null}"#
            )
            try await request(ports.admin, "POST", Self.policies + "/p8:rollback").expectProblem(409, "conflict")
            try await request(ports.admin, "POST", Self.policies + "/missing:activate").expectProblem(404, "not_found")
            #expect(canned.last.policyCalls.suffix(4).first == "rollback p7 false of default")
        }
    }

    @Test(
        "no bytes are no body, whatever is said of them",
        arguments: [
            "", "Content-Length: 0\r\n", "Content-Type: application/json\r\n",
            "Content-Type: application/json\r\nContent-Length: 0\r\n",
            "Content-Type: application/json; charset=utf-8\r\nTransfer-Encoding: chunked\r\n",
            "Content-Type: text/plain\r\nContent-Length: 0\r\n", "Transfer-Encoding: chunked\r\n",
        ]
    )
    func emptyBody(_ headers: String) async throws {
        let canned = Canned()
        try await withServers(canned.useCases) { ports in
            func post(_ path: String, _ body: String) async throws -> Reply {
                try await onWire(ports.admin) { wire in
                    try wire.send("POST \(path) HTTP/1.1\r\nHost: test\r\n\(headers)\r\n\(body)")
                    return try wire.reply()
                }
            }
            let end = headers.contains("chunked") ? "0\r\n\r\n" : ""
            for verb in [":activate", ":rollback"] {
                let reply = try await post(Self.policies + "/p7" + verb, end)
                #expect(reply.status == 200, "\(reply.text)")
            }
            #expect(canned.last.policyCalls == ["activate p7 false of default", "rollback p7 false of default"])
        }
    }

    @Test("a body that is there has to be JSON, and one that may not be left out has to be there")
    func otherBodies() async throws {
        try await withServers { ports in
            let text = [("Content-Type", "text/plain")]
            try await request(ports.admin, "POST", Self.policies + "/p7:activate", headers: text, body: "{}")
                .expectProblem(415, "unsupported_media_type")
            try await request(ports.admin, "POST", Self.policies + "/p7:activate", body: "{}")
                .expectProblem(415, "unsupported_media_type")
            #expect(try await send(ports.admin, "POST", Self.policies + "/p7:activate", " ").status == 400)
            #expect(try await send(ports.admin, "PUT", Self.policies + "/p7", "").status == 400)
        }
    }

    @Test(
        "a share is a hundredth of a percent at least, and 100 percent at most",
        arguments: [
            (#"{"percent":0.004}"#, "#/percent", "out_of_range", "0.01..100"),
            (#"{"percent":-1}"#, "#/percent", "out_of_range", "0.01..100"),
            (#"{"percent":0}"#, "#/percent", "out_of_range", "0.01..100"),
            (#"{"percent":101}"#, "#/percent", "out_of_range", "0.01..100"),
            (#"{"percent":100.0001}"#, "#/percent", "out_of_range", "0.01..100"),
            (#"{"percent":0.0099}"#, "#/percent", "out_of_range", "0.01..100"),
            (#"{"percent":"100"}"#, "#/percent", "invalid", "a number"),
            (#"{"dry_run":1}"#, "#/dry_run", "invalid", "true|false"),
        ]
    )
    func badActivations(_ json: String, _ pointer: String, _ code: String, _ allowed: String) async throws {
        let canned = Canned()
        try await withServers(canned.useCases) { ports in
            try await send(ports.admin, "POST", Self.policies + "/p7:activate", json)
                .expectProblem(422, "invalid_parameter", [Wrong(pointer, code, allowed)])
            #expect(canned.last.policyCalls.isEmpty)
        }
    }

    @Test("the tenant is the key's, and the key needs the scope admin")
    func tenants() async throws {
        let canned = Canned()
        try await withServers(canned.useCases, authentication: true) { ports in
            func call(_ method: String, _ path: String, _ key: String) async throws -> Reply {
                let header = [("Authorization", "Bearer \(key)")]
                if method == "GET" { return try await request(ports.admin, method, path, headers: header) }
                return try await send(ports.admin, method, path, "{}", headers: header)
            }
            let calls = [
                ("GET", Self.policies), ("GET", Self.policies + "/p1"), ("PUT", Self.policies + "/p1"),
                ("POST", Self.policies + "/p1:activate"), ("POST", Self.policies + "/p7:rollback"),
            ]
            for (method, path) in calls {
                try await call(method, path, "writer").expectProblem(403, "missing_scope")
                try await call(method, path, "nobody").expectProblem(401, "unauthenticated")
            }
            #expect(canned.last.policies.isEmpty && canned.last.policyCalls.isEmpty)
            for (method, path) in calls { _ = try await call(method, path, "admin") }
            #expect(canned.last.policies.map(\.1) == [.acme])
            #expect(
                canned.last.policyCalls == [
                    "list of acme", "get p1 of acme", "activate p1 false of acme", "rollback p7 false of acme",
                ]
            )
            // They are no part of the public port.
            let header = [("Authorization", "Bearer admin")]
            try await request(ports.public, "GET", Self.policies, headers: header).expectProblem(404, "not_found")
        }
    }

    @Test("another method is answered with those that are allowed")
    func methods() async throws {
        try await withServers { ports in
            let reply = try await request(ports.admin, "DELETE", Self.policies + "/p8")
            try reply.expectProblem(405, "method_not_allowed")
            #expect(reply["allow"] == "GET, HEAD, PUT")
            let verb = try await request(ports.admin, "DELETE", Self.policies + "/p8:activate")
            try verb.expectProblem(405, "method_not_allowed")
            #expect(verb["allow"] == "POST, GET, HEAD, PUT")
        }
    }

    @Test("a part of the users is served by a canary, and the answer says which part")
    func canary() async throws {
        let canned = Canned()
        try await withServers(canned.useCases) { ports in
            let activate = Self.policies + "/p8:activate"
            let tenth = try await send(ports.admin, "POST", activate, #"{"percent":10}"#)
            #expect(
                tenth.text
                    == #"{"active":"p7","previous":"p6","canary":{"version":"p8","percent":10},"epoch":9001,"propagated":true}"#
            )
            let least = try await send(ports.admin, "POST", activate, #"{"percent":0.01,"dry_run":true}"#)
            #expect(least.text == #"{"dry_run":true,"active":"p7","canary":{"version":"p8","percent":0.01}}"#)
            #expect(
                canned.last.policyCalls == [
                    "activate p8 false for 1000 of default", "activate p8 true for 1 of default",
                ]
            )
        }
    }

    @Test("what is in force has an entity tag, and a change may be made to depend on it")
    func conditions() async throws {
        let canned = Canned()
        try await withServers(canned.useCases) { ports in
            let tag = try #require(try await request(ports.admin, "GET", Self.policies)["etag"])
            #expect(tag == "\"9001\"")
            for (path, status) in [("/p8:activate", 200), ("/p7:rollback", 200)] {
                for (condition, expected) in [
                    (tag, status), ("*", status), ("\"1\", \(tag)", status), ("\"9000\"", 412), ("W/\(tag)", 412),
                ] {
                    let reply = try await send(
                        ports.admin,
                        "POST",
                        Self.policies + path,
                        "{}",
                        headers: [("If-Match", condition)]
                    )
                    #expect(reply.status == expected, "\(path) \(condition): \(reply.text)")
                    if expected == 412 { try reply.expectProblem(412, "precondition_failed") }
                }
            }
            try await send(ports.admin, "POST", Self.policies + "/p8:activate", "{}", headers: [("If-Match", "9001")])
                .expectProblem(400, "malformed_header")
        }
    }

    @Test("a dry run says how lists would change")
    func dryRun() async throws {
        let canned = Canned()
        try await withServers(canned.useCases) { ports in
            let path = Self.policies + "/p8:dry_run"
            let expected =
                #"{"version":"p8","against":"p7","surface":"home","limit":10,"users":4,"changed_users":1,"changed_share":0.25,"#
                + #""items":{"in":2,"out":3,"moved":4,"kept":5},"#
                + #""before":{"short_lists":0,"filtered":{"policy":0,"diversity":7}},"#
                + #""after":{"short_lists":1,"filtered":{"policy":6,"diversity":0}},"#
                + #""examples":[{"user_id":"u1","before":["i1"],"after":["i2","i3"]}]}"#
            #expect(try await request(ports.admin, "POST", path).text == expected)
            #expect(
                try await send(ports.admin, "POST", path, #"{"users":1000,"surface":"email","limit":100}"#).status
                    == 200
            )
            #expect(canned.last.policyCalls == ["try p8 100 home 10 of default", "try p8 1000 email 100 of default"])
            try await request(ports.admin, "POST", Self.policies + "/missing:dry_run").expectProblem(404, "not_found")
            for (json, pointer, code, allowed) in [
                (#"{"users":0}"#, "#/users", "out_of_range", "1..1000"),
                (#"{"users":1001}"#, "#/users", "out_of_range", "1..1000"),
                (#"{"limit":101}"#, "#/limit", "out_of_range", "1..100"),
                (#"{"surface":".."}"#, "#/surface", "invalid", "1 to 64 of A-Za-z0-9._-, not dots alone"),
            ] {
                try await send(ports.admin, "POST", path, json)
                    .expectProblem(422, "invalid_parameter", [Wrong(pointer, code, allowed)])
            }
            try await send(ports.admin, "POST", path, #"{"user":1}"#)
                .expectProblem(400, "unknown_parameter", [Wrong("#/user", "unknown_parameter", "users|surface|limit")])
        }
    }

    @Test("a version is not named by dots alone", arguments: ["%2E%2E", "%2E", "...", "%2e%2e%2e%2e"])
    func dots(_ version: String) async throws {
        let canned = Canned()
        try await withServers(canned.useCases) { ports in
            for (method, verb) in [("PUT", ""), ("POST", ":activate"), ("POST", ":rollback"), ("POST", ":dry_run")] {
                try await send(ports.admin, method, Self.policies + "/\(version)\(verb)", "{}").expectProblem(
                    422,
                    "invalid_parameter",
                    [Wrong("#/version", "invalid", "1 to 64 of A-Za-z0-9._-, not dots alone")]
                )
            }
            #expect(canned.last.policies.isEmpty && canned.last.policyCalls.isEmpty)
        }
    }
}

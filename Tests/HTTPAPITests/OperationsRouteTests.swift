import HTTPAPI
import InMemoryLogging
import Serving
import Testing

@Suite("Operations and routes")
struct OperationsRouteTests {
    @Test("operations take no key")
    func noKey() async throws {
        try await withServers(authentication: true) { ports in
            let live = try await request(ports.admin, "GET", "/livez")
            #expect(live.status == 200)
            #expect(live.text == #"{"status":"ok"}"#)
            let ready = try await request(ports.admin, "GET", "/readyz")
            #expect(ready.status == 200)
            #expect(ready.text == #"{"ready":true,"degraded":["redis"]}"#)
            let metrics = try await request(ports.admin, "GET", "/metrics")
            #expect(metrics.status == 200)
            #expect(metrics["content-type"] == "text/plain; version=0.0.4")
            #expect(metrics.text == "vireo_up 1\n")
        }
    }

    @Test("a node that is not ready says what it waits for")
    func notReady() async throws {
        var useCases = Canned().useCases
        useCases.readiness = { Readiness(ready: false, waitingFor: ["control", "snapshot"], degraded: []) }
        try await withServers(useCases) { ports in
            let reply = try await request(ports.admin, "GET", "/readyz")
            try reply.expectProblem(503, "not_ready")
            #expect(reply["retry-after"] == "1")
            #expect(reply.text.contains(#""waiting_for":["control","snapshot"],"degraded":[]"#))
            #expect(try await request(ports.admin, "GET", "/livez").status == 200)
        }
    }

    @Test("each port has its own routes; the others are not found, key or not")
    func ports() async throws {
        try await withServers(authentication: true) { ports in
            for path in ["/livez", "/readyz", "/metrics", "/v1/admin/models", "/v1/admin/policies", "/", "/v2", "*"] {
                try await request(ports.public, "GET", path).expectProblem(404, "not_found")
            }
            for path in ["/v1/recommendations/u1", "/v1/feedback", "/v1/admin/nothing/p1"] {
                try await request(ports.admin, "GET", path).expectProblem(404, "not_found")
            }
        }
    }

    @Test(
        "a known path with another method says which are allowed",
        arguments: [
            ("/v1/recommendations/u1", "PUT", "GET, HEAD, POST", false), ("/v1/feedback", "GET", "POST", false),
            ("/v1/feedback", "HEAD", "POST", false), ("/v1/feedback", "OPTIONS", "POST", false),
            ("/v1/admin/tombstones", "PUT", "GET, HEAD, POST, DELETE", true), ("/livez", "POST", "GET, HEAD", true),
            ("/v1/admin/purge", "DELETE", "POST", true),
        ]
    )
    func otherMethods(_ path: String, _ method: String, _ allow: String, _ isAdmin: Bool) async throws {
        try await withServers { ports in
            let reply = try await request(isAdmin ? ports.admin : ports.public, method, path)
            #expect(reply.status == 405)
            #expect(reply["allow"] == allow)
            if method != "HEAD" { try reply.expectProblem(405, "method_not_allowed") }
        }
    }

    @Test("every GET of the admin port answers HEAD", arguments: ["/livez", "/readyz", "/metrics", "/v1/admin/models"])
    func head(_ path: String) async throws {
        try await withServers { ports in
            let reply = try await request(ports.admin, "HEAD", path)
            #expect(reply.status == 200)
            #expect(reply["content-length"] != "0")
        }
    }
}

@Suite("Authentication")
struct AuthenticationTests {
    private static func get(_ port: Int, _ authorization: String?) async throws -> Reply {
        let headers = authorization.map { [("Authorization", $0)] } ?? []
        return try await request(port, "GET", "/v1/recommendations/u1", headers: headers)
    }

    @Test(
        "without a valid key there is 401",
        arguments: [
            nil, "", "Bearer", "Bearer ", "Basic reader", "reader", "Bearer a b", "Bearer nobody", "Bearer reader,x",
        ]
    )
    func unauthenticated(_ authorization: String?) async throws {
        try await withServers(authentication: true) { ports in
            let reply = try await Self.get(ports.public, authorization)
            try reply.expectProblem(401, "unauthenticated")
            #expect(reply["www-authenticate"] == "Bearer")
        }
    }

    @Test("two keys are no key")
    func twoKeys() async throws {
        try await withServers(authentication: true) { ports in
            let headers = [("Authorization", "Bearer reader"), ("Authorization", "Bearer reader")]
            let reply = try await request(ports.public, "GET", "/v1/recommendations/u1", headers: headers)
            try reply.expectProblem(401, "unauthenticated")
        }
    }

    @Test("a key acts for its tenant, within its scopes; the scheme is in any case")
    func scopes() async throws {
        let canned = Canned()
        try await withServers(canned.useCases, authentication: true) { ports in
            #expect(try await Self.get(ports.public, "bearer  reader").status == 200)
            #expect(canned.last.recommendations.last?.tenant == .acme)
            let refused = try await Self.get(ports.public, "Bearer writer")
            try refused.expectProblem(403, "missing_scope")
            #expect(try refused.json["detail"]?.text == "the key lacks the scope read")
            let event = #"{"user_id":"u1","item_id":"i1","type":"view"}"#
            for (key, status) in [("reader", 403), ("admin", 403), ("writer", 200)] {
                let headers = [("Authorization", "Bearer \(key)")]
                let reply = try await send(ports.public, "POST", "/v1/feedback", event, headers: headers)
                #expect(reply.status == status)
            }
            #expect(canned.last.feedback.last?.1 == .acme)
            let headers = [("Authorization", "Bearer writer")]
            try await request(ports.admin, "GET", "/v1/admin/models", headers: headers)
                .expectProblem(403, "missing_scope")
        }
    }

    @Test("a key that is too long is not looked at")
    func longKey() async throws {
        let canned = Canned()
        try await withServers(canned.useCases, authentication: true) { ports in
            let key = String(repeating: "k", count: 513)
            try await Self.get(ports.public, "Bearer \(key)").expectProblem(401, "unauthenticated")
            #expect(canned.last.presentedKeys.isEmpty)
        }
    }

    @Test("no key is in a log or an answer")
    func secrecy() async throws {
        try await withServers(authentication: true) { ports in
            for key in ["s3cr3t-unknown", "writer"] {
                let reply = try await Self.get(ports.public, "Bearer \(key)")
                #expect(reply.status > 400)
                #expect(!reply.text.contains(key))
                #expect(!reply.headers.contains { $0.value.contains(key) })
                #expect(!ports.logs.entries.contains { "\($0)".contains(key) })
            }
        }
    }
}

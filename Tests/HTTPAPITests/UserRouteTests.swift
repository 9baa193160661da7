import HTTPAPI
import RecommendationCore
import Serving
import Testing

@Suite("User routes")
struct UserRouteTests {
    private static let answer = #"{"user_id":"u1","user_version":120,"propagated":true}"#

    @Test("a profile is taken whole")
    func profile() async throws {
        let canned = Canned()
        try await withServers(canned.useCases) { ports in
            let json = #"{"labels":{"country":"DE"},"preferred_categories":["scifi","a/b"]}"#
            #expect(try await send(ports.public, "PUT", "/v1/users/u1", json).text == Self.answer)
            let (change, user, tenant) = try #require(canned.last.userChanges.first)
            #expect(
                change == .profile(Profile(labels: ["country": "DE"], preferredCategories: ["scifi", "a/b"]))
            )
            #expect(user == User.ID(trusted: "u1"))
            #expect(tenant == .default)
            #expect(try await send(ports.public, "PUT", "/v1/users/u1", "{}").status == 200)
            #expect(canned.last.userChanges.last?.0 == .profile(Profile()))
        }
    }

    @Test("a user is read whole; one nobody has heard of is not found")
    func read() async throws {
        try await withServers { ports in
            #expect(
                try await request(ports.public, "GET", "/v1/users/u1").text
                    == #"{"user_id":"u1","labels":{"country":"DE"},"preferred_categories":["scifi"],"#
                    + #""consent":{"personalization":false},"suppressions":[{"kind":"item","key":"i7"},"#
                    + #"{"kind":"category","key":"a/b"}],"user_version":118}"#
            )
            #expect(
                try await request(ports.public, "GET", "/v1/users/u1/suppressions").text
                    == #"{"user_id":"u1","suppressions":[{"kind":"item","key":"i7"},{"kind":"category","key":"a/b"}],"#
                    + #""user_version":118}"#
            )
            for target in ["/v1/users/nobody", "/v1/users/nobody/suppressions"] {
                try await request(ports.public, "GET", target).expectProblem(404, "not_found")
            }
        }
    }

    @Test("consent is given and taken")
    func consent() async throws {
        let canned = Canned()
        try await withServers(canned.useCases) { ports in
            for value in [true, false] {
                let json = #"{"personalization":\#(value)}"#
                let reply = try await send(ports.public, "PUT", "/v1/users/u1/consent", json)
                #expect(reply.text == Self.answer)
                #expect(canned.last.userChanges.last?.0 == .consent(value))
            }
        }
    }

    @Test("suppressions come and go, of each kind")
    func suppressions() async throws {
        let canned = Canned()
        try await withServers(canned.useCases) { ports in
            for kind in Suppression.Kind.allCases {
                let target = "/v1/users/u1/suppressions/\(kind.rawValue)/a%2Fb"
                let suppression = Suppression(kind: kind, key: Identifier(trusted: "a/b"))
                #expect(try await request(ports.public, "PUT", target).text == Self.answer)
                #expect(canned.last.userChanges.last?.0 == .suppress(suppression))
                #expect(try await request(ports.public, "DELETE", target).text == Self.answer)
                #expect(canned.last.userChanges.last?.0 == .unsuppress(suppression))
            }
            try await request(ports.public, "DELETE", "/v1/users/nobody/suppressions/item/i7")
                .expectProblem(404, "not_found")
            try await request(ports.public, "PUT", "/v1/users/full/suppressions/item/i7")
                .expectProblem(409, "too_many_suppressions")
            try await request(ports.public, "PUT", "/v1/users/u1/suppressions/campaign/a%0Ab")
                .expectProblem(
                    422,
                    "invalid_parameter",
                    [
                        Wrong("#/kind", "invalid", "item|category|creator"),
                        Wrong("#/key", "invalid", Wrong.identifier),
                    ]
                )
        }
    }

    @Test("a reset is a verb; an id that ends like one is itself")
    func reset() async throws {
        let canned = Canned()
        try await withServers(canned.useCases) { ports in
            #expect(try await request(ports.public, "POST", "/v1/users/u1:reset").text == Self.answer)
            #expect(canned.last.userChanges.last?.0 == .reset)
            #expect(canned.last.userChanges.last?.1 == User.ID(trusted: "u1"))
            try await request(ports.public, "POST", "/v1/users/u2:reset").expectProblem(404, "not_found")
            _ = try await send(ports.public, "PUT", "/v1/users/u1:reset", "{}")
            #expect(canned.last.userChanges.last?.1 == User.ID(trusted: "u1:reset"))
            try await request(ports.public, "POST", "/v1/users/u1%3Areset:reset").expectProblem(404, "not_found")
            #expect(canned.last.userChanges.last?.1 == User.ID(trusted: "u1:reset"))
            let wrong = try await request(ports.public, "POST", "/v1/users/u1")
            try wrong.expectProblem(405, "method_not_allowed")
            #expect(wrong["allow"] == "GET, HEAD, PUT, DELETE")
            let nameless = try await request(ports.public, "POST", "/v1/users/:reset")
            try nameless.expectProblem(405, "method_not_allowed")
        }
    }

    @Test(
        "what is wrong is named, and nothing is changed",
        arguments: [
            (
                "/v1/users/u1", #"{"name":"x"}"#, 400, "unknown_parameter",
                [Wrong("#/name", "unknown_parameter", "labels|preferred_categories")]
            ),
            (
                "/v1/users/u1", #"{"labels":{"a":7},"preferred_categories":["",7]}"#, 422, "invalid_parameter",
                [
                    Wrong("#/labels/a", "invalid", "a string of up to 1024 bytes without U+0000"),
                    Wrong("#/preferred_categories/0", "invalid", Wrong.identifier),
                    Wrong("#/preferred_categories/1", "invalid", Wrong.identifier),
                ]
            ),
            ("/v1/users/u1", "7", 422, "invalid_parameter", [Wrong("#", "invalid", "one user object")]),
            (
                "/v1/users/u1/consent", "{}", 422, "invalid_parameter",
                [Wrong("#/personalization", "required", nil)]
            ),
            (
                "/v1/users/u1/consent", #"{"personalization":"no"}"#, 422, "invalid_parameter",
                [Wrong("#/personalization", "invalid", "true|false")]
            ),
            (
                "/v1/users/u1/consent", #"{"personalization":true,"tracking":false}"#, 400, "unknown_parameter",
                [Wrong("#/tracking", "unknown_parameter", "personalization")]
            ),
        ] as [(String, String, Int, String, [Wrong])]
    )
    func badInput(_ target: String, _ json: String, _ status: Int, _ code: String, _ errors: [Wrong]) async throws {
        let canned = Canned()
        try await withServers(canned.useCases) { ports in
            try await send(ports.public, "PUT", target, json).expectProblem(status, code, errors)
            #expect(canned.last.userChanges.isEmpty)
        }
    }

    @Test(
        "an id is the bytes that were sent, on every route",
        arguments: [
            ("a%7Cb", "a|b"), ("%7Bx%7D", "{x}"), ("*", "*"), ("a%2Fb", "a/b"), ("%F0%9F%9A%80", "\u{1F680}"),
            ("cafe%CC%81", "cafe\u{301}"), ("default%2Fu1", "default/u1"),
        ]
    )
    func hostileIDs(_ sent: String, _ id: String) async throws {
        let canned = Canned()
        try await withServers(canned.useCases) { ports in
            _ = try await send(ports.public, "PUT", "/v1/users/\(sent)", "{}")
            _ = try await send(ports.public, "PUT", "/v1/users/\(sent)/consent", #"{"personalization":true}"#)
            _ = try await request(ports.public, "PUT", "/v1/users/\(sent)/suppressions/item/\(sent)")
            _ = try await request(ports.public, "POST", "/v1/users/\(sent):reset")
            #expect(canned.last.userChanges.map(\.1) == Array(repeating: User.ID(trusted: id), count: 4))
            #expect(canned.last.userChanges[2].0 == .suppress(Suppression(kind: .item, key: Identifier(trusted: id))))
            _ = try await request(ports.admin, "GET", "/v1/admin/cache/\(sent)")
            #expect(canned.last.inspected.last?.0 == User.ID(trusted: id))
            for bad in ["a%0Ab", String(repeating: "x", count: 129)] {
                for (port, method, target) in [
                    (ports.public, "GET", "/v1/users/\(bad)"), (ports.public, "GET", "/v1/users/\(bad)/suppressions"),
                    (ports.public, "PUT", "/v1/users/\(bad)/suppressions/item/i"),
                    (ports.public, "POST", "/v1/users/\(bad):reset"), (ports.admin, "GET", "/v1/admin/cache/\(bad)"),
                ] {
                    try await request(port, method, target)
                        .expectProblem(422, "invalid_parameter", [Wrong("#/user_id", "invalid", Wrong.identifier)])
                }
            }
        }
    }

    @Test("what the caches hold of a user is for admin keys, of their tenant, on the admin port")
    func inspection() async throws {
        let canned = Canned()
        try await withServers(canned.useCases, authentication: true) { ports in
            let admin = [("Authorization", "Bearer admin")]
            let reply = try await request(ports.admin, "GET", "/v1/admin/cache/u1", headers: admin)
            #expect(
                reply.text == #"{"user_id":"u1","floor":118,"entries":[{"tier":"l1","field":"home|m1|p0|||0","#
                    + #""bytes":900,"readable":true,"age_ms":412,"user_version":118,"fresh_for_ms":-5,"#
                    + #""servable_for_ms":1000},{"tier":"l2","field":"home|m0|p0|||0","bytes":3,"readable":false}],"#
                    + #""degraded":[]}"#
            )
            #expect(canned.last.inspected.first?.1 == .acme)
            let writer = [("Authorization", "Bearer writer")]
            try await request(ports.admin, "GET", "/v1/admin/cache/u1", headers: writer)
                .expectProblem(403, "missing_scope")
            try await request(ports.public, "GET", "/v1/admin/cache/u1", headers: admin)
                .expectProblem(404, "not_found")
            try await request(ports.public, "GET", "/v1/users/u1", headers: admin).expectProblem(403, "missing_scope")
        }
    }
}

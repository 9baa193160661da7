import HTTPAPI
import RecommendationCore
import Serving
import Testing

@Suite("Admin routes")
struct AdminRouteTests {
    private static let tombstones = "/v1/admin/tombstones"
    private static let purge = "/v1/admin/purge"

    @Test("tombstones are added, with their reason and end")
    func add() async throws {
        let canned = Canned()
        try await withServers(canned.useCases) { ports in
            let reply = try await send(
                ports.admin,
                "POST",
                Self.tombstones,
                #"{"kind":"creator","ids":["c1","caf\u00e9","cafe\u0301"],"reason":"legal","expires_at":"2027-01-01T00:00:00Z"}"#
            )
            #expect(reply.text == #"{"epoch":9012,"added":1,"already":0,"propagated":true}"#)
            let (tombstones, reason, expiresAt, tenant) = try #require(canned.last.added.first)
            #expect(
                tombstones
                    == ["c1", "caf\u{E9}", "cafe\u{301}"].map {
                        Tombstone(kind: .creator, key: Identifier(trusted: $0))
                    }
            )
            #expect(reason == "legal")
            #expect(expiresAt == Timestamp(rfc3339: "2027-01-01T00:00:00Z"))
            #expect(tenant == .default)
        }
    }

    @Test("tombstones are taken away by the same document, even one that has expired")
    func remove() async throws {
        let canned = Canned()
        try await withServers(canned.useCases) { ports in
            let reply = try await send(
                ports.admin,
                "DELETE",
                Self.tombstones,
                #"{"kind":"item","ids":["i7"],"reason":null,"expires_at":"2020-01-01T00:00:00Z"}"#
            )
            #expect(reply.text == #"{"epoch":9013,"removed":2,"absent":3,"propagated":false}"#)
            #expect(canned.last.removed.first?.0 == [Tombstone(kind: .item, key: Identifier(trusted: "i7"))])
        }
    }

    @Test("tombstones are listed by pages, all or of one kind")
    func list() async throws {
        let canned = Canned()
        try await withServers(canned.useCases) { ports in
            let cursor = TombstoneCursor.text(after: .legal)
            let reply = try await request(ports.admin, "GET", Self.tombstones)
            #expect(
                reply.text == #"{"tombstones":[{"kind":"item","id":"i7","reason":"legal","expires_at":null,"#
                    + #""epoch":9012,"created_at":"2026-09-01T10:00:00.000Z"}],"next_cursor":"\#(cursor)"}"#
            )
            _ = try await request(ports.admin, "GET", Self.tombstones + "?kind=campaign&limit=1000&cursor=\(cursor)")
            #expect(canned.last.listed.map(\.kind) == [nil, .campaign])
            #expect(canned.last.listed.map(\.limit) == [100, 1_000])
            #expect(canned.last.listed.map(\.cursor) == [nil, cursor])
            try await request(ports.admin, "GET", Self.tombstones + "?kind=user&limit=0").expectProblem(
                422,
                "invalid_parameter",
                [
                    Wrong("#/limit", "out_of_range", "1..1000"),
                    Wrong("#/kind", "invalid", "item|creator|category|campaign"),
                ]
            )
            for cursor in ["", "t1.", "i1.aTc", "t1.\(cursor)", String(cursor.dropLast(2)) + "__"] {
                try await request(ports.admin, "GET", Self.tombstones + "?cursor=\(cursor)").expectProblem(
                    422,
                    "invalid_parameter",
                    [Wrong("#/cursor", "invalid", "the next_cursor of an answer")]
                )
            }
        }
    }

    @Test(
        "bad tombstones are refused",
        arguments: [
            ("{}", 422, [Wrong("#/kind", "required", nil), Wrong("#/ids", "required", nil)]),
            (
                #"{"kind":"user","ids":"i7"}"#, 422,
                [
                    Wrong("#/kind", "invalid", "item|creator|category|campaign"),
                    Wrong("#/ids", "invalid", "an array of 1 to 100000 ids"),
                ]
            ),
            (#"{"kind":"item","ids":[]}"#, 422, [Wrong("#/ids", "invalid", "an array of 1 to 100000 ids")]),
            (
                #"{"kind":"item","ids":["a","",7,"b\n"],"reason":1,"expires_at":0}"#, 422,
                [
                    Wrong("#/ids/1", "invalid", Wrong.identifier), Wrong("#/ids/2", "invalid", Wrong.identifier),
                    Wrong("#/ids/3", "invalid", Wrong.identifier),
                    Wrong("#/reason", "invalid", "a string of up to 1024 bytes without U+0000"),
                    Wrong("#/expires_at", "invalid", "an RFC 3339 time, for example 2026-09-01T10:00:00Z"),
                ]
            ),
            (
                #"{"kind":"item","ids":["a"],"expires_at":"2026-09-01T10:00:00Z"}"#, 422,
                [
                    Wrong("#/expires_at", "out_of_range", "a time to come")
                ]
            ),
            (
                #"{"kind":"item","ids":["a"],"dry_run":true}"#, 400,
                [
                    Wrong("#/dry_run", "unknown_parameter", "kind|ids|reason|expires_at")
                ]
            ),
        ] as [(String, Int, [Wrong])]
    )
    func badTombstones(_ json: String, _ status: Int, _ errors: [Wrong]) async throws {
        let canned = Canned()
        try await withServers(canned.useCases) { ports in
            let code = status == 400 ? "unknown_parameter" : "invalid_parameter"
            try await send(ports.admin, "POST", Self.tombstones, json).expectProblem(status, code, errors)
            #expect(canned.last.added.isEmpty)
        }
    }

    @Test("a hundred thousand ids of any length are taken, one more is not, and of many errors the first are said")
    func manyIDs() async throws {
        let canned = Canned()
        try await withServers(canned.useCases) { ports in
            func json(_ count: Int, _ id: String) -> String {
                #"{"kind":"item","ids":["# + [String](repeating: id, count: count).joined(separator: ",") + "]}"
            }
            let long = "\"" + String(repeating: "a", count: 128) + "\""
            #expect(try await send(ports.admin, "POST", Self.tombstones, json(100_000, #""a""#)).status == 200)
            #expect(canned.last.added.first?.0.count == 100_000)
            #expect(try await send(ports.admin, "POST", Self.tombstones, json(10_000, long)).status == 200)
            #expect(try await send(ports.admin, "POST", Self.tombstones, json(100_001, #""a""#)).status == 422)
            // Other routes take no more than they did.
            #expect(try await send(ports.admin, "POST", "/v1/admin/purge", json(10_000, long)).status == 413)
            let errors = (0..<20).map { Wrong("#/ids/\($0)", "invalid", Wrong.identifier) }
            try await send(ports.admin, "POST", Self.tombstones, json(1_000, "1"))
                .expectProblem(422, "invalid_parameter", errors)
        }
    }

    @Test(
        "each scope of a purge arrives",
        arguments: [
            (
                #"{"scope":"user","id":"u1"}"#, PurgeScope.user(User.ID(trusted: "u1")), false,
                #"{"user_version":121,"propagated":true}"#
            ),
            (
                #"{"scope":"surface","id":"home","dry_run":false}"#, .surface("home"), false,
                #"{"epoch":9013,"generation":9013,"propagated":true}"#
            ),
            (#"{"scope":"model","id":"m42","dry_run":true}"#, .model("m42"), true, #"{"dry_run":true}"#),
            (
                #"{"scope":"policy","id":"p7","dry_run":null}"#, .policy("p7"), false,
                #"{"epoch":9013,"generation":9013,"propagated":true}"#
            ),
            (#"{"scope":"tenant"}"#, .tenant(.default), false, #"{"epoch":9013,"generation":9013,"propagated":true}"#),
        ] as [(String, PurgeScope, Bool, String)]
    )
    func purges(_ json: String, _ scope: PurgeScope, _ dryRun: Bool, _ expected: String) async throws {
        let canned = Canned()
        try await withServers(canned.useCases) { ports in
            let reply = try await send(ports.admin, "POST", Self.purge, json)
            #expect(reply.text == expected)
            #expect(canned.last.purges.map(\.0) == [scope])
            #expect(canned.last.purges.map(\.1) == [dryRun])
            #expect(canned.last.purges.map(\.2) == [.default])
        }
    }

    @Test("a purge of a user without a row says version 0")
    func purgeOfNobody() async throws {
        var useCases = Canned().useCases
        useCases.purge = { _, _, _ throws(ServingError) in .nothing }
        try await withServers(useCases) { ports in
            let reply = try await send(ports.admin, "POST", Self.purge, #"{"scope":"user","id":"nobody"}"#)
            #expect(reply.text == #"{"user_version":0,"propagated":true}"#)
        }
    }

    @Test(
        "bad purges are refused",
        arguments: [
            ("{}", [Wrong("#/scope", "required", nil)]),
            (
                #"{"scope":"all","id":""}"#,
                [
                    Wrong("#/scope", "invalid", "user|surface|model|policy|tenant"),
                    Wrong("#/id", "invalid", Wrong.identifier),
                ]
            ),
            (#"{"scope":"user"}"#, [Wrong("#/id", "required", nil)]),
            (#"{"scope":"user","id":"u1","dry_run":"yes"}"#, [Wrong("#/dry_run", "invalid", "true|false")]),
        ]
    )
    func badPurges(_ json: String, _ errors: [Wrong]) async throws {
        let canned = Canned()
        try await withServers(canned.useCases) { ports in
            try await send(ports.admin, "POST", Self.purge, json).expectProblem(422, "invalid_parameter", errors)
            #expect(canned.last.purges.isEmpty)
        }
    }

    @Test("only a key of the fleet purges another tenant, and it names one")
    func purgeOfATenant() async throws {
        let canned = Canned()
        try await withServers(canned.useCases, authentication: true) { ports in
            func purge(_ key: String, _ json: String) async throws -> Reply {
                try await send(ports.admin, "POST", Self.purge, json, headers: [("Authorization", "Bearer \(key)")])
            }
            try await purge("admin", #"{"scope":"tenant","id":"other"}"#).expectProblem(403, "fleet_only")
            #expect(try await purge("admin", #"{"scope":"tenant","id":"acme"}"#).status == 200)
            #expect(try await purge("admin", #"{"scope":"tenant"}"#).status == 200)
            #expect(try await purge("fleet", #"{"scope":"tenant","id":"other"}"#).status == 200)
            try await purge("fleet", #"{"scope":"tenant"}"#)
                .expectProblem(422, "invalid_parameter", [Wrong("#/id", "required", nil)])
            let other = Tenant.ID(trusted: "other")
            #expect(canned.last.purges.map(\.0) == [.tenant(.acme), .tenant(.acme), .tenant(other)])
            #expect(canned.last.purges.map(\.2) == [.acme, .acme, other])
        }
    }

    @Test("nodes are listed for the fleet's keys only")
    func nodes() async throws {
        let expected =
            #"{"nodes":[{"id":"n1","started_at":"2026-09-01T10:00:00.000Z","version":"0.1.0","lease_age_ms":80,"#
            + #""control_applied":9013,"model":"m42","policy":"p7","l1":{"entries":1,"bytes":900}}]}"#
        try await withServers(authentication: true) { ports in
            func nodes(_ key: String) async throws -> Reply {
                try await request(ports.admin, "GET", "/v1/admin/nodes", headers: [("Authorization", "Bearer \(key)")])
            }
            #expect(try await nodes("fleet").text == expected)
            try await nodes("admin").expectProblem(403, "fleet_only")
            try await nodes("reader").expectProblem(403, "missing_scope")
        }
        try await withServers { ports in
            let reply = try await request(ports.admin, "GET", "/v1/admin/nodes")
            #expect(reply.text == expected)
        }
    }
}

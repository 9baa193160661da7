import RecommendationCore
import Serving
import Testing

@testable import HTTPAPI

/// `wait=all`, and how far a change has come.
@Suite("Waiting for all nodes")
struct WaitRouteTests {
    private struct Change {
        let isAdmin: Bool
        let method: String
        let path: String
        let body: String
        /// What is waited for; nil: nothing is.
        var epoch: Int64?
        var isComplete = true
    }

    private static let changes = [
        Change(
            isAdmin: true,
            method: "POST",
            path: "/v1/admin/tombstones",
            body: #"{"kind":"item","ids":["a"]}"#,
            epoch: 9012
        ),
        Change(
            isAdmin: true,
            method: "DELETE",
            path: "/v1/admin/tombstones",
            body: #"{"kind":"item","ids":["a"]}"#,
            epoch: 9013,
            isComplete: false
        ),
        Change(
            isAdmin: true,
            method: "POST",
            path: "/v1/admin/purge",
            body: #"{"scope":"tenant"}"#,
            epoch: 9013
        ),
        Change(isAdmin: true, method: "POST", path: "/v1/admin/purge", body: #"{"scope":"user","id":"u1"}"#),
        Change(isAdmin: true, method: "POST", path: "/v1/admin/policies/p8:activate", body: "{}", epoch: 9001),
        Change(
            isAdmin: true,
            method: "POST",
            path: "/v1/admin/policies/p7:rollback",
            body: "{}",
            epoch: 9001,
            isComplete: false
        ),
        Change(isAdmin: false, method: "PUT", path: "/v1/items/i7", body: #"{"title":"Alien"}"#),
        Change(
            isAdmin: false,
            method: "PATCH",
            path: "/v1/items/i7",
            body: #"{"hidden":true}"#,
            isComplete: false
        ),
        Change(isAdmin: false, method: "DELETE", path: "/v1/items/i7", body: "", epoch: 9014),
    ]

    private static func bearer(_ key: String) -> [(String, String)] { [("Authorization", "Bearer \(key)")] }

    @Test("every change that nodes serve by can wait: 200 when it is everywhere, 202 when that is not known")
    func changes() async throws {
        for change in Self.changes {
            let canned = Canned()
            try await withServers(canned.useCases) { ports in
                let port = change.isAdmin ? ports.admin : ports.public
                let plain = try await send(port, change.method, change.path, change.body)
                #expect(plain.status == 200, "\(change)")
                #expect(!plain.text.contains("complete"), "\(change)")
                #expect(canned.last.waits.isEmpty, "\(change)")
                let waited = try await send(port, change.method, change.path + "?wait=all", change.body)
                #expect(waited.status == (change.isComplete ? 200 : 202), "\(change)")
                let members = #""propagated":\#(change.isComplete),"complete":\#(change.isComplete)}"#
                #expect(waited.text == plain.text.dropLast(plain.text.split(separator: ",").last!.count) + members)
                let wait = try #require(canned.last.waits.first)
                #expect(wait.epoch == change.epoch, "\(change)")
                #expect(canned.last.waits.count == 1)
            }
        }
    }

    @Test("any other word is refused before anything is changed")
    func words() async throws {
        let canned = Canned()
        try await withServers(canned.useCases) { ports in
            for change in Self.changes {
                let port = change.isAdmin ? ports.admin : ports.public
                for word in ["one", "", "ALL", "all%00"] {
                    try await send(port, change.method, "\(change.path)?wait=\(word)", change.body)
                        .expectProblem(422, "invalid_parameter", [Wrong("#/wait", "invalid", "all")])
                }
                let twice = try await send(port, change.method, "\(change.path)?wait=all&wait=all", change.body)
                #expect(twice.status == 400)
            }
            let last = canned.last
            #expect(last.added.isEmpty && last.removed.isEmpty && last.purges.isEmpty && last.items.isEmpty)
            #expect(last.patches.isEmpty && last.deletions.isEmpty && last.policyCalls.isEmpty)
        }
    }

    @Test("a dry run has nothing to wait for; a user who is not there is served nowhere")
    func nothing() async throws {
        let canned = Canned()
        var useCases = canned.useCases
        useCases.purge = { _, _, _ in .nothing }
        try await withServers(useCases) { ports in
            let path = "/v1/admin/purge?wait=all"
            let dry = try await send(ports.admin, "POST", path, #"{"scope":"tenant","dry_run":true}"#)
            #expect(dry.status == 200 && dry.text == #"{"dry_run":true}"#)
            let nobody = try await send(ports.admin, "POST", path, #"{"scope":"user","id":"nobody"}"#)
            #expect(nobody.text == #"{"user_version":0,"propagated":true,"complete":true}"#)
            #expect(canned.last.waits.isEmpty)
        }
    }

    @Test("how far a change has come: of one's own tenant, with a key of the fleet of any")
    func epochs() async throws {
        let canned = Canned()
        try await withServers(canned.useCases, authentication: true) { ports in
            let own = try await request(ports.admin, "GET", "/v1/admin/epochs/9012", headers: Self.bearer("admin"))
            #expect(
                own.text == #"{"epoch":9012,"nodes":[{"id":"n1","applied_at":"2026-09-01T10:00:00.041Z","lag_ms":41},"#
                    + #"{"id":"n2","applied_at":null,"lag_ms":null}],"complete":false}"#
            )
            _ = try await request(ports.admin, "GET", "/v1/admin/epochs/9012", headers: Self.bearer("fleet"))
            #expect(canned.last.epochs.map(\.1) == [.acme, nil])
            try await request(ports.admin, "GET", "/v1/admin/epochs/1", headers: Self.bearer("admin")).expectProblem(
                404,
                "not_found"
            )
            for wrong in ["x", "-1", "99999999999999999999", "1.5"] {
                try await request(ports.admin, "GET", "/v1/admin/epochs/\(wrong)", headers: Self.bearer("admin"))
                    .expectProblem(
                        422,
                        "invalid_parameter",
                        [Wrong("#/epoch", "invalid", "the epoch of a change")]
                    )
            }
            #expect(
                try await request(ports.admin, "GET", "/v1/admin/epochs/9012", headers: Self.bearer("reader")).status
                    == 403
            )
        }
    }
}

import Foundation
import LocalServers
import Testing

/// Lists that were computed ahead, served where histories cannot be read: the table of interactions is locked meanwhile.
@Suite("Precomputed lists of a fleet", .serialized)
struct PrecomputedFleetTests {
    private static let users = (101...112).map { "u" + String(format: "%06d", $0) }

    @Test("a list that was computed ahead is served when none can be computed, less what is denied or void by now")
    func served() async throws {
        try await Fleet.with(settings: ["VIREO_WARM_INTERVAL_S": "off"]) { fleet in
            // Nothing of it is in a cache any more once a second has passed.
            try await Self.activate(fleet, #"{"ttl":{"soft_s":1,"hard_s":1,"jitter_pct":0}}"#)
            try await fleet.sql("UPDATE interactions SET occurred_at = occurred_at - interval '400 days'")
            for (index, user) in Self.users.enumerated() {
                try await fleet.feedback(index % 2, user: user, item: "i000009", type: "view", event: "p-\(user)")
            }
            for surface in ["home", "detail"] { try await Self.precompute(fleet, surface) }
            #expect(try await Self.lists(fleet).count == 2 * Self.users.count)
            var own: [String: [String]] = [:]
            for user in Self.users {
                let slate = try await fleet.slate(0, user: user)
                #expect(slate.fallback == nil)
                own[user] = slate.ids
            }
            let (plain, seeing) = (Self.users[0], Self.users[1])
            let (hiding, leaving) = (Self.users[2], Self.users[3])
            let denied = try #require(own[seeing]?.first)
            let hidden = try #require(own[hiding]?.first)
            try await fleet.feedback(1, user: hiding, item: hidden, type: "hide", event: "hide")

            try await Self.withoutHistories(fleet) {
                try await eventually("nothing is in a cache", within: 10) {
                    try await fleet.everywhere { try await fleet.slate($0, user: plain).fallback == "precomputed" }
                }
                for node in 0...1 {
                    for user in [plain, seeing] {
                        let slate = try await fleet.slate(node, user: user)
                        #expect(slate.fallback == "precomputed" && slate.served_from.tier == "precomputed", "\(user)")
                        #expect(slate.headers["x-vireo-cache"] == "precomputed")
                        #expect(slate.headers["x-vireo-model"] == slate.model_version)
                        #expect(slate.degraded == ["postgres"] && slate.user_version > 0)
                        #expect(slate.served_from.age_ms > 1_000 && !slate.served_from.stale)
                        #expect(slate.ids == own[user])
                    }
                    let many = try await fleet.app(node).post(
                        "/v1/recommendations:batch",
                        #"{"requests":[{"user_id":"\#(plain)"},{"user_id":"\#(hiding)"},{"user_id":"\#(seeing)"}]}"#
                    )
                    #expect(many.body.components(separatedBy: #""fallback":"precomputed""#).count == 3, "\(many.body)")
                    // Void since it was hidden: what is shown is not this user's own.
                    #expect(try await fleet.slate(node, user: hiding).fallback == "popular")
                }
                try await fleet.tombstone(denied)
                try await eventually("the item is denied everywhere", within: 5) {
                    try await fleet.everywhere { try await !fleet.slate($0, user: seeing).ids.contains(denied) }
                }
                #expect(try await fleet.slate(0, user: seeing).fallback == "precomputed")

                let written = try await fleet.app(0).send(
                    "PUT",
                    "/v1/users/\(leaving)/consent",
                    body: #"{"personalization":false}"#
                )
                #expect(written.status == 200, "\(written.body)")
                #expect(try await Self.lists(fleet, of: leaving).isEmpty)
                for node in 0...1 { #expect(try await fleet.slate(node, user: leaving).fallback == "popular") }

                let purged = try await fleet.admin(0).post(
                    "/v1/admin/purge?wait=all",
                    #"{"scope":"surface","id":"home"}"#
                )
                #expect(purged.status == 200, "\(purged.body)")
                for node in 0...1 { #expect(try await fleet.slate(node, user: plain).fallback == "popular") }
                let detail = try await fleet.app(0).get("/v1/recommendations/\(plain)?surface=detail")
                #expect(try detail.json(as: Slate.self).fallback == "precomputed", "of another surface")
            }
            try await eventually("lists are computed again", within: 20) {
                try await fleet.everywhere { try await fleet.slate($0, user: plain).fallback == nil }
            }
            let reset = try await fleet.app(0).post("/v1/users/\(plain):reset", "")
            #expect(reset.status == 200, "\(reset.body)")
            #expect(try await Self.lists(fleet, of: plain).isEmpty)
        }
    }

    private static func activate(_ fleet: Fleet, _ document: String) async throws {
        let stored = try await fleet.admin(0).send("PUT", "/v1/admin/policies/p1", body: document)
        #expect(stored.status == 200, "\(stored.body)")
        let activated = try await fleet.admin(0).post("/v1/admin/policies/p1:activate?wait=all", "{}")
        #expect(activated.status == 200, "\(activated.body)")
    }

    private static func precompute(_ fleet: Fleet, _ surface: String) async throws {
        let taken = try await fleet.admin(1).post(
            "/v1/admin/precompute",
            #"{"surface":"\#(surface)","users":"active_7d"}"#
        )
        #expect(taken.status == 202, "\(taken.body)")
        let job = try #require(taken.body.split(separator: "\"").last { $0.hasPrefix("w") })
        try await eventually("\(job) is done", within: 30) {
            try await fleet.admin(0).get("/v1/admin/jobs/\(job)").body.contains(#""state":"done""#)
        }
    }

    /// Whose lists are stored, one row of a list.
    private static func lists(_ fleet: Fleet, of user: String = "%") async throws -> [String] {
        try await fleet.postgres.query(
            """
            SELECT user_id FROM precomputed_lists JOIN user_state s ON s.number = user_number WHERE user_id LIKE '\(user)'
            """
        )
    }

    /// Runs `body` while no history can be read.
    private static func withoutHistories(_ fleet: Fleet, _ body: () async throws -> Void) async throws {
        let locker = """
            SELECT pid FROM pg_locks
            WHERE relation = 'interactions'::regclass AND mode = 'AccessExclusiveLock' AND granted
            """
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                // Ended below, which psql takes for an error.
                try? await fleet.sql("LOCK TABLE interactions IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(120)")
            }
            try await eventually("histories cannot be read", within: 10) {
                try await fleet.postgres.query(locker).count == 1
            }
            let outcome: Result<Void, any Error>
            do { outcome = .success(try await body()) } catch { outcome = .failure(error) }
            _ = try await fleet.postgres.query("SELECT pg_terminate_backend(pid) FROM (\(locker)) AS locker")
            try await group.waitForAll()
            try outcome.get()
        }
    }
}

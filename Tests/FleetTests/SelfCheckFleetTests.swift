import Foundation
import LocalServers
import Testing

/// What nodes find out about each other in production.
@Suite("Self-check in a fleet", .serialized)
struct SelfCheckFleetTests {
    private struct Report: Decodable {
        struct Counts: Decodable {
            let seconds: Int
            let consistent: Int
            let stale: Int
            let unanswered: Int
            let share: Double?
        }

        struct Suspect: Decodable {
            struct Held: Decodable {
                let tier: String
                let user_version: Int64
            }

            let node: String
            let tenant: String
            let user_id: String
            let key_hash: String
            let user_version: Int64
            let after_s: Int
            let held: [Held]
            let proof: String
            let session: String?
            let lease_age_ms: Int64?
        }

        let enabled: Bool
        let within: [Counts]
        let suspects: [Suspect]
    }

    private static func report(_ fleet: Fleet, _ node: Int, key: String? = nil) async throws -> Report {
        let http = RawHTTP(port: fleet.nodes[node].adminPort, key: key ?? fleet.keys.admin)
        let response = try await http.get("/v1/admin/self-check")
        guard response.status == 200 else { throw RawHTTP.Failed(description: "\(response.status): \(response.body)") }
        return try response.json(as: Report.self)
    }

    @Test("in a healthy fleet every write is consistent within 1 and 5 s, and nobody is suspected")
    func healthy() async throws {
        try await Fleet.with(settings: ["VIREO_SELF_CHECK_MS": "10"]) { fleet in
            for number in 1...20 {
                let user = "u" + String(format: "%06d", number)
                // Held by both, and again by both when it is asked about.
                let item = try #require(try await fleet.slate(0, user: user).ids.first)
                _ = try await fleet.slate(1, user: user)
                try await fleet.feedback(number % 2, user: user, item: item, event: "e\(number)")
                for node in 0..<2 { _ = try await fleet.slate(node, user: user) }
            }
            for node in 0..<2 {
                try await eventually("node \(node + 1) has its answers", within: 15) {
                    try await Self.report(fleet, node).within[1].consistent >= 5
                }
                let report = try await Self.report(fleet, node)
                #expect(report.enabled && report.suspects.isEmpty)
                #expect(report.within.map(\.seconds) == [1, 5, 60])
                for counts in report.within.prefix(2) {
                    #expect(counts.stale == 0 && counts.share == 1, "\(counts)")
                    #expect(counts.unanswered < counts.consistent, "\(counts)")
                }
                let metrics = try await fleet.admin(node).get("/metrics").body
                #expect(metrics.contains(#"vireo_self_check_consistent_share{within="1s"} 1"#))
                #expect(!metrics.contains(#"share{within="60s"}"#), "what is not known yet is not said")
                #expect(metrics.contains(#"vireo_self_check_writes_total{result="stale",within="5s"} 0"#))
                // What nodes ask each other is nobody else's, whatever key they have.
                let stranger = try await fleet.admin(node).post("/v1/admin/self-check/questions", #"{"questions":[]}"#)
                #expect(stranger.status == 401)
            }
        }
    }

    @Test(
        "a node that drops a message is found by the node that took the write: in the report, the metrics and the log"
    )
    func seeded() async throws {
        let settings = ["VIREO_SELF_CHECK_MS": "10", "VIREO_SEEDED_FAULTS": "skipOneInAThousand"]
        try await Fleet.with(settings: settings) { fleet in
            let foreign = try await Vireo.succeed(
                ["keys", "create", "--tenant", "other", "--scopes", "admin"],
                fleet.environment
            )
            let user = "u000007"
            let item = try #require(try await fleet.slate(1, user: user).ids.first)
            try await eventually("the other node holds the list", within: 5) {
                try await fleet.slate(1, user: user).served_from.tier == "l1"
            }
            // The next version is a multiple of a thousand, which the other node will not hear of.
            try await fleet.sql(
                """
                UPDATE user_state SET version = (SELECT last_value / 1000 + 2 FROM user_version_seq) * 1000 - 1
                WHERE user_id = '\(user)'
                """
            )
            let written = try await fleet.feedback(0, user: user, item: item, event: "lost")
            #expect(written.user_version % 1_000 == 0 && written.propagated)
            try await eventually("the node is suspected", within: 10) {
                try await !Self.report(fleet, 0).suspects.isEmpty
            }
            #expect(try await fleet.slate(1, user: user).ids.contains(item), "it is as the report says")
            let report = try await Self.report(fleet, 0)
            let suspect = try #require(report.suspects.last)
            #expect(suspect.node == "n2" && suspect.tenant == "default" && suspect.user_id == user)
            #expect(suspect.user_version == written.user_version && suspect.after_s == 1)
            #expect(!suspect.held.isEmpty)
            #expect(suspect.held.allSatisfy { $0.tier == "l1" && $0.user_version < written.user_version })
            #expect(suspect.proof == "bus" && suspect.session != nil)
            #expect(suspect.lease_age_ms.map { $0 < 1_000 } ?? false)
            #expect(report.within[0].stale == 1 && (report.within[0].share ?? 1) < 1)
            let metrics = try await fleet.admin(0).get("/metrics").body
            #expect(metrics.contains(#"vireo_self_check_writes_total{result="stale",within="1s"} 1"#))
            let log = try String(contentsOfFile: "\(fleet.directory)/node-1.log", encoding: .utf8)
            let line = try #require(log.split(separator: "\n").first { $0.contains(suspect.key_hash) })
            #expect(line.contains("a node would serve what a write has made void") && line.contains("n2"))
            #expect(!line.contains(user), "ids are not for logs")
            try await eventually("the other tenant's key is known, and sees no suspect", within: 10) {
                try await Self.report(fleet, 0, key: foreign).suspects.isEmpty
            }
        }
    }
}

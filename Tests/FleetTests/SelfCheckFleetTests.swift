import Foundation
import LocalServers
import Testing

/// What nodes find out about each other in production.
@Suite("Self-check in a fleet", .serialized)
struct SelfCheckFleetTests {
    private struct Report: Decodable {
        struct Counts: Decodable {
            let kind: String
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

            struct Tombstone: Decodable, Equatable {
                let kind: String
                let id: String
                let epoch: Int64
            }

            let kind: String
            let node: String
            let tenant: String
            let user_id: String?
            let user_version: Int64?
            let tombstone: Tombstone?
            let key_hash: String
            let after_s: Int
            let held: [Held]
            let proof: String
            let session: String?
            let lease_age_ms: Int64?
        }

        let enabled: Bool
        let within: [Counts]
        let suspects: [Suspect]

        func counts(_ kind: String, _ seconds: Int) throws -> Counts {
            try #require(self.within.first { $0.kind == kind && $0.seconds == seconds })
        }
    }

    private static func report(_ fleet: Fleet, _ node: Int, key: String? = nil) async throws -> Report {
        let http = RawHTTP(port: fleet.nodes[node].adminPort, key: key ?? fleet.keys.admin)
        let response = try await http.get("/v1/admin/self-check")
        guard response.status == 200 else { throw RawHTTP.Failed(description: "\(response.status): \(response.body)") }
        return try response.json(as: Report.self)
    }

    @Test("in a healthy fleet every write and tombstone is consistent within 1 and 5 s, and nobody is suspected")
    func healthy() async throws {
        try await Fleet.with(settings: ["VIREO_SELF_CHECK_MS": "10"]) { fleet in
            for number in 1...20 {
                let user = "u" + String(format: "%06d", number)
                // Held by both, and again by both when it is asked about.
                let item = try #require(try await fleet.slate(0, user: user).ids.first)
                _ = try await fleet.slate(1, user: user)
                try await fleet.feedback(number % 2, user: user, item: item, event: "e\(number)")
                for node in 0..<2 { _ = try await fleet.slate(node, user: user) }
                // Every other one is taken away at once: that nobody denies it a second later is right.
                let stone = #"{"kind":"item","ids":["t\#(number)"]}"#
                let added = try await fleet.admin(number % 2).post("/v1/admin/tombstones", stone)
                #expect(added.status == 200)
                guard number % 4 < 2 else { continue }
                let removed = try await fleet.admin(0).send("DELETE", "/v1/admin/tombstones", body: stone)
                #expect(removed.status == 200)
            }
            for node in 0..<2 {
                try await eventually("node \(node + 1) has its answers", within: 15) {
                    let report = try await Self.report(fleet, node)
                    return try report.counts("write", 5).consistent >= 5
                        && report.counts("tombstone", 5).consistent >= 3
                }
                let report = try await Self.report(fleet, node)
                #expect(report.enabled && report.suspects.isEmpty)
                #expect(report.within.map(\.kind) == ["write", "relay", "tombstone"].flatMap { [$0, $0, $0] })
                #expect(report.within.map(\.seconds) == [1, 5, 60, 1, 5, 60, 1, 5, 60])
                for counts in report.within where counts.kind != "relay" && counts.seconds < 60 {
                    #expect(counts.stale == 0 && counts.share == 1, "\(counts)")
                    #expect(counts.unanswered < counts.consistent, "\(counts)")
                }
                let metrics = try await fleet.admin(node).get("/metrics").body
                for kind in ["write", "tombstone"] {
                    #expect(metrics.contains(#"vireo_self_check_consistent_share{kind="\#(kind)",within="1s"} 1"#))
                    let unknown = #"share{kind="\#(kind)",within="60s"}"#
                    #expect(!metrics.contains(unknown), "what is not known yet is not said")
                    let stale = #"vireo_self_check_writes_total{kind="\#(kind)",result="stale",within="5s"} 0"#
                    #expect(metrics.contains(stale))
                }
                // What nodes ask each other is nobody else's, whatever key they have.
                let stranger = try await fleet.admin(node).post("/v1/admin/self-check/questions", #"{"questions":[]}"#)
                #expect(stranger.status == 401)
            }
            // One of the nodes relays, whatever the writers have published themselves.
            let relayed = try await [Self.report(fleet, 0), Self.report(fleet, 1)].map { try $0.counts("relay", 1) }
            #expect(relayed.reduce(0) { $0 + $1.consistent } >= 5)
            #expect(relayed.allSatisfy { $0.stale == 0 })
        }
    }

    @Test(
        "a node that drops a message is found by the node that took the write: in the report, the metrics and the log"
    )
    func seeded() async throws {
        let settings = ["VIREO_SELF_CHECK_MS": "10", "VIREO_SEEDED_FAULTS": "skipOneInAThousand"]
        try await Fleet.with(linked: true, settings: settings) { fleet in
            let foreign = try await Vireo.succeed(
                ["keys", "create", "--tenant", "other", "--scopes", "admin"],
                fleet.environment
            )
            let user = "u000007"
            let item = try #require(try await fleet.slate(1, user: user).ids.first)
            try await eventually("the other node holds the list", within: 5) {
                try await fleet.slate(1, user: user).served_from.tier == "l1"
            }
            try await eventually("it knows of the other tenant's key", within: 5) {
                try await Self.report(fleet, 1, key: foreign).suspects.isEmpty
            }
            // What it drops it would read in the journal itself, where the relay is slow.
            try await fleet.nodes[1].links?.postgres.set(.cut)
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
                try await Self.report(fleet, 0).suspects.contains { $0.kind == "write" }
            }
            #expect(try await fleet.slate(1, user: user).ids.contains(item), "it is as the report says")
            let report = try await Self.report(fleet, 0)
            let suspect = try #require(report.suspects.last(where: { $0.kind == "write" }))
            #expect(suspect.node == "n2" && suspect.tenant == "default" && suspect.user_id == user)
            #expect(suspect.user_version == written.user_version && suspect.after_s == 1)
            #expect(!suspect.held.isEmpty)
            #expect(suspect.held.allSatisfy { $0.tier == "l1" && $0.user_version < written.user_version })
            #expect(suspect.tombstone == nil)
            #expect(suspect.proof == "bus" && suspect.session != nil)
            #expect(suspect.lease_age_ms.map { $0 < 1_000 } ?? false)
            let counts = try report.counts("write", 1)
            #expect(counts.stale == 1 && (counts.share ?? 1) < 1)
            let metrics = try await fleet.admin(0).get("/metrics").body
            #expect(metrics.contains(#"vireo_self_check_writes_total{kind="write",result="stale",within="1s"} 1"#))
            let log = try String(contentsOfFile: "\(fleet.directory)/node-1.log", encoding: .utf8)
            let line = try #require(log.split(separator: "\n").first { $0.contains(suspect.key_hash) })
            #expect(line.contains("a node would serve what a change has made void") && line.contains("n2"))
            #expect(!line.contains(user), "ids are not for logs")
            try await eventually("the other tenant's key is known, and sees no suspect", within: 10) {
                try await Self.report(fleet, 0, key: foreign).suspects.isEmpty
            }
        }
    }

    @Test(
        "a write that only the relay could bring, and a relay that only says so: the nodes that hold what is older are found"
    )
    func notRelayed() async throws {
        let settings = ["VIREO_SELF_CHECK_MS": "10", "VIREO_SEEDED_FAULTS": "noRelay"]
        try await Fleet.with(linked: true, settings: settings) { fleet in
            // Where nobody relays, not even in name, nodes read the journal themselves.
            let relay = try await Self.relaying(fleet)
            let writer = 1 - relay
            let user = "u000008"
            let item = try #require(try await fleet.slate(relay, user: user).ids.first)
            try await eventually("the other node holds the list", within: 5) {
                try await fleet.slate(relay, user: user).served_from.tier == "l1"
            }
            let links = try #require(fleet.nodes[writer].links)
            try await links.redis.set(.cut)
            let written = try await fleet.feedback(writer, user: user, item: item, event: "cut-off")
            #expect(!written.propagated)
            try await eventually("the node is suspected by the one that relays", within: 20) {
                try await Self.report(fleet, relay).suspects.contains { $0.kind == "relay" }
            }
            let report = try await Self.report(fleet, relay)
            let suspect = try #require(report.suspects.last(where: { $0.kind == "relay" }))
            #expect(suspect.node == "n\(relay + 1)" && suspect.user_id == user)
            #expect(suspect.user_version == written.user_version)
            #expect(!suspect.held.isEmpty && suspect.proof == "bus")
            #expect(try report.counts("relay", 1).stale >= 1 && report.counts("write", 1).stale == 0)
            #expect(try await fleet.slate(relay, user: user).ids.contains(item), "it is as the report says")
            try await links.redis.set(.none)
        }
    }

    /// The node whose passes go on.
    private static func relaying(_ fleet: Fleet) async throws -> Int {
        func passes(_ node: Int) async throws -> Substring? {
            try await RawHTTP(port: fleet.nodes[node].adminPort).get("/metrics").body.split(separator: "\n")
                .first { $0.hasPrefix("vireo_relay_passes_total") }
        }
        let before = (try await passes(0), try await passes(1))
        try await Task.sleep(for: .milliseconds(500))
        let after = (try await passes(0), try await passes(1))
        #expect((before.0 != after.0) != (before.1 != after.1), "one relays")
        return before.0 != after.0 ? 0 : 1
    }

    @Test("a tombstone that nodes have not read is found on each of them")
    func notDenied() async throws {
        try await Fleet.with(settings: ["VIREO_SELF_CHECK_MS": "10"]) { fleet in
            // As if the row had come after the change that is to have brought it.
            try await fleet.sql(
                """
                CREATE FUNCTION hide() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.epoch := 0; RETURN NEW; END $$;
                CREATE TRIGGER hidden BEFORE INSERT ON tombstones FOR EACH ROW EXECUTE FUNCTION hide();
                """
            )
            struct Added: Decodable { let epoch: Int64 }
            let answer = try await fleet.admin(0).post("/v1/admin/tombstones", #"{"kind":"item","ids":["i000004"]}"#)
            let epoch = try answer.json(as: Added.self).epoch
            try await Task.sleep(for: .milliseconds(300))
            try await fleet.sql("UPDATE tombstones SET epoch = \(epoch)")
            try await eventually("both nodes are suspected", within: 15) {
                Set(try await Self.report(fleet, 0).suspects.map(\.node)) == ["n1", "n2"]
            }
            let suspects = try await Self.report(fleet, 0).suspects
            for suspect in suspects {
                #expect(suspect.kind == "tombstone" && suspect.tenant == "default" && suspect.user_id == nil)
                #expect(suspect.tombstone == Report.Suspect.Tombstone(kind: "item", id: "i000004", epoch: epoch))
                #expect(suspect.held.isEmpty && suspect.proof == "bus")
            }
            let log = try String(contentsOfFile: "\(fleet.directory)/node-1.log", encoding: .utf8)
            let lines = log.split(separator: "\n").filter { $0.contains(suspects[0].key_hash) }
            #expect(lines.count >= 2 && lines.allSatisfy { !$0.contains("i000004") }, "ids are not for logs")
        }
    }
}

import Foundation
import LocalServers
import Testing

/// Lists of active users that are there before they are asked for.
@Suite("Warming of a fleet", .serialized)
struct WarmingFleetTests {
    private struct Job: Decodable {
        let job: String
        let state: String
        let surface: String
        let scheduled: Bool
        let total: Int?
        let computed: Int
        let held: Int
        let failed: Int
        let reason: String?
    }

    private static func job(_ fleet: Fleet, _ node: Int, _ name: String) async throws -> Job {
        let response = try await fleet.admin(node).get("/v1/admin/jobs/\(name)")
        guard response.status == 200 else { throw RawHTTP.Failed(description: "\(response.status): \(response.body)") }
        return try response.json(as: Job.self)
    }

    private static func done(_ fleet: Fleet, _ name: String, within seconds: Double = 30) async throws -> Job {
        try await eventually("\(name) is done", within: seconds) {
            try await ["done", "failed"].contains(Self.job(fleet, 1, name).state)
        }
        return try await Self.job(fleet, 0, name)
    }

    @Test("active users are warmed by hand and by schedule: the next request of any node finds the list in L2")
    func warmed() async throws {
        try await Fleet.with(settings: ["VIREO_WARM_INTERVAL_S": "10"]) { fleet in
            // Nobody but these did anything within seven days, whatever the demo's times are.
            try await fleet.sql("UPDATE interactions SET occurred_at = occurred_at - interval '400 days'")
            let users = (101...160).map { "u" + String(format: "%06d", $0) }
            for (index, user) in users.enumerated() {
                try await fleet.feedback(index % 2, user: user, item: "i000009", type: "view", event: "w-\(user)")
            }
            let taken = try await fleet.admin(1).post(
                "/v1/admin/precompute",
                #"{"surface":"detail","users":"active_7d"}"#
            )
            #expect(taken.status == 202, "\(taken.body)")
            let first = try #require(taken.body.split(separator: "\"").last { $0.hasPrefix("w") }).description
            let manual = try await Self.done(fleet, first)
            #expect(manual.state == "done" && !manual.scheduled && manual.reason == nil)
            #expect(manual.total == users.count && manual.computed + manual.held == users.count && manual.failed == 0)
            #expect(manual.computed > 0)
            for user in users {
                for node in 0...1 {
                    let response = try await fleet.app(node).get("/v1/recommendations/\(user)?surface=detail")
                    let tier = try response.json(as: Slate.self).served_from.tier
                    #expect(["l1", "l2"].contains(tier), "\(user) on node \(node + 1): \(tier)")
                }
            }
            // By schedule, every surface.
            try await eventually("scheduled ones are done", within: 60) {
                var surfaces: Set<String> = []
                for number in 1...20 {
                    guard let job = try? await Self.job(fleet, 0, "w\(number)"), job.scheduled, job.state == "done"
                    else {
                        continue
                    }
                    #expect(job.total == users.count && job.failed == 0)
                    surfaces.insert(job.surface)
                }
                return surfaces == ["home", "detail", "email"]
            }
            for user in users {
                for surface in ["home", "email"] {
                    let response = try await fleet.app(0).get("/v1/recommendations/\(user)?surface=\(surface)")
                    let tier = try response.json(as: Slate.self).served_from.tier
                    #expect(["l1", "l2"].contains(tier), "\(user): \(tier)")
                }
            }
            var computed = 0
            for node in 0...1 {
                let metrics = try await RawHTTP(port: fleet.nodes[node].adminPort).get("/metrics").body
                let name = #"vireo_warming_users_total{result="computed"}"#
                let line = metrics.split(separator: "\n").first { $0.hasPrefix(name) }
                computed += line.flatMap { Int($0.dropFirst(name.count + 1)) } ?? 0
            }
            #expect(computed >= manual.computed)
            let again = try await fleet.admin(0).post(
                "/v1/admin/precompute",
                #"{"surface":"nowhere","users":"active_7d"}"#
            )
            #expect(again.status == 422)
        }
    }
}

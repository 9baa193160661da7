import Foundation
import Testing

/// `vireo load` against real nodes.
@Suite("vireo load", .serialized)
struct LoadFleetTests {
    private struct Report: Decodable {
        let sent, completed: Int
        let statuses, tiers, errors: [String: Int]
        let notes: [String]
    }

    @Test("each scenario finds the tier it is for, and the mix voids lists by feedback")
    func scenarios() async throws {
        try await Fleet.with { fleet in
            func load(_ scenario: String, key: String, users: Int = 300) async throws -> Report {
                var environment = fleet.environment
                environment["VIREO_API_KEY"] = key
                environment["VIREO_ADMIN_URL"] = "http://127.0.0.1:\(fleet.nodes[0].adminPort)"
                let urls = fleet.nodes.flatMap { ["--url", "http://127.0.0.1:\($0.port)"] }
                let output = try await Vireo.succeed(
                    ["load", "--scenario", scenario, "--rate", "100", "--duration", "2", "--items", "200", "--json"]
                        + ["--users", "\(users)"] + urls,
                    environment
                )
                return try JSONDecoder().decode(Report.self, from: Data(output.utf8))
            }
            let all = try await Vireo.succeed(["keys", "create", "--scopes", "read,write,admin"], fleet.environment)
            // The first node fills Redis, the second is asked.
            let l2 = try await load("l2", key: fleet.keys.app)
            #expect((l2.tiers["l2"] ?? 0) > 150, "\(l2.tiers)")
            // Each user once, all computed: the surface was purged on every node before.
            let cold = try await load("cold", key: all)
            #expect(cold.statuses == ["200": 200])
            #expect((cold.tiers["computed"] ?? 0) > 150, "\(cold.tiers)")
            #expect(cold.notes.isEmpty)
            let warm = try await load("warm", key: fleet.keys.app, users: 50)
            #expect(warm.statuses == ["200": 200])
            #expect((warm.tiers["l1"] ?? 0) > 190, "\(warm.tiers)")
            let stampede = try await load("stampede", key: fleet.keys.app)
            #expect(stampede.statuses == ["200": 203])
            #expect((stampede.tiers["l1"] ?? 0) < 200)
            for scenario in ["mix", "large", "keys"] {
                let report = try await load(scenario, key: fleet.keys.app)
                #expect(report.statuses == ["200": 200], "\(scenario): \(report.statuses)")
                #expect(report.errors.values.allSatisfy { $0 == 0 })
            }
        }
    }

    @Test("a wrong key is told, without being shown")
    func wrongKey() async throws {
        try await Fleet.with(nodes: 1) { fleet in
            let url = ["--url", "http://127.0.0.1:\(fleet.nodes[0].port)"]
            let outcome = try await Vireo.run(["load"] + url, ["VIREO_API_KEY": "wr0ng"])
            #expect(outcome.code == 1)
            #expect(outcome.errors.contains("VIREO_API_KEY"), "\(outcome.errors)")
            #expect(!(outcome.output + outcome.errors).contains("wr0ng"))
        }
    }
}

import Testing

/// Nodes that break a rule of coherence, in a fleet that is checked from outside: `vireo check` finds it. `SimulationTests` has
/// the others.
@Suite("Seeded bugs, checked", .serialized)
struct SeededFleetTests {
    @Test("floors that are set by min: nothing else has to go wrong")
    func minForMax() async throws {
        try await Fleet.with(nodes: 3, settings: ["VIREO_SEEDED_FAULTS": "minForMax"]) { fleet in
            let outcome = try await fleet.check(fleet.checkKey(), seconds: 3, kinds: "purchase")
            #expect(try outcome.report().violations > 10, "\(outcome.output)")
            #expect(outcome.code == 1)
        }
    }
}

import Caching
import Testing

/// Thousands of schedules of a fleet in virtual time: the code of `Caching` as it is, over a Redis, a PostgreSQL and
/// connections that are simulated.
///
/// A failure prints the account of its schedule; `Simulation().replay(seed)` plays it again.
@Suite("Simulated schedules", .serialized)
struct SimulationTests {
    @Test("no request that begins after acknowledgement and bound is answered with what was computed before")
    func coherent() async {
        let outcome = await Simulation().run(seeds: 0..<10_000)
        let first = outcome.failures.first.map { Simulation().replay($0).account }
        #expect(outcome.failures.isEmpty, "\(outcome.failures.count) of \(outcome.schedules)\n\(first ?? "")")
        #expect(outcome.schedules == 10_000)
        // Schedules in which nothing can be wrong show nothing.
        #expect(outcome.binding > 40_000, "\(outcome)")
    }

    @Test("a seed gives the same schedule again, event for event")
    func replayed() {
        for seed: UInt64 in 0..<40 {
            let first = Simulation().replay(seed)
            #expect(Simulation().replay(seed) == first)
        }
    }

    /// A rule that is broken, with what brings it to light.
    struct Broken: CustomTestStringConvertible, Sendable {
        let rule: SeededFault
        let disturbances: [Disturbance]
        /// Schedules in which it must be seen: about ten times as many as it takes.
        let schedules: UInt64

        var testDescription: String { "\(self.rule)" }
    }

    /// Those rules that the code under simulation, or what stands for it, can break.
    static let broken = [
        Broken(rule: .publishFirst, disturbances: [.relayPaused], schedules: 1_000),
        Broken(rule: .heartbeatApart, disturbances: [.subscriptionHeld], schedules: 1_000),
        Broken(rule: .stampAtEnd, disturbances: [.repliesHeld, .relayPaused], schedules: 1_000),
        Broken(rule: .nilFloorIsZero, disturbances: [.evictedUnheard, .relayPaused], schedules: 3_000),
        Broken(rule: .fillWithoutLease, disturbances: [.evicted], schedules: 1_000),
        Broken(rule: .duplicateForgotten, disturbances: [.nodeKilled, .relayPaused], schedules: 1_000),
        Broken(rule: .sessionAtLoss, disturbances: [.subscriptionLost, .relayPaused], schedules: 3_000),
        Broken(rule: .joinOldFlight, disturbances: [.relayPaused], schedules: 1_000),
        Broken(rule: .skipOneInAThousand, disturbances: [.relayPaused], schedules: 2_000),
        Broken(rule: .minForMax, disturbances: [.subscriptionLost], schedules: 200),
        Broken(rule: .lostGeneration, disturbances: [.relayPaused], schedules: 1_000),
        Broken(rule: .noRelay, disturbances: [.connectionHeld], schedules: 1_000),
        Broken(rule: .passUnheeded, disturbances: [.split], schedules: 1_000),
    ]

    @Test("a rule that is broken is seen, and the same schedules are in order where it is not", arguments: broken)
    func seen(_ broken: Broken) async {
        let bugged = Simulation(faults: [broken.rule], disturbances: broken.disturbances)
        let outcome = await bugged.run(seeds: 0..<broken.schedules, untilFound: true)
        guard let seed = outcome.failures.first else {
            Issue.record("not seen in \(outcome.schedules) schedules")
            return
        }
        let sound = Simulation(disturbances: broken.disturbances)
        let same = await sound.run(seeds: seed..<seed + 1)
        #expect(same.failures.isEmpty, "\(sound.replay(seed).account)")
    }
}

import Caching
import Dispatch

/// Runs schedules, one for each seed.
struct Simulation: Sendable {
    /// The rules that are broken.
    var faults: [SeededFault] = []
    /// What may go wrong.
    var disturbances = Disturbance.allCases

    struct Outcome: Sendable {
        var schedules = 0
        /// Answers that were judged, and those of them that could have been wrong.
        var judged = 0
        var binding = 0
        /// Seeds with a violation or a task that never ended.
        var failures: [UInt64] = []
    }

    private static let lanes: UInt64 = 2

    /// - Parameter untilFound: Whether to stop at the first failure.
    func run(seeds: Range<UInt64>, untilFound: Bool = false) async -> Outcome {
        await withTaskGroup(of: Outcome.self) { group in
            for lane in 0..<Self.lanes {
                group.addTask {
                    // On a thread of its own: schedules wait for nothing, and others need those that tests share.
                    await withCheckedContinuation { continuation in
                        DispatchQueue.global().async {
                            let own = seeds.filter { $0 % Self.lanes == lane }
                            continuation.resume(returning: self.outcome(of: own, untilFound: untilFound))
                        }
                    }
                }
            }
            return await group.reduce(into: Outcome()) { sum, lane in
                sum.schedules += lane.schedules
                sum.judged += lane.judged
                sum.binding += lane.binding
                sum.failures = (sum.failures + lane.failures).sorted()
            }
        }
    }

    private func outcome(of seeds: [UInt64], untilFound: Bool) -> Outcome {
        var outcome = Outcome()
        for seed in seeds {
            let world = self.world(seed)
            outcome.schedules += 1
            outcome.judged += world.judge.judged
            outcome.binding += world.judge.binding
            if !world.judge.violations.isEmpty || world.stuck > 0 { outcome.failures.append(seed) }
            if untilFound, !outcome.failures.isEmpty { break }
        }
        return outcome
    }

    private func world(_ seed: UInt64, keepsLog: Bool = false) -> World {
        let faults = SeededFaults(self.faults)
        let world = World(seed: seed, faults: faults, among: self.disturbances, keepsLog: keepsLog)
        world.run()
        return world
    }

    /// Everything that happens in the schedule of a seed, and what was wrong.
    func replay(_ seed: UInt64) -> (account: String, digest: UInt64) {
        let world = self.world(seed, keepsLog: true)
        let wrong = world.judge.violations + (world.stuck > 0 ? ["\(world.stuck) tasks never ended"] : [])
        return ((["seed \(seed):"] + world.scheduler.log + wrong).joined(separator: "\n"), world.scheduler.digest)
    }
}

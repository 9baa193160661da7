import Foundation
import Glibc
import LocalServers
import Testing

/// Nodes that break a rule of coherence, under `vireo check` and what makes the breach show: the checker finds it, and finds
/// nothing in the same fleet under the same disturbance without the bug.
///
/// Of the fourteen these four are here, and `minForMax` in `SeededFleetTests`. The others break moments that are too short to be
/// met by load from outside, or are healed by the relay or the next write of the same user; `SimulationTests` shows those.
@Suite("Long: seeded bugs", .serialized)
struct LongSeededFleetTests {
    /// One of the bugs, and the run that shows it.
    struct Row: CustomTestStringConvertible, Sendable {
        let fault: String
        var seconds = 10
        var kinds = "purchase"
        var users = 300
        var more: [String] = []
        var nemesis: @Sendable (Fleet) async throws -> Void = { _ in }

        var testDescription: String { self.fault }
    }

    @Test("is found, and without it nothing is", arguments: Self.rows)
    func row(_ row: Row) async throws {
        let (wrong, errors) = try await Self.run(row, faults: [row.fault])
        #expect(wrong > 0, "not found: \(errors)")
        let (none, healthy) = try await Self.run(row, faults: [])
        #expect(none == 0, "\(healthy)")
    }

    /// How many answers were wrong, and all that was said.
    private static func run(_ row: Row, faults: [String]) async throws -> (wrong: Int, String) {
        var settings: [String: String] = [:]
        if !faults.isEmpty { settings["VIREO_SEEDED_FAULTS"] = faults.joined(separator: ",") }
        let found = Counter()
        try await Fleet.with(nodes: 3, linked: true, settings: settings) { fleet in
            let key = try await fleet.checkKey()
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    do { try await row.nemesis(fleet) } catch is CancellationError {}
                }
                let outcome = try await fleet.check(
                    key,
                    seconds: row.seconds,
                    kinds: row.kinds,
                    users: row.users,
                    more: ["--timeout", "2", "--min-pairs", "30"] + row.more
                )
                group.cancelAll()
                try await group.waitForAll()
                let report = try outcome.report()
                found.set(report.violations + report.repeated_ids, "\(outcome.errors) \(report.examples.first as Any)")
                print(
                    "\(row.fault), broken: \(faults): \(report.pairs) pairs, \(report.violations) violations, "
                        + "\(report.repeated_ids) repeated, \(report.tiers)"
                )
                #expect(report.pairs >= 30, "\(outcome.output)")
            }
        }
        return found.value
    }

    static let rows: [Row] = [
        Row(fault: "cachedToken", seconds: 4),
        Row(fault: "lostGeneration", seconds: 10, kinds: "purge"),
        Row(fault: "heartbeatApart", seconds: 8) { fleet in
            let link = fleet.nodes[2].links?.redis
            try await link?.set(.silent, on: [.subscription])
            try await Task.sleep(for: .seconds(30))
        },
        // A node that cannot tell Redis leaves it to the relay, which says it has.
        Row(fault: "noRelay", seconds: 10, more: ["--relay-bound", "3"]) { fleet in
            try await fleet.nodes[0].links?.redis.set(.cut)
            try await Task.sleep(for: .seconds(30))
        },
    ]

    private final class Counter: @unchecked Sendable {
        // Guarded by the lock.
        private var state = (0, "")
        private let lock = NSLock()
        var value: (Int, String) { self.lock.withLock { self.state } }
        func set(_ wrong: Int, _ text: String) { self.lock.withLock { self.state = (wrong, text) } }
    }
}

import Foundation
import LocalServers
import Synchronization
import Testing

/// Purchases on the first of three nodes, which is killed in the midst of them, and what the others show afterwards.
///
/// The first node's links answer late, so that most kills come between a COMMIT and the acknowledgement: after it before the
/// floors are raised, or after that before anything is published.
enum CrashingWriter {
    /// A purchase that was sent.
    struct Purchase: Sendable {
        let event: String
        let user: String
        let item: String
        /// When its acknowledgement was there; nil: it was not, or said that it is not propagated.
        var acknowledged: ContinuousClock.Instant?
    }

    /// What all rounds came to.
    struct Sum: Sendable {
        var acknowledged = 0
        /// Stored by PostgreSQL, and the node was dead before it said so.
        var unanswered = 0
        var slowest = Duration.zero
    }

    private final class Sent: Sendable {
        private let purchases = Mutex<[Purchase]>([])
        var all: [Purchase] { self.purchases.withLock { $0 } }
        func append(_ purchase: Purchase) { self.purchases.withLock { $0.append(purchase) } }
    }

    private static let writers = 6
    private static let purchasesEach = 4
    private static let users = 300
    /// A write without an acknowledgement has a bound that runs from the relay's next pass, and the relay may have been on
    /// the node that died: half a second for another one to take over, a pass, a lease, and what a busy machine adds.
    private static let relayed = Duration.seconds(4)

    static func killed(_ kills: Int) async throws {
        try await Fleet.with(nodes: 3, linked: true) { fleet in
            var sum = Sum()
            for round in 0..<kills {
                try await Self.round(round, fleet, &sum)
                try await fleet.untilReady(0)
            }
            print(
                "\(kills) kills: \(sum.acknowledged) acknowledged, \(sum.unanswered) stored and not acknowledged; "
                    + "these were gone everywhere after \(sum.slowest) at the latest"
            )
            #expect(sum.acknowledged >= kills)
            #expect(sum.unanswered >= kills / 2, "the kills come too early or too late")
        }
    }

    private static func round(_ round: Int, _ fleet: Fleet, _ sum: inout Sum) async throws {
        let links = try #require(fleet.nodes[0].links)
        var planned = try await Self.plan(round, fleet)
        try await links.redis.set(.delay(.milliseconds(30)))
        try await links.postgres.set(.delay(.milliseconds(20)))
        let sent = Sent()
        let killedAt = try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<Self.writers {
                let own = Array(planned.prefix(Self.purchasesEach))
                planned.removeFirst(own.count)
                group.addTask {
                    for purchase in own {
                        let result = await Self.send(purchase, fleet)
                        sent.append(result.purchase)
                        guard result.isAnswered else { return }
                    }
                }
            }
            // The first acknowledgements come after 150 ms or so, on a busy machine after 400.
            try await Task.sleep(for: .milliseconds(.random(in: 60...900)))
            try fleet.nodes[0].process.crash()
            let killedAt = ContinuousClock.now
            try await group.waitForAll()
            return killedAt
        }
        try await links.redis.set(.none)
        try await links.postgres.set(.none)
        try await Self.judge(sent.all, killedAt, fleet, &sum)
    }

    private static func send(_ purchase: Purchase, _ fleet: Fleet) async -> (purchase: Purchase, isAnswered: Bool) {
        var purchase = purchase
        let (user, item) = (purchase.user, purchase.item)
        // No answer: the node is dead.
        guard let answer = try? await fleet.feedback(0, user: user, item: item, event: purchase.event) else {
            return (purchase, false)
        }
        if answer.propagated { purchase.acknowledged = .now }
        return (purchase, true)
    }

    /// For each purchase an item that both other nodes show, and have in L1.
    private static func plan(_ round: Int, _ fleet: Fleet) async throws -> [Purchase] {
        let count = Self.writers * Self.purchasesEach
        return try await withThrowingTaskGroup(of: Purchase?.self) { group in
            for number in 0..<count {
                group.addTask {
                    let user = "u" + String(format: "%06d", (round * count + number) % Self.users + 1)
                    let first = try await fleet.slate(1, user: user).ids
                    let second = Set(try await fleet.slate(2, user: user).ids)
                    guard let item = first.first(where: second.contains) else { return nil }
                    return Purchase(event: "crash-\(round)-\(number)", user: user, item: item)
                }
            }
            var planned: [Purchase] = []
            for try await purchase in group { if let purchase { planned.append(purchase) } }
            return planned
        }
    }

    private static func judge(
        _ sent: [Purchase],
        _ killedAt: ContinuousClock.Instant,
        _ fleet: Fleet,
        _ sum: inout Sum
    ) async throws {
        for purchase in sent {
            guard let acknowledged = purchase.acknowledged else { continue }
            sum.acknowledged += 1
            try await Task.sleep(until: acknowledged + .seconds(1))
            for node in 1...2 {
                #expect(
                    try await !fleet.slate(node, user: purchase.user).ids.contains(purchase.item),
                    "\(purchase.event) was acknowledged, and is shown by node \(node + 1)"
                )
            }
        }
        let unanswered = sent.filter { $0.acknowledged == nil }
        guard !unanswered.isEmpty else { return }
        let names = unanswered.map { "'\($0.event)'" }.joined(separator: ",")
        let stored = Set(
            try await fleet.postgres.query("SELECT event_id FROM interactions WHERE event_id IN (\(names))")
        )
        for purchase in unanswered where stored.contains(purchase.event) {
            sum.unanswered += 1
            for node in 1...2 {
                while try await fleet.slate(node, user: purchase.user).ids.contains(purchase.item) {
                    try #require(
                        ContinuousClock.now < killedAt + Self.relayed,
                        "\(purchase.event) was stored, and is shown by node \(node + 1)"
                    )
                    try await Task.sleep(for: .milliseconds(50))
                }
                sum.slowest = max(sum.slowest, ContinuousClock.now - killedAt)
            }
        }
    }
}

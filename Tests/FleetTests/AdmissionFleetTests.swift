import Foundation
import LocalServers
import Synchronization
import Testing

/// What a node computes at once, by `VIREO_COMPUTE_LIMIT`, and what those get who do not fit.
///
/// The table of histories is locked meanwhile: who is let in waits in PostgreSQL and is not answered, who is not let in is.
@Suite("Fleet and the limit of computations", .serialized)
struct AdmissionFleetTests {
    private static let limit = 3
    private static let callers = 12
    /// Exactly those who are not let in.
    private static let others = Self.callers - Self.limit...Self.callers - Self.limit

    @Test("as many as may compute do, and the others get the policy's lists in its order, filtered")
    func limited() async throws { try await Self.check(withoutRedis: false) }

    @Test("the same while Redis is away")
    func limitedWithoutRedis() async throws { try await Self.check(withoutRedis: true) }

    private static func check(withoutRedis: Bool) async throws {
        let settings = ["VIREO_COMPUTE_LIMIT": "\(Self.limit)", "VIREO_DEADLINE_MS": "20000"]
        try await Fleet.with(nodes: 1, settings: settings) { fleet in
            if withoutRedis {
                try await fleet.redis.kill()
                try await eventually("the journal proves the node fresh", within: 10) {
                    try await fleet.admin(0).get("/metrics").body.contains(#"vireo_lease_live{proof="journal"} 1"#)
                }
                try await eventually("the node says that Redis is away", within: 10) {
                    try await fleet.slate(0, user: "u000300").degraded == ["redis"]
                }
                // It says so at once of a read that failed; of what was not asked of Redis when the last heartbeat is a lease old.
                try await Task.sleep(for: .seconds(1))
            }
            let without = withoutRedis ? ["overloaded", "redis"] : ["overloaded"]
            let head = try #require(try await fleet.app(0).list("/v1/lists/popular?limit=1").ids.first)
            try await fleet.tombstone(head)
            var outcome = try await Self.overload(fleet, users: 1...Self.callers, meanwhile: Self.others)
            try Self.expectComputed(outcome.after)
            for slate in try outcome.meanwhile.map({ try $0.json(as: Slate.self) }) {
                #expect(slate.served_from.tier == "fallback" && slate.fallback == "popular")
                #expect(Set(slate.degraded) == Set(without + ["unverified"]), "\(slate.degraded)")
                #expect(slate.items.count == 20 && !slate.ids.contains(head))
            }

            // Before the list that is everybody's comes one that was chosen by hand.
            try await Self.activate(
                fleet,
                "p1",
                #"{"fallback":["static","popular"],"static_items":["i000011","i000012","i000013"]}"#
            )
            try await fleet.tombstone("i000012")
            outcome = try await Self.overload(fleet, users: 41...52, meanwhile: Self.others)
            try Self.expectComputed(outcome.after)
            for slate in try outcome.meanwhile.map({ try $0.json(as: Slate.self) }) {
                #expect(slate.fallback == "static" && slate.ids == ["i000011", "i000013"])
            }

            // Before both their own of some time ago, if they have one.
            try await Self.activate(fleet, "p2", #"{"ttl":{"soft_s":1,"hard_s":600,"jitter_pct":0}}"#)
            for user in 81...92 {
                try await eventually("the node holds a list", within: 10) {
                    try await fleet.slate(0, user: Self.name(user)).served_from.tier == "l1"
                }
            }
            try await Task.sleep(for: .milliseconds(1_300))
            let denied = try #require(try await fleet.slate(0, user: Self.name(1)).ids.first)
            try await fleet.tombstone(denied)
            // With Redis a refresh goes on in the background, and keeps nobody waiting. Without, it does so once the journal has
            // brought the tombstone and covers the list again; of one that has to be verified first, who is let in waits for it.
            let least = withoutRedis ? Self.callers - Self.limit : Self.callers
            let before = try await Self.refreshes(fleet)
            outcome = try await Self.overload(fleet, users: 81...92, meanwhile: least...Self.callers)
            let waited = Self.callers - outcome.meanwhile.count
            try Self.expectComputed(outcome.after, count: waited)
            try await eventually("as many were computed as may be, in both ways together", within: 10) {
                try await Self.refreshes(fleet) - before + waited == Self.limit
            }
            for slate in try outcome.meanwhile.map({ try $0.json(as: Slate.self) }) {
                #expect(slate.served_from.tier == "stale" && slate.fallback == "stale" && slate.served_from.stale)
                #expect(slate.items.count == 20 && !slate.ids.contains(denied))
            }

            // Nobody is served what was not verified, where the policy says so.
            try await Self.activate(fleet, "p3", #"{"on_unverified":"refuse"}"#)
            outcome = try await Self.overload(fleet, users: 121...132, meanwhile: Self.others)
            try Self.expectComputed(outcome.after)
            for answer in outcome.meanwhile {
                #expect(answer.status == 503 && answer.body.contains("urn:vireo:problem:unverified"), "\(answer.body)")
                #expect(answer.headers["retry-after"] != nil)
            }
        }
    }

    private static func name(_ user: Int) -> String { "u" + String(format: "%06d", user) }

    private static func activate(_ fleet: Fleet, _ version: String, _ document: String) async throws {
        let path = "/v1/admin/policies/\(version)"
        let stored = try await fleet.admin(0).send("PUT", path, body: document)
        #expect(stored.status == 200, "\(stored.body)")
        let activated = try await fleet.admin(0).post("\(path):activate", "{}")
        #expect(activated.status == 200, "\(activated.body)")
    }

    private static func expectComputed(_ answers: [RawHTTP.Response], count: Int = Self.limit) throws {
        #expect(answers.count == count)
        for slate in try answers.map({ try $0.json(as: Slate.self) }) {
            #expect(slate.served_from.tier == "computed" && slate.fallback == nil)
            #expect(!slate.degraded.contains("overloaded") && !slate.items.isEmpty)
        }
    }

    /// Lists that were computed while nobody waited.
    private static func refreshes(_ fleet: Fleet) async throws -> Int {
        let name = #"vireo_cache_refreshes_total{cache="pool",result="done"} "#
        let metrics = try await RawHTTP(port: fleet.nodes[0].adminPort).get("/metrics").body
        let line = try #require(metrics.split(separator: "\n").first { $0.hasPrefix(name) })
        return try #require(Int(line.dropFirst(name.count)))
    }

    /// Asks for many users at once while no history can be read.
    ///
    /// - Parameter expected: How many have to be answered meanwhile.
    /// - Returns: What was answered meanwhile, and what when histories could be read again.
    private static func overload(
        _ fleet: Fleet,
        users: ClosedRange<Int>,
        meanwhile expected: ClosedRange<Int>
    ) async throws -> (meanwhile: [RawHTTP.Response], after: [RawHTTP.Response]) {
        let answers = Answers()
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                // Ended by the test, which psql takes for an error.
                try? await fleet.sql("LOCK TABLE interactions IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(20)")
            }
            try await eventually("histories cannot be read", within: 10) {
                try await fleet.postgres.query(Self.locker).count == 1
            }
            for user in users {
                group.addTask {
                    let target = "/v1/recommendations/\(Self.name(user))?limit=20"
                    let answer = try await fleet.app(0).send("GET", target, closes: true)
                    answers.add(answer)
                }
            }
            var most: [Int] = []
            try await eventually("\(expected) are answered", within: 10) {
                most.append(try await Self.statements(fleet))
                return answers.all.count >= expected.lowerBound
            }
            // The others are not.
            for _ in 0..<3 {
                try await Task.sleep(for: .milliseconds(100))
                most.append(try await Self.statements(fleet))
            }
            let meanwhile = answers.all
            #expect(expected.contains(meanwhile.count))
            #expect((1...Self.limit).contains(most.max() ?? 0), "statements at once: \(most)")
            _ = try await fleet.postgres.query("SELECT pg_terminate_backend(pid) FROM (\(Self.locker)) AS locker")
            try await group.waitForAll()
            return (meanwhile, Array(answers.all.dropFirst(meanwhile.count)))
        }
    }

    /// In the order in which they came.
    private final class Answers: Sendable {
        private let list = Mutex<[RawHTTP.Response]>([])
        func add(_ answer: RawHTTP.Response) { self.list.withLock { $0.append(answer) } }
        var all: [RawHTTP.Response] { self.list.withLock { $0 } }
    }

    /// Statements of nodes that wait for histories.
    private static func statements(_ fleet: Fleet) async throws -> Int {
        let waiting = try await fleet.postgres.query(
            """
            SELECT count(*) FROM pg_stat_activity
            WHERE wait_event_type = 'Lock' AND query LIKE '%user_state s%' AND query LIKE '%interactions%'
            """
        )
        return try #require(waiting.first.flatMap { Int($0) })
    }

    private static let locker = """
        SELECT pid FROM pg_locks
        WHERE relation = 'interactions'::regclass AND mode = 'AccessExclusiveLock' AND granted
        """
}

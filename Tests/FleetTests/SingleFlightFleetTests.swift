import Foundation
import Glibc
import LocalServers
import Testing

/// A cold key that many callers of four nodes ask for at once. Computations are counted by PostgreSQL: statements that read a
/// history.
///
/// `LongSingleFlightFleetTests` has the thousand callers: debug nodes take seconds over so many.
@Suite("Fleet and one cold key", .serialized)
struct SingleFlightFleetTests {
    private static let callers = 20

    @Test("eighty callers on four nodes: one computation, and one list")
    func once() async throws {
        try await Self.once(callers: Self.callers, then: Self.expectLocal)
    }

    @Sendable
    private static func expectLocal(_ fleet: Fleet) async throws {
        for node in 0..<4 { #expect(try await fleet.slate(node, user: "u000010").served_from.tier == "l1") }
    }

    /// Nodes that a thousand callers starve may have no lease when the list comes: then it is in L1 a little later.
    static func once(
        callers: Int,
        settings: [String: String] = [:],
        then: @escaping @Sendable (Fleet) async throws -> Void = {
            try await Self.expectNothingStuck($0, "u000010", 0..<4)
        }
    ) async throws {
        try await Self.withFleet(settings: settings) { fleet in
            for node in fleet.nodes { try await node.links?.postgres.set(.delay(.milliseconds(100))) }
            let burst = try await Self.burst(fleet, "u000010", 0..<4, callers: callers)
            try await Self.expectSameList(burst)
            let computations = try await Self.computations(fleet)
            #expect(computations == 1)
            try await then(fleet)
        }
    }

    @Test("a computation that takes longer than its lease: still one, and one list")
    func slow() async throws {
        // A read of PostgreSQL has a quarter of it; two answers are waited for where the connection has yet to prepare it.
        try await Self.withFleet(settings: ["VIREO_DEADLINE_MS": "20000"]) { fleet in
            for node in fleet.nodes { try await node.links?.postgres.set(.delay(.milliseconds(1_300))) }
            let burst = try await Self.burst(fleet, "u000014", 0..<4)
            try await Self.expectSameList(burst)
            let computations = try await Self.computations(fleet)
            #expect(computations == 1)
        }
    }

    @Test("the node that computes is killed, or stands still: the others compute once, and nothing is stuck")
    func holderLost() async throws {
        try await Self.withFleet { fleet in
            // It answers, to whom there is nobody to tell.
            try await fleet.nodes[0].links?.postgres.set(.delay(.seconds(5)))
            // One that hears nothing of the others meanwhile.
            try await fleet.nodes[3].links?.redis.set(.silent, on: [.subscription])
            let first = try await Self.holder(fleet, "u000011")
            #expect(kill(fleet.nodes[0].pid, SIGSTOP) == 0)
            try await Self.expectSameList(try await Self.burst(fleet, "u000011", 1..<4))
            let still = try await Self.computations(fleet)
            #expect(still <= 2, "one that stands still, and one of the others")
            #expect(kill(fleet.nodes[0].pid, SIGCONT) == 0)
            // Too late for its own caller, perhaps.
            #expect(try await first.answers().allSatisfy { [200, 504].contains($0.status) })
            try await fleet.nodes[3].links?.redis.set(.none)
            try await fleet.nodes[0].links?.postgres.set(.none)
            try await Self.expectNothingStuck(fleet, "u000011", 0..<4)

            try await Self.reset(fleet)
            try await fleet.nodes[0].links?.postgres.set(.delay(.seconds(5)))
            let second = try await Self.holder(fleet, "u000012")
            let burst = try await Self.burst(fleet, "u000012", 1..<4)
            #expect(kill(fleet.nodes[0].pid, SIGKILL) == 0)
            second.abandon()
            try await Self.expectSameList(burst)
            let killed = try await Self.computations(fleet)
            #expect(killed <= 2, "one that was killed, and one of the others")
            try await Self.expectNothingStuck(fleet, "u000012", 1..<4)
        }
    }

    @Test("callers that go away leave no lease, and keep nobody from the list")
    func cancelled() async throws {
        try await Self.withFleet { fleet in
            try await fleet.nodes[0].links?.postgres.set(.delay(.milliseconds(300)))
            let gone = try await Self.burst(fleet, "u000013", 0..<1)
            try await eventually("the lease is taken", within: 5) { try await Self.isLeased(fleet, "u000013") }
            gone.abandon()
            try await Self.expectSameList(try await Self.burst(fleet, "u000013", 0..<4))
            let computations = try await Self.computations(fleet)
            #expect(computations <= 2)
            try await Self.expectNothingStuck(fleet, "u000013", 0..<4)
        }
    }

    private static func withFleet(
        settings: [String: String] = [:],
        _ body: @escaping @Sendable (Fleet) async throws -> Void
    ) async throws {
        try await Fleet.with(
            nodes: 4,
            linked: true,
            settings: settings,
            postgres: ["shared_preload_libraries": "pg_stat_statements"]
        ) { fleet in
            try await fleet.sql("CREATE EXTENSION pg_stat_statements")
            try await Self.reset(fleet)
            try await body(fleet)
        }
    }

    private static func reset(_ fleet: Fleet) async throws {
        _ = try await fleet.postgres.query("SELECT pg_stat_statements_reset()")
    }

    /// Histories that were read since the last reset; only a computation reads one.
    private static func computations(_ fleet: Fleet) async throws -> Int {
        let rows = try await fleet.postgres.query(
            """
            SELECT coalesce(sum(calls), 0) FROM pg_stat_statements
            WHERE query LIKE '%user_state s%' AND query LIKE '%interactions%'
            """
        )
        return try #require(rows.first.flatMap { Int($0) })
    }

    private static func burst(_ fleet: Fleet, _ user: String, _ nodes: Range<Int>, callers: Int = Self.callers)
        async throws -> Burst
    {
        try await Burst.send(
            "/v1/recommendations/\(user)?limit=20",
            callers: callers,
            to: nodes.map { fleet.nodes[$0].port },
            key: fleet.keys.app
        )
    }

    /// One caller of the first node, which has the lease when this returns.
    private static func holder(_ fleet: Fleet, _ user: String) async throws -> Burst {
        let caller = try await Self.burst(fleet, user, 0..<1, callers: 1)
        try await eventually("the lease is taken", within: 5) { try await Self.isLeased(fleet, user) }
        return caller
    }

    private static func isLeased(_ fleet: Fleet, _ user: String) async throws -> Bool {
        let keys = try await RedisCommandLine.send(["KEYS", "vireo:*/\(user)}"], port: fleet.redis.port)
        guard let key = keys.components(separatedBy: "\r\n").first(where: { $0.hasPrefix("vireo:") }) else {
            return false
        }
        return try await RedisCommandLine.send(["HEXISTS", key, "lease"], port: fleet.redis.port).hasPrefix(":1")
    }

    private static func expectSameList(_ burst: Burst) async throws {
        let answers = try await burst.answers()
        #expect(
            answers.allSatisfy { $0.status == 200 },
            "\(Dictionary(grouping: answers, by: \.status).mapValues(\.count))"
        )
        let slates = try answers.map { try $0.json(as: Slate.self) }
        let origins = Dictionary(grouping: slates) { "\($0.fallback ?? $0.served_from.tier) \($0.degraded)" }
        #expect(Set(slates.map(\.ids)).count == 1, "\(origins.mapValues(\.count))")
    }

    private static func expectNothingStuck(_ fleet: Fleet, _ user: String, _ nodes: Range<Int>) async throws {
        try await eventually("the lease is given back", within: 5) { try await !Self.isLeased(fleet, user) }
        for node in nodes {
            try await eventually("\(user) is in L1 of node \(node + 1)", within: 10) {
                try await fleet.slate(node, user: user).served_from.tier == "l1"
            }
        }
    }
}

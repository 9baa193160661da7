import Caching
import Postgres
import PostgresAdapters
import RecommendationCore
import Testing

/// What nodes confirm of the control log, and who counts.
@Suite("Confirmations of nodes")
struct NodeEpochTests {
    private static func status(
        _ id: String,
        applied: Int64,
        incarnation: String,
        startedAt seconds: Int64 = 1_767_225_600
    ) -> NodeStatus {
        NodeStatus(
            id: id,
            startedAt: Timestamp(seconds: seconds),
            version: "1",
            httpURL: "http://a",
            adminURL: "http://b",
            leaseAgeMilliseconds: 80,
            controlApplied: applied,
            incarnation: incarnation,
            model: nil,
            policy: "p0",
            l1Entries: 0,
            l1Bytes: 0,
            seenAt: Timestamp(seconds: 0)
        )
    }

    /// A database with an incarnation, and its control log at some ids.
    private static func withLog(
        _ body: (Database, _ incarnation: String, _ epochs: [Int64]) async throws -> Void
    ) async throws {
        try await withDatabase { database in
            let incarnation = try await database.control.delta(after: nil, items: nil).incarnation
            var epochs: [Int64] = []
            for _ in 0..<3 {
                epochs.append(try await database.control.purge(.surface("home"), tenant: .default))
            }
            try await body(database, incarnation, epochs)
        }
    }

    @Test("all have confirmed what the last of them has; a node that has confirmed nothing holds everybody up")
    func all() async throws {
        try await Self.withLog { database, incarnation, epochs in
            let nodes = database.nodes
            #expect(try await nodes.confirmedByAll() == nil, "there is no node")
            try await nodes.report(Self.status("n1", applied: epochs[2], incarnation: incarnation))
            #expect(try await nodes.confirmedByAll() == epochs[2])
            try await nodes.report(Self.status("n2", applied: epochs[0], incarnation: incarnation))
            #expect(try await nodes.confirmedByAll() == epochs[0])
            // Again, as it does every second, and then more.
            try await nodes.report(Self.status("n2", applied: epochs[0], incarnation: incarnation))
            try await nodes.report(Self.status("n2", applied: epochs[1], incarnation: incarnation))
            #expect(try await nodes.confirmedByAll() == epochs[1])
            // Of another incarnation; one that does not say, like the version before.
            for other in ["another", ""] {
                try await nodes.report(Self.status("n3", applied: epochs[2], incarnation: other))
                #expect(try await nodes.confirmedByAll() == nil, "\(other)")
            }
            try await nodes.remove("n3")
            #expect(try await nodes.confirmedByAll() == epochs[1])
            // Nobody has heard of it for an hour: it may be cut from PostgreSQL alone, and have a lease.
            try await database.client.execute(
                "UPDATE nodes SET seen_at = now() - interval '1 hour' WHERE node_id = 'n2'"
            )
            #expect(try await nodes.confirmedByAll() == epochs[1])
        }
    }

    @Test("what a process has confirmed counts neither for the next of that name nor for a node of the version before")
    func processes() async throws {
        try await Self.withLog { database, incarnation, epochs in
            let nodes = database.nodes
            try await nodes.report(Self.status("n1", applied: epochs[2], incarnation: incarnation))
            // As the version before writes it.
            try await database.client.execute(
                """
                INSERT INTO nodes (node_id, started_at, version, http_url, admin_url, control_applied, policy, l1_entries,
                                   l1_bytes, seen_at)
                VALUES ('n1', '2026-02-01', '1', 'a', 'b', 99, 'p0', 0, 0, now())
                ON CONFLICT (node_id) DO UPDATE
                SET started_at = excluded.started_at, seen_at = excluded.seen_at,
                    control_applied = excluded.control_applied
                """
            )
            #expect(try await nodes.confirmedByAll() == nil)
            let next = Self.status("n1", applied: epochs[0], incarnation: incarnation, startedAt: 1_780_000_000)
            try await nodes.report(next)
            #expect(try await nodes.confirmedByAll() == epochs[0])
        }
    }

    @Test("an id of a timeline that was left confirms nothing, before anybody has minted another incarnation")
    func timeline() async throws {
        try await Self.withLog { database, incarnation, epochs in
            try await database.client.execute("UPDATE incarnation SET timeline = timeline + 1")
            try await database.nodes.report(Self.status("n1", applied: epochs[2], incarnation: incarnation))
            #expect(try await database.nodes.confirmedByAll() == nil)
        }
    }

    @Test("progress names the nodes seen lately and when each had the change, for its tenant")
    func progress() async throws {
        try await Self.withLog { database, incarnation, epochs in
            let nodes = database.nodes
            try await nodes.report(Self.status("n2", applied: epochs[0], incarnation: incarnation))
            try await nodes.report(Self.status("n1", applied: epochs[2], incarnation: incarnation))
            let first = try #require(try await nodes.progress(of: epochs[0], tenant: .default))
            #expect(first.nodes.map(\.id) == ["n1", "n2"])
            #expect(first.isComplete)
            #expect(first.nodes.allSatisfy { $0.appliedAt! >= first.createdAt })
            let last = try #require(try await nodes.progress(of: epochs[2], tenant: nil))
            #expect(last.nodes.map { $0.appliedAt != nil } == [true, false])
            #expect(!last.isComplete)
            // The earliest of what covers it counts.
            try await nodes.report(Self.status("n2", applied: epochs[2], incarnation: incarnation))
            #expect(try await nodes.progress(of: epochs[0], tenant: .default) == first)
            #expect(try await nodes.progress(of: epochs[0], tenant: .fleet) == nil)
            #expect(try await nodes.progress(of: 0, tenant: nil) == nil)
            try await database.client.execute("UPDATE nodes SET seen_at = now() - interval '1 hour'")
            let lonely = try #require(try await nodes.progress(of: epochs[0], tenant: nil))
            #expect(lonely.nodes.isEmpty && !lonely.isComplete)
        }
    }

    @Test("nodes that were not seen for a day are forgotten, and of others what was confirmed long ago, but the last")
    func forgets() async throws {
        try await Self.withLog { database, incarnation, epochs in
            let nodes = database.nodes
            for epoch in epochs { try await nodes.report(Self.status("n1", applied: epoch, incarnation: incarnation)) }
            try await nodes.report(Self.status("n2", applied: epochs[0], incarnation: incarnation))
            try await nodes.forget()
            #expect(try await database.count("node_epochs") == 4)
            try await database.client.execute("UPDATE node_epochs SET applied_at = now() - interval '2 days'")
            try await nodes.forget()
            #expect(try await database.count("node_epochs") == 2)
            #expect(try await nodes.confirmedByAll() == epochs[0])
            try await database.client.execute(
                "UPDATE nodes SET seen_at = now() - interval '25 hours' WHERE node_id = 'n2'"
            )
            try await nodes.forget()
            #expect(try await database.count("nodes") == 1)
            #expect(try await database.count("node_epochs") == 1)
            #expect(try await nodes.confirmedByAll() == epochs[2])
        }
    }

    @Test("a node of the version before makes the others sign tokens that it reads, for as long as it is heard of")
    func tokens() async throws {
        try await Self.withLog { database, incarnation, epochs in
            func readsFirst() async throws -> [Bool] {
                let head = try await database.control.delta(after: nil, items: nil)
                let still = try await database.control.delta(after: head.head, items: head.itemPosition)
                return [head.readsFirstTokens, still.readsFirstTokens]
            }
            #expect(try await readsFirst() == [false, false])
            try await database.nodes.report(Self.status("n1", applied: epochs[0], incarnation: incarnation))
            #expect(try await readsFirst() == [false, false])
            // As a program of the version before writes its row: it knows no such column.
            try await database.client.execute("UPDATE nodes SET started_at = started_at + interval '1 minute'")
            #expect(try await readsFirst() == [true, true])
            try await database.client.execute("UPDATE nodes SET seen_at = now() - interval '1 minute'")
            #expect(try await readsFirst() == [false, false])
        }
    }
}

import Postgres
import PostgresAdapters
import RecommendationCore
import Serving
import Testing

/// What changes of tombstones count, how they are listed, and what becomes of those that have expired.
@Suite("tombstones in PostgreSQL: counts, pages, ends")
struct TombstoneUpkeepTests {
    private static let past = Timestamp(seconds: 1_700_000_000)

    private static func add(
        _ stones: [Tombstone],
        until end: Timestamp? = nil,
        in control: PostgresControlRepository
    ) async throws -> Int {
        try await control.addTombstones(stones, reason: nil, expiresAt: end, tenant: .default).changed
    }

    private static func remove(_ stones: [Tombstone], in control: PostgresControlRepository) async throws -> Int {
        try await control.removeTombstones(stones, tenant: .default).changed
    }

    @Test("what is in a set that is not folded counts, whoever adds or takes away, few or many")
    func counts() async throws {
        try await withDatabase { database in
            let control = database.control
            #expect(try await Self.add(stones(0..<1_500), in: control) == 1_500)
            #expect(try await Self.add(stones(0..<1_500), in: control) == 0)
            #expect(try await Self.add(stones(1_499..<1_501), in: control) == 1)
            #expect(try await Self.add(stones(0..<1, .creator), in: control) == 1, "another kind")
            #expect(try await Self.remove(stones(0..<10), in: control) == 10)
            #expect(try await Self.remove(stones(0..<10), in: control) == 0)
            #expect(try await Self.remove(stones(0..<1_500), in: control) == 1_490)
            #expect(try await Self.add(stones(0..<10), in: control) == 10)
            #expect(try await Self.remove(stones(0..<1_600), in: control) == 11)
            // What has expired denies nothing, deleted or not.
            #expect(try await Self.add(stones(0..<1_500), until: Self.past, in: control) == 1_500)
            #expect(try await Self.add(stones(0..<5), in: control) == 5)
            #expect(try await Self.remove(stones(3..<1_500), in: control) == 2)
            #expect(try await database.count("tombstone_sets") > 0, "nothing of it was folded")
            let left = try await control.denied(nil, tenant: .default).map(\.tombstone)
            #expect(left == Array(stones(0..<3).reversed()) + stones(0..<1, .creator))
        }
    }

    @Test("a change that comes between the counting of many and their turn counts", arguments: [false, true])
    func meanwhile(removing: Bool) async throws {
        try await withDatabase { database in
            let control = database.control
            _ = try await control.addTombstones(stones(0..<1), reason: nil, expiresAt: nil, tenant: .default)
            try await withThrowingTaskGroup(of: Int.self) { group in
                try await database.client.withSession { session in
                    try await session.execute("BEGIN")
                    try await session.execute("SELECT pg_advisory_xact_lock($1)", [AdvisoryKey.control.rawValue])
                    group.addTask {
                        removing
                            ? try await control.removeTombstones(stones(0..<1_500), tenant: .default).changed
                            : try await control.addTombstones(
                                stones(0..<1_500),
                                reason: nil,
                                expiresAt: nil,
                                tenant: .default
                            ).changed
                    }
                    try await eventually("the bulk change waits for its turn") {
                        try await database.value(
                            """
                            SELECT count(*) FROM pg_stat_activity
                            WHERE datname = current_database() AND wait_event_type = 'Lock' AND wait_event = 'advisory'
                            """
                        ) == Int64(1)
                    }
                    try await session.execute("INSERT INTO control_log (tenant, kind) VALUES (1, 'tombstones')")
                    try await session.execute(
                        """
                        INSERT INTO tombstones (tenant, kind, key, epoch)
                        SELECT 1, 'item', key, (SELECT max(id) FROM control_log) FROM unnest($1::text[]) AS key
                        """,
                        [["i7", "i8", "elsewhere"]]
                    )
                    try await session.execute("DELETE FROM tombstones WHERE tenant = 1 AND key = 'i0'")
                    try await session.execute("COMMIT")
                }
                #expect(try await group.next() == (removing ? 2 : 1_498))
            }
        }
    }

    @Test(
        "pages are in the order of the changes, each entry is in one of them, and what is set anew comes to the front"
    )
    func pages() async throws {
        try await withDatabase { database in
            let control = database.control
            func add(_ stones: [Tombstone]) async throws {
                _ = try await control.addTombstones(stones, reason: "r", expiresAt: nil, tenant: .default)
            }
            try await add(stones(0..<3))
            try await add(stones(100..<1_200))
            try await add(stones(0..<2, .creator))
            for isFolded in [false, true] {
                if isFolded { while try await control.fold() {} }
                for limit in [1, 2, 7, 1_000] {
                    let items = try await control.denied(.creator, tenant: .default, pages: limit)
                    #expect(items.map(\.tombstone) == stones(0..<2, .creator).reversed())
                    if limit == 1 { continue }
                    let all = try await control.denied(nil, tenant: .default, pages: limit)
                    #expect(all.count == 1_105 && Set(all.map(\.tombstone)).count == 1_105)
                    #expect(all.first?.tombstone.kind == .creator)
                    #expect(all.suffix(3).map(\.tombstone) == stones(0..<3).reversed())
                }
            }
            let first = try await control.tombstones(kind: nil, after: nil, limit: 2, tenant: .default)
            try await add(stones(0..<1))
            let place = try #require(first.last.map { TombstonePlace(epoch: $0.epoch, tombstone: $0.tombstone) })
            let rest = try await control.tombstones(kind: nil, after: place, limit: 2_000, tenant: .default)
            #expect(rest.count == 1_102)
            #expect(rest.suffix(2).map(\.tombstone) == stones(1..<3).reversed())
            // Places are by bytes.
            let accents = ["caf\u{e9}", "cafe\u{301}"].map { Tombstone(kind: .category, key: id($0)) }
            try await add(accents)
            #expect(
                Set(try await control.denied(.category, tenant: .default, pages: 1).map(\.tombstone)) == Set(accents)
            )
        }
    }

    @Test("what expired longer ago than the grace is deleted, a part at a time; the rest stays")
    func ends() async throws {
        try await withDatabase { database in
            let control = database.control
            func add(_ range: Range<Int>, until end: Timestamp?) async throws {
                _ = try await control.addTombstones(stones(range), reason: nil, expiresAt: end, tenant: .default)
            }
            try await add(0..<2_500, until: Self.past)
            try await add(3_000..<3_001, until: nil)
            try await add(3_001..<3_002, until: Timestamp(seconds: 4_000_000_000))
            try await add(3_002..<3_003, until: Self.past)
            try await database.client.execute(
                "UPDATE tombstones SET expires_at = now() - interval '10 minutes' WHERE key = 'i3002'"
            )
            let head: Int64 = try await database.value("SELECT max(id) FROM control_log")
            let hour = Duration.seconds(3_600)
            #expect(try await !control.deleteExpired(after: hour), "a set waits to be folded")
            while try await control.fold() {}
            #expect(try await database.count("tombstones") == 2_503)
            #expect(try await control.deleteExpired(after: hour))
            #expect(try await database.count("tombstones") == 1_503, "a thousand under one lock")
            while try await control.deleteExpired(after: hour) {}
            #expect(
                try await database.values("SELECT key FROM tombstones ORDER BY key", as: String.self)
                    == ["i3000", "i3001", "i3002"]
            )
            #expect(try await control.denied(nil, tenant: .default).map(\.tombstone.key.string) == ["i3001", "i3000"])
            // It is no change: nobody has to read anything.
            #expect(try await database.value("SELECT max(id) FROM control_log") == head)
            let one = database.node()
            try await one.catchUp()
            #expect(one.state(of: .default)?.denials.count == 2)
        }
    }

    @Test(
        "what is deleted at its end does not come back by an earlier set, and a node that knew it without an end learns"
    )
    func doesNotComeBack() async throws {
        try await withDatabase { database in
            let control = database.control
            let behind = database.node()
            _ = try await control.addTombstones(stones(0..<1_500), reason: nil, expiresAt: nil, tenant: .default)
            try await behind.catchUp()
            _ = try await control.addTombstones(stones(0..<2), reason: nil, expiresAt: Self.past, tenant: .default)
            #expect(try await !control.deleteExpired(after: .zero))
            #expect(try await database.count("tombstones") == 2, "nothing is deleted while the set waits")
            while try await control.fold() {}
            #expect(try await database.count("tombstones") == 1_500)
            #expect(try await !control.deleteExpired(after: .zero))
            #expect(try await database.count("tombstones") == 1_498)
            let fresh = database.node()
            for node in [behind, fresh] {
                try await node.catchUp()
                #expect(node.denied(0..<2_000) == Array(2..<1_500))
            }
            // Denied again, it is.
            let again = try await control.addTombstones(
                stones(0..<1),
                reason: nil,
                expiresAt: nil,
                tenant: .default
            )
            #expect(again.changed == 1)
            for node in [behind, fresh] {
                try await node.catchUp()
                #expect(node.denied(0..<2) == [0])
            }
        }
    }

    @Test("removals that no node can lack are deleted a part at a time")
    func removals() async throws {
        try await withDatabase { database in
            let control = database.control
            try await database.client.execute(
                """
                INSERT INTO tombstone_removals (tenant, kind, key, epoch)
                SELECT 1, 'item', 'k' || n, 0 FROM generate_series(1, 15000) AS n
                """
            )
            _ = try await control.purge(.surface("home"), tenant: .default)
            #expect(try await control.prune(olderThan: .seconds(3_600)))
            #expect(try await database.count("tombstone_removals") == 5_000)
            #expect(try await !control.prune(olderThan: .seconds(3_600)))
            #expect(try await database.count("tombstone_removals") == 0)
        }
    }
}

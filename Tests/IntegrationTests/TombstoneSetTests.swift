import Postgres
import PostgresAdapters
import RecommendationCore
import Serving
import Testing

/// Tombstones in bulk: one change, whole or not at all, that nobody waits for.
@Suite("tombstone sets in PostgreSQL")
struct TombstoneSetTests {
    private static func fold(_ database: Database) async throws {
        while try await database.control.fold() {}
    }

    @Test("a set is one row of the log that points to it, and what it says survives its folding")
    func whole() async throws {
        try await withDatabase { database in
            let control = database.control
            let node = database.node()
            try await node.catchUp()
            _ = try await control.addTombstones(stones(0..<3), reason: "a", expiresAt: nil, tenant: .default)
            let until = Timestamp(seconds: 1_900_000_000)
            let before = try await database.count("control_log")
            let many = try await control.addTombstones(
                stones(0..<2_500) + stones(0..<1, .creator),
                reason: "recalled",
                expiresAt: until,
                tenant: .default
            )
            #expect(many.changed == 2_498)
            #expect(try await database.count("control_log") == before + 1)
            #expect(
                try await database.value(
                    "SELECT jsonb_array_length(payload->'sets') FROM control_log WHERE id = $1",
                    [many.epoch]
                )
                    == Int32(2)
            )
            for isFolded in [false, true] {
                if isFolded { try await Self.fold(database) }
                let fresh = database.node()
                for each in [node, fresh] {
                    try await each.catchUp()
                    #expect(each.appliedID == many.epoch)
                    #expect(each.state(of: .default)?.denials.count == 2_501)
                    #expect(each.state(of: .default)?.denials.contains(.creator, "i0") == true)
                    #expect(each.state(of: .default)?.denials.until == until)
                }
                let listed = try await control.denied(.item, tenant: .default)
                #expect(listed.count == 2_500)
                #expect(
                    listed.allSatisfy { $0.reason == "recalled" && $0.epoch == many.epoch && $0.expiresAt == until }
                )
                #expect(try await database.count("tombstones") == (isFolded ? 2_501 : 3))
                #expect(try await (database.count("tombstone_sets") == 0) == isFolded)
            }
            #expect(try await database.count("tombstone_set_keys") == 0)
            let removed = try await control.removeTombstones(stones(500..<2_600), tenant: .default)
            #expect(removed.changed == 2_000)
            try await node.catchUp()
            #expect(node.denied(0..<2_600) == Array(0..<500))
        }
    }

    @Test(
        "whoever denies one thing does not wait for a hundred thousand that are being staged, nor does a node for its change"
    )
    func single() async throws {
        try await withDatabase { database in
            let control = database.control
            let node = database.node()
            try await node.catchUp()
            try await withThrowingTaskGroup(of: Int64.self) { group in
                try await database.client.withSession { session in
                    // Staging stops here, with its transaction open.
                    try await session.execute("BEGIN")
                    try await session.execute("LOCK TABLE tombstone_set_keys IN EXCLUSIVE MODE")
                    group.addTask {
                        try await control.addTombstones(
                            stones(0..<100_000),
                            reason: nil,
                            expiresAt: nil,
                            tenant: .default
                        ).epoch
                    }
                    try await eventually("the bulk change is under way") {
                        try await database.value(
                            """
                            SELECT count(*) FROM pg_stat_activity
                            WHERE datname = current_database() AND wait_event_type = 'Lock'
                            """
                        ) == Int64(1)
                    }
                    let one = try await control.addTombstones(
                        [Tombstone(kind: .item, key: id("one"))],
                        reason: nil,
                        expiresAt: nil,
                        tenant: .default
                    )
                    try await node.catchUp()
                    #expect(node.appliedID == one.epoch)
                    #expect(node.state(of: .default)?.denials.contains(.item, "one") == true)
                    #expect(node.state(of: .default)?.denials.count == 1, "nothing of the other denies yet")
                    try await session.execute("COMMIT")
                }
                let epoch = try await group.next()
                try await node.catchUp()
                #expect(node.appliedID == epoch)
                #expect(node.state(of: .default)?.denials.count == 100_001)
            }
        }
    }

    @Test(
        "a hundred thousand are taken away though PostgreSQL has not counted them yet, and folded in short steps",
        .timeLimit(.minutes(1))
    )
    func beforeStatistics() async throws {
        // The server's autovacuum is off, as it is late in production.
        try await withDatabase { database in
            let control = database.control
            let all = stones(0..<100_000)
            for isFolded in [false, true] {
                let added = try await control.addTombstones(all, reason: nil, expiresAt: nil, tenant: .default)
                #expect(added.changed == 100_000)
                if isFolded { try await Self.fold(database) }
                // Each in one transaction, which has ten seconds.
                let removed = try await control.removeTombstones(all, tenant: .default)
                #expect(removed.changed == 100_000, "folded: \(isFolded)")
            }
            try await Self.fold(database)
            #expect(try await database.count("tombstones") == 0)
        }
    }

    @Test("a bulk change that breaks off leaves nothing")
    func brokenOff() async throws {
        try await withDatabase { database in
            let control = database.control
            // The second thousand is refused.
            try await database.client.execute("ALTER TABLE tombstone_set_keys ADD CONSTRAINT never CHECK (chunk < 1)")
            await #expect(throws: RepositoryError.self) {
                try await control.addTombstones(stones(0..<1_500), reason: nil, expiresAt: nil, tenant: .default)
            }
            for table in ["tombstones", "tombstone_sets", "tombstone_set_keys", "control_log"] {
                #expect(try await database.count(table) == 0, "\(table)")
            }
            try await database.client.execute("ALTER TABLE tombstone_set_keys DROP CONSTRAINT never")
            let added = try await control.addTombstones(
                stones(0..<1_500),
                reason: nil,
                expiresAt: nil,
                tenant: .default
            )
            #expect(added.changed == 1_500)
        }
    }

    @Test(
        "changes of few and of many, folding and deleting between them: running nodes, nodes that start and the list agree",
        arguments: [1, 2, 3]
    )
    func agreement(seed: UInt64) async throws {
        try await withDatabase { database in
            let control = database.control
            let node = database.node()
            try await node.catchUp()
            var generator = Numbers(state: seed)
            var model: Set<Int> = []
            for step in 0..<40 {
                let isMany = generator.next(3) == 0
                let start = generator.next(2_000)
                let range = start..<(start + (isMany ? 1_001 + generator.next(800) : 1 + generator.next(300)))
                switch generator.next(6) {
                case 5:
                    // It has ended already: who denies it for good by an earlier change does not any more.
                    let added = try await control.addTombstones(
                        stones(range),
                        reason: nil,
                        expiresAt: Timestamp(seconds: 1_700_000_000),
                        tenant: .default
                    )
                    #expect(added.changed == range.count - model.intersection(range).count, "step \(step)")
                    model.subtract(range)
                case 0, 1:
                    let added = try await control.addTombstones(
                        stones(range),
                        reason: nil,
                        expiresAt: nil,
                        tenant: .default
                    )
                    #expect(added.changed == range.count - model.intersection(range).count, "step \(step)")
                    model.formUnion(range)
                case 2, 3:
                    let removed = try await control.removeTombstones(stones(range), tenant: .default)
                    #expect(removed.changed == model.intersection(range).count, "step \(step)")
                    model.subtract(range)
                default: break
                }
                for _ in 0..<generator.next(4) { _ = try await control.fold() }
                if generator.next(2) == 0 { while try await control.deleteExpired(after: .zero) {} }
                // A node that is some changes behind reads all of them at once.
                if generator.next(3) > 0 { try await node.catchUp() }
                if step % 4 == 3 {
                    try await node.catchUp()
                    let fresh = database.node()
                    try await fresh.catchUp()
                    let expected = model.sorted()
                    #expect(node.denied(0..<4_000) == expected, "step \(step)")
                    #expect(fresh.denied(0..<4_000) == expected, "step \(step)")
                    let listed = try await control.denied(nil, tenant: .default, pages: 1 + generator.next(900))
                    #expect(listed.count == expected.count, "step \(step)")
                    #expect(
                        Set(listed.map(\.tombstone.key.string)) == Set(expected.map { "i\($0)" }),
                        "step \(step)"
                    )
                    #expect(zip(listed, listed.dropFirst()).allSatisfy { $0.epoch >= $1.epoch })
                }
            }
            try await Self.fold(database)
            while try await control.deleteExpired(after: .zero) {}
            #expect(try await database.count("tombstones") == Int64(model.count))
        }
    }

    @Test("what a program of the version before takes away is noticed; while it is in the fleet there are no sets")
    func versionBefore() async throws {
        try await withDatabase { database in
            let control = database.control
            let node = database.node()
            _ = try await control.addTombstones(stones(0..<3), reason: nil, expiresAt: nil, tenant: .default)
            try await node.catchUp()
            try await database.client.transaction { transaction in
                try transaction.execute("INSERT INTO control_log (tenant, kind) VALUES (1, 'tombstones')")
                try transaction.execute("DELETE FROM tombstones WHERE tenant = 1 AND key = 'i1'")
            }
            try await node.catchUp()
            #expect(node.denied(0..<3) == [0, 2])

            let insert: PostgresStatement = """
                INSERT INTO nodes (node_id, started_at, version, http_url, admin_url, control_applied, policy, l1_entries,
                                   l1_bytes, seen_at)
                VALUES ('old', now(), '0', '', '', 0, 'p0', 0, 0, now())
                ON CONFLICT (node_id) DO UPDATE SET started_at = now() + interval '1 second'
                """
            try await database.client.execute(insert)
            func change() async throws -> Int {
                try await control.addTombstones(stones(0..<1_001), reason: nil, expiresAt: nil, tenant: .default)
                    .changed
            }
            await #expect(throws: RepositoryError.self) { try await change() }
            #expect(try await database.count("tombstone_sets") == 0)
            // It takes a thousand, as before.
            _ = try await control.addTombstones(stones(0..<1_000), reason: nil, expiresAt: nil, tenant: .default)
            try await database.client.execute("UPDATE nodes SET reads_sets_since = started_at")
            #expect(try await change() == 1)
            // The version before, started again under the same name.
            try await database.client.execute(insert)
            await #expect(throws: RepositoryError.self) { try await change() }
        }
    }

    @Test(
        "of the log what is old is deleted: a node that is behind it reads everything, one that is not what has changed"
    )
    func pruned() async throws {
        try await withDatabase { database in
            let control = database.control
            let (ahead, behind) = (database.node(), database.node())
            _ = try await control.addTombstones(stones(0..<10), reason: nil, expiresAt: nil, tenant: .default)
            try await behind.catchUp()
            _ = try await control.removeTombstones(stones(0..<4), tenant: .default)
            _ = try await control.addTombstones(stones(20..<22), reason: nil, expiresAt: nil, tenant: .default)
            let head = try await control.purge(.surface("home"), tenant: .default)
            try await ahead.catchUp()
            #expect(try await control.prune(olderThan: .seconds(3_600)) == false)
            #expect(try await database.count("control_log") == 4)
            try await database.client.execute("UPDATE control_log SET created_at = now() - interval '2 hours'")
            #expect(try await control.prune(olderThan: .seconds(3_600)) == false)
            #expect(try await database.values("SELECT id FROM control_log", as: Int64.self) == [head])
            #expect(try await database.count("tombstone_removals") == 0)

            let delta = try await control.delta(after: head, items: nil)
            #expect(delta.head == head && delta.tenants.isEmpty && delta.keys == nil)
            _ = try await control.addTombstones(stones(30..<31), reason: nil, expiresAt: nil, tenant: .default)
            let next = try await control.delta(after: head, items: nil)
            #expect(next.tombstones[.default]?.isWhole == false && next.tombstones[.default]?.changes.count == 1)
            for node in [ahead, behind] {
                try await node.catchUp()
                #expect(node.denied(0..<40) == [4, 5, 6, 7, 8, 9, 20, 21, 30])
                #expect(node.state(of: .default)?.control.generations.surfaces == ["home": head])
            }
        }
    }

    /// SplitMix64.
    private struct Numbers {
        var state: UInt64

        mutating func next(_ limit: Int) -> Int {
            self.state &+= 0x9E37_79B9_7F4A_7C15
            var z = self.state
            z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
            return Int((z ^ (z >> 31)) % UInt64(limit))
        }
    }
}

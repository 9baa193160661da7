import Logging
import Postgres
import PostgresAdapters
import RecommendationCore
import Synchronization
import Testing
import Training

/// What is exported and imported into an empty store is exported again byte for byte.
@Suite("Export and import")
struct RoundTripTests {
    private static let hostile = [
        "a|b", "{x}", "*", "a/b", "\\n", "\"quoted\"", "caf\u{e9}", "cafe\u{301}", "👩‍👩‍👧", "a b", " lead", "%2F", "a\\",
        "\u{2028}", "١٢", "NULL", "\\N", String(repeating: "x", count: 128),
    ]

    private static func export(_ kind: DocumentKind, _ database: Database) async throws -> [UInt8] {
        let bytes = Mutex<[UInt8]>([])
        _ = try await ExportService(repository: database.exports).run(kind, tenant: .default) { part in
            bytes.withLock { $0 += part }
        }
        return bytes.withLock { $0 }
    }

    private static func importAll(_ files: [DocumentKind: [UInt8]], into database: Database) async throws {
        let service = ImportService(repository: database.imports, log: .silent)
        for kind in [DocumentKind.items, .users, .feedback] {
            let file = try ScratchFile(files[kind]!)
            let input = ImportInput(path: file.path, format: .ndjson, kind: kind)
            let report = try await service.run(input, tenant: .default) { _ in }
            #expect(report.rejected.count == 0, "\(report.rejected.first)")
        }
    }

    private static func exportAll(_ database: Database) async throws -> [DocumentKind: [UInt8]] {
        var files: [DocumentKind: [UInt8]] = [:]
        for kind in DocumentKind.allCases { files[kind] = try await Self.export(kind, database) }
        return files
    }

    /// Everything a store can hold of a tenant, by SQL, because no one interface writes all of it.
    private static func fill(_ database: Database) async throws {
        let ids = Self.hostile
        try await database.client.execute(
            """
            INSERT INTO items (tenant, number, item_id, title, categories, creator, campaigns, labels, price, regions,
                               available_from, available_until, in_stock, hidden, created_at)
            SELECT 1, place, id, 'Title ' || chr(10) || chr(9) || chr(1) || id, ARRAY[id, 'Drama', '👾'],
                   CASE WHEN place % 2 = 0 THEN id END, ARRAY['spring'], jsonb_build_object(id, id, 'lang', 'en'),
                   (ARRAY['NaN', '1.7976931348623157e308', '5e-324', '-0', '0.1', '9.99', NULL])[place % 7 + 1]::float8,
                   ARRAY['DE', 'FR'],
                   (ARRAY['4713-01-01 BC', '0001-01-01', '1969-12-31 23:59:59.999999', '2024-02-29 23:59:59.5', NULL]
                   )[place % 5 + 1]::timestamptz,
                   (ARRAY['294247-01-01', '9999-12-31 23:59:59.999999', 'infinity', '10000-01-01', NULL]
                   )[place % 5 + 1]::timestamptz,
                   place % 3 = 0, place % 4 = 0, timestamptz '2025-01-01' + place * interval '1.000001 s'
            FROM unnest($1::text[]) WITH ORDINALITY AS given (id, place)
            """,
            [ids]
        )
        try await database.client.execute("INSERT INTO item_numbers VALUES (1, 1000)")
        try await database.client.execute(
            """
            INSERT INTO user_state (tenant, user_id, version, consent)
            SELECT 1, id, nextval('user_version_seq'), place % 3 <> 0
            FROM unnest($1::text[]) WITH ORDINALITY AS given (id, place)
            """,
            [ids]
        )
        try await database.client.executeScript(
            """
            INSERT INTO users (tenant, user_id, labels, preferred_categories)
            SELECT 1, user_id, jsonb_build_object('country', user_id), ARRAY[user_id] FROM user_state WHERE number % 2 = 0;
            INSERT INTO suppressions (user_number, kind, key)
            SELECT number, kind, user_id FROM user_state, unnest(ARRAY['item', 'creator', 'category']) kind
            WHERE number % 5 = 0;
            INSERT INTO interactions (tenant, user_number, item_number, type, value, occurred_at, event_id,
                                      recommendation_id, position)
            SELECT 1, u.number, i.number, 1 + (u.number + i.number) % 8,
                   (ARRAY['1', '-1e6', '1e6', '1e-45', '-0', '0.1', '3.4'])[(u.number + i.number) % 7 + 1]::real,
                   (ARRAY['1970-01-01', '2200-01-01', '2024-02-29 12:00:00.123456', '2026-01-01'])[u.number % 4 + 1]
                       ::timestamptz,
                   CASE WHEN i.number % 2 = 0 THEN u.user_id || left(i.item_id, 4) END,
                   CASE WHEN i.number % 3 = 0 THEN '\\x00ff10'::bytea END, CASE WHEN i.number % 3 = 0 THEN 7 END
            FROM user_state u, items i WHERE length(u.user_id) < 100;
            INSERT INTO interactions (tenant, user_number, item_number, type, value, occurred_at)
            SELECT tenant, user_number, item_number, type, value, occurred_at FROM interactions
            WHERE event_id IS NULL AND recommendation_id IS NULL LIMIT 10
            """
        )
    }

    @Test("all fields, hostile ids, nulls, extreme moments and numbers come back byte for byte")
    func everything() async throws {
        try await withDatabase { source in
            try await Self.fill(source)
            let first = try await Self.exportAll(source)
            #expect(first[.items]!.split(separator: 10).count == Self.hostile.count)
            #expect(first[.feedback]!.split(separator: 10).count == (Self.hostile.count - 1) * Self.hostile.count)
            try await withDatabase { target in
                try await Self.importAll(first, into: target)
                let second = try await Self.exportAll(target)
                for kind in DocumentKind.allCases {
                    #expect(second[kind] == first[kind], "\(kind)")
                }
                // A rerun changes nothing.
                let versions: String = try await target.value(
                    "SELECT string_agg(version::text, ',' ORDER BY number) FROM user_state"
                )
                let generations: Int64 = try await target.count("control_log")
                try await Self.importAll(first, into: target)
                #expect(try await Self.exportAll(target) == first)
                #expect(
                    try await target.value("SELECT string_agg(version::text, ',' ORDER BY number) FROM user_state")
                        == versions
                )
                #expect(try await target.count("control_log") == generations)
            }
        }
    }

    @Test("a tenant that does not exist cannot be exported, and nothing of another is in an export")
    func tenants() async throws {
        try await withDatabase { database in
            try await Self.fill(database)
            let service = ExportService(repository: database.exports)
            await #expect(throws: RepositoryError.conflict("no such tenant")) {
                try await service.run(.items, tenant: id("nobody")) { _ in }
            }
            try await database.imports.ensureTenant(id("shop"))
            for kind in DocumentKind.allCases {
                let count = try await service.run(kind, tenant: id("shop")) { _ in }
                #expect(count == 0)
            }
        }
    }

    @Test("events that are there, by id or by all that makes them known, are stored once, whatever their order")
    func mixed() async throws {
        try await withDatabase { database in
            try await database.addItems("i1", "i2")
            func line(_ line: Int, _ user: String, at seconds: Int64, id: String? = nil) -> ImportedInteraction {
                ImportedInteraction(
                    line: line,
                    user: User.ID(trusted: user),
                    item: Item.ID(trusted: "i1"),
                    type: .click,
                    value: 1,
                    occurredAt: Timestamp(seconds: 1_700_000_000 + seconds),
                    eventID: id
                )
            }
            let lines = [
                line(1, "a", at: 5), line(2, "b", at: 1, id: "e1"), line(3, "a", at: 1), line(4, "a", at: 5),
                line(5, "b", at: 0, id: "e2"), line(6, "c", at: 9, id: "e1"),
            ]
            let run = database.imports.interactions(tenant: .default)
            let first = try await run.store(lines)
            #expect(first.stored == 4 && first.unchanged == 2)
            // Later ones go straight in, earlier ones are compared.
            let second = try await run.store([line(7, "a", at: 3), line(8, "a", at: 5), line(9, "a", at: 6)])
            #expect(second.stored == 2 && second.unchanged == 1 && second.raised.isEmpty)
            // One id that is there sends the whole chunk the long way.
            let third = try await run.store([line(10, "a", at: 7, id: "e3"), line(11, "d", at: 7, id: "e2")])
            #expect(third.stored == 1 && third.unchanged == 1)
            let fourth = try await run.store([line(12, "a", at: 8, id: "e4")])
            #expect(fourth.stored == 1)
            #expect(try await run.unknownItems(of: lines).isEmpty)
            let again = try await database.imports.interactions(tenant: .default).store(lines.reversed())
            #expect(again == ImportedChunk(stored: 0, unchanged: 6, unknownItems: [], raised: []))
            #expect(try await database.count("interactions") == 8)
        }
    }

    @Test("the claim of an event that a reset has retired still holds, and an item made anew has its new number")
    func stale() async throws {
        try await withDatabase { database in
            try await database.addItems("i1")
            try await database.client.execute("INSERT INTO retired_events (tenant, event_id) VALUES (1, 'gone')")
            func line(_ line: Int, id: String?) -> ImportedInteraction {
                ImportedInteraction(
                    line: line,
                    user: User.ID(trusted: "a"),
                    item: Item.ID(trusted: "i1"),
                    type: .click,
                    value: 1,
                    occurredAt: Timestamp(seconds: 1_700_000_000 + Int64(line)),
                    eventID: id
                )
            }
            let run = database.imports.interactions(tenant: .default)
            let first = try await run.store([line(1, id: "gone"), line(2, id: "new")])
            #expect(first.stored == 1 && first.unchanged == 1)
            try await database.client.execute("DELETE FROM items")
            _ = try await database.imports.finish(tenant: .default)
            #expect(try await run.store([line(3, id: nil)]).unknownItems == [3])
            try await database.addItems("i1")
            _ = try await database.imports.finish(tenant: .default)
            #expect(try await run.store([line(4, id: nil)]).stored == 1)
            #expect(try await database.values("SELECT max(item_number) FROM interactions", as: Int32.self) == [1])
            // A user who was erased between two chunks is made again.
            try await database.client.executeScript("DELETE FROM interactions; DELETE FROM user_state")
            #expect(try await run.store([line(5, id: nil)]).raised == [id("a")])
        }
    }

    @Test("users are changed only where they differ, and their versions raised then")
    func users() async throws {
        try await withDatabase { database in
            let plain = ImportedUser(id: id("a"), labels: ["country": "DE"])
            let refusing = ImportedUser(
                id: id("b"),
                consent: false,
                suppressions: [Suppression(kind: .item, key: id("i1")), Suppression(kind: .creator, key: id("c"))]
            )
            let first = try await database.imports.store(users: [plain, refusing], tenant: .default)
            #expect(first == ImportedCounts(new: 2))
            let state = try await database.users.state(of: id("b"), tenant: .default)
            #expect(!state.consent && Set(state.suppressions) == Set(refusing.suppressions!))
            #expect(
                try await database.imports.store(users: [plain, refusing], tenant: .default)
                    == ImportedCounts(unchanged: 2)
            )
            #expect(try await database.users.version(of: id("b"), tenant: .default) == state.version)
            // What a file does not say stays; a list that it gives is all there is.
            var other = refusing
            other.consent = nil
            other.suppressions = [Suppression(kind: .creator, key: id("c"))]
            #expect(try await database.imports.store(users: [other], tenant: .default) == ImportedCounts(changed: 1))
            let after = try await database.users.state(of: id("b"), tenant: .default)
            #expect(!after.consent && after.suppressions == other.suppressions && after.version > state.version)
            #expect(try await database.count("invalidations") == 0)
        }
    }
}

import Postgres
import PostgresAdapters
import RecommendationCore
import Testing

@Suite("imports into PostgreSQL")
struct ImportTests {
    private static func line(
        _ line: Int,
        _ user: String,
        _ item: String = "i1",
        _ type: EventType = .click,
        at seconds: Int64 = 0,
        id: String? = nil
    ) -> ImportedInteraction {
        ImportedInteraction(
            line: line,
            user: User.ID(trusted: user),
            item: Item.ID(trusted: item),
            type: type,
            value: 1,
            occurredAt: Timestamp(seconds: 1_577_836_800 + seconds),
            eventID: id
        )
    }

    private static func numbers(_ database: Database, tenant: Tenant.ID = .default) async throws -> [String: UInt32] {
        let items = try await database.training.items(tenant: tenant)
        return Dictionary(uniqueKeysWithValues: items.map { ($0.item.id.string, $0.number) })
    }

    private static func title(_ id: String, _ database: Database) async throws -> String {
        try await database.value("SELECT title FROM items WHERE item_id = $1", [id])
    }

    // MARK: Items

    @Test("items are new, changed or as they were")
    func itemCounts() async throws {
        try await withDatabase { database in
            let first = try await database.imports.store(items: [item("a"), item("b"), item("c")], tenant: .default)
            #expect(first == ImportedCounts(new: 3, changed: 0, unchanged: 0))
            let second = try await database.imports.store(
                items: [item("a"), item("b", title: "B"), item("c", categories: ["x"]), item("d")],
                tenant: .default
            )
            #expect(second == ImportedCounts(new: 1, changed: 2, unchanged: 1))
            #expect(try await Self.title("b", database) == "B")
            #expect(
                try await database.imports.store(items: [], tenant: .default)
                    == ImportedCounts()
            )
            #expect(try await Self.numbers(database) == ["a": 0, "b": 1, "c": 2, "d": 3])
        }
    }

    @Test("an item that is as it was is not touched")
    func untouched() async throws {
        try await withDatabase { database in
            try await database.addItems("a")
            let before: Int64 = try await database.value("SELECT revision FROM items")
            try await database.addItems("a")
            #expect(try await database.value("SELECT revision FROM items", as: Int64.self) == before)
            _ = try await database.imports.store(items: [item("a", title: "A")], tenant: .default)
            #expect(try await database.value("SELECT revision FROM items", as: Int64.self) > before)
        }
    }

    @Test("a number is never used again, even when its item is gone")
    func numbersAreNeverReused() async throws {
        try await withDatabase { database in
            try await database.addItems("a", "b")
            try await database.client.execute("DELETE FROM items WHERE item_id = 'b'")
            try await database.addItems("c")
            try await database.client.execute("DELETE FROM items")
            try await database.addItems("b", "a")
            #expect(try await Self.numbers(database) == ["b": 3, "a": 4])
        }
    }

    @Test("each tenant counts its items by itself, and the same id names another item")
    func tenants() async throws {
        try await withDatabase { database in
            let shop = Tenant.ID(trusted: "shop")
            try await database.imports.ensureTenant(shop)
            try await database.imports.ensureTenant(shop)
            try await database.addItems("a", "b")
            #expect(try await database.imports.isEmpty(tenant: shop))
            #expect(
                try await database.imports.store(items: [item("b", title: "Other")], tenant: shop)
                    == ImportedCounts(new: 1, changed: 0, unchanged: 0)
            )
            #expect(try await Self.numbers(database, tenant: shop) == ["b": 0])
            #expect(try await Self.numbers(database) == ["a": 0, "b": 1])
            #expect(try await !database.imports.isEmpty(tenant: shop))
            #expect(try await database.imports.isEmpty(tenant: id("nobody")))
        }
    }

    @Test("of an id that comes more than once in a chunk, the last counts, for new items and known ones alike")
    func repeatedItems() async throws {
        try await withDatabase { database in
            let chunk = [item("a", title: "1"), item("b"), item("a", title: "2"), item("a", title: "3")]
            let first = try await database.imports.store(items: chunk, tenant: .default)
            #expect(first == ImportedCounts(new: 2, changed: 0, unchanged: 2))
            #expect(try await Self.title("a", database) == "3")
            #expect(try await Self.numbers(database).values.sorted() == [0, 1])
            // The same again changes nothing.
            let revision: Int64 = try await database.value("SELECT max(revision) FROM items")
            #expect(
                try await database.imports.store(items: chunk, tenant: .default)
                    == ImportedCounts(new: 0, changed: 0, unchanged: 4)
            )
            #expect(try await Self.title("a", database) == "3")
            #expect(try await database.value("SELECT max(revision) FROM items", as: Int64.self) == revision)
            let reversed = try await database.imports.store(items: chunk.reversed(), tenant: .default)
            #expect(reversed == ImportedCounts(new: 0, changed: 1, unchanged: 3))
            #expect(try await Self.title("a", database) == "1")
        }
    }

    @Test("ids are compared by bytes")
    func bytes() async throws {
        try await withDatabase { database in
            #expect(
                try await database.imports.store(items: [item("caf\u{e9}"), item("cafe\u{301}")], tenant: .default)
                    == ImportedCounts(new: 2)
            )
            let chunk = try await database.imports.interactions(tenant: .default).store(
                [Self.line(1, "caf\u{e9}", "caf\u{e9}"), Self.line(2, "cafe\u{301}", "caf\u{e9}")]
            )
            #expect(chunk.stored == 2)
            #expect(try await database.count("user_state") == 2)
        }
    }

    @Test("imports at once give every item one number, without a gap")
    func concurrentItems() async throws {
        try await withDatabase { database in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for task in 0..<6 {
                    group.addTask {
                        // Half of each chunk is every other task's, too.
                        let items = (0..<20).map { item("own-\(task)-\($0)") } + (0..<20).map { item("shared-\($0)") }
                        _ = try await database.imports.store(items: items, tenant: .default)
                    }
                }
                try await group.waitForAll()
            }
            #expect(try await Self.numbers(database).values.sorted() == Array(0..<140))
        }
    }

    @Test("many chunks, whatever their size, are one catalogue")
    func manyItems() async throws {
        try await withDatabase { database in
            let all = (0..<5_000).map { item("item-\($0)", categories: ["c\($0 % 7)"]) }
            for start in stride(from: 0, to: all.count, by: 1_700) {
                _ = try await database.imports.store(
                    items: Array(all[start..<min(start + 1_700, all.count)]),
                    tenant: .default
                )
            }
            let stored = try await database.training.items(tenant: .default)
            #expect(stored.map(\.item) == all)
            #expect(stored.map { Int($0.number) } == Array(0..<5_000))
        }
    }

    // MARK: Interactions

    @Test("a second run of the same file stores nothing and raises nobody")
    func rerun() async throws {
        try await withDatabase { database in
            try await database.addItems("i1", "i2")
            let lines = [
                Self.line(1, "ann", at: 1), Self.line(2, "ann", "i2", at: 2), Self.line(3, "bob", id: "e1"),
                Self.line(4, "ann", "i1", .purchase, at: 1),
            ]
            let first = try await database.imports.interactions(tenant: .default).store(lines)
            #expect(first.stored == 4 && first.unchanged == 0 && first.unknownItems.isEmpty)
            #expect(Set(first.raised) == [id("ann"), id("bob")])
            let version = try await database.users.version(of: id("ann"), tenant: .default)
            let second = try await database.imports.interactions(tenant: .default).store(lines)
            #expect(second == ImportedChunk(stored: 0, unchanged: 4, unknownItems: [], raised: []))
            #expect(try await database.users.version(of: id("ann"), tenant: .default) == version)
            #expect(try await database.count("interactions") == 4)
        }
    }

    @Test("lines that are repeated inside a chunk are stored once")
    func repeatedLines() async throws {
        try await withDatabase { database in
            try await database.addItems("i1")
            let lines = [
                Self.line(1, "ann"), Self.line(2, "ann"), Self.line(3, "ann", id: "e1"),
                Self.line(4, "bob", at: 9, id: "e1"),
            ]
            let chunk = try await database.imports.interactions(tenant: .default).store(lines)
            #expect(chunk.stored == 2 && chunk.unchanged == 2)
            #expect(try await database.count("interactions") == 2)
        }
    }

    @Test("lines of unknown items are named, and their users are not made")
    func unknownItems() async throws {
        try await withDatabase { database in
            try await database.addItems("i1")
            let chunk = try await database.imports.interactions(tenant: .default).store(
                [Self.line(17, "ann"), Self.line(19, "bob", "none"), Self.line(18, "ann", "gone")]
            )
            #expect(chunk == ImportedChunk(stored: 1, unchanged: 0, unknownItems: [18, 19], raised: [id("ann")]))
            #expect(try await database.users.state(of: id("bob"), tenant: .default) == .unknown)
        }
    }

    @Test("an event that came as feedback before is known again by its id")
    func eventOfFeedback() async throws {
        try await withDatabase { database in
            try await database.addItems("i1")
            _ = try await database.feedback.record(
                [event(by: "ann", id: "e1")],
                tenant: .default,
                invalidating: invalidating
            )
            let chunk = try await database.imports.interactions(tenant: .default).store(
                [Self.line(1, "ann", id: "e1")]
            )
            #expect(chunk == ImportedChunk(stored: 0, unchanged: 1, unknownItems: [], raised: []))
        }
    }

    @Test("a user's version is raised once in an import, without a row in the journal")
    func raisedOnce() async throws {
        try await withDatabase { database in
            try await database.addItems("i1")
            let before = try await database.feedback.record(
                [event(by: "ann")],
                tenant: .default,
                invalidating: invalidating
            )
            let run = database.imports.interactions(tenant: .default)
            let first = try await run.store([Self.line(1, "ann", at: 1), Self.line(2, "bob", at: 1)])
            #expect(Set(first.raised) == [id("ann"), id("bob")])
            let raised = try await database.users.version(of: id("ann"), tenant: .default)
            #expect(raised > before.outcomes[0].version ?? .max)
            let second = try await run.store([Self.line(3, "ann", at: 2), Self.line(4, "eve", at: 1)])
            #expect(second.stored == 2)
            #expect(second.raised == [id("eve")])
            #expect(try await database.users.version(of: id("ann"), tenant: .default) == raised)
            #expect(try await database.count("invalidations") == 1)
            #expect(try await database.users.state(of: id("ann"), tenant: .default).history.count == 3)
        }
    }

    @Test("the end of an import raises the tenant's generation, and nodes learn of it")
    func finish() async throws {
        try await withDatabase { database in
            let before = try await database.control.delta(after: nil, items: nil)
            let generation = try await database.imports.finish(tenant: .default)
            let delta = try await database.control.delta(after: before.head, items: before.itemPosition)
            #expect(delta.head == generation)
            #expect(delta.tenants.map(\.generations) == [Generations(tenant: generation)])
            #expect(try await database.imports.finish(tenant: .default) > generation)
        }
    }

    @Test("statistics are gathered of the tables that were filled, and of no others")
    func statistics() async throws {
        try await withDatabase { database in
            try await database.addItems("i1", "i2")
            let imported = try await database.imports.interactions(tenant: .default)
                .store((0..<3_000).map { Self.line($0, "u\($0 % 30)", at: Int64($0)) })
            #expect(imported.stored == 3_000)
            let analyzed: PostgresStatement =
                """
                SELECT coalesce(string_agg(relname, ' ' ORDER BY relname), '') FROM pg_stat_user_tables
                WHERE last_analyze IS NOT NULL
                """
            #expect(try await database.value(analyzed, as: String.self) == "")
            try await database.imports.analyze([.interactions])
            // How many rows there are is what a plan turns on.
            let rows: Float = try await database.value(
                "SELECT reltuples FROM pg_class WHERE oid = 'interactions'::regclass"
            )
            #expect(rows == 3_000)
            let users: Float = try await database.value(
                "SELECT n_distinct FROM pg_stats WHERE tablename = 'interactions' AND attname = 'user_number'"
            )
            #expect(users == 30)
            let items: Float = try await database.value("SELECT reltuples FROM pg_class WHERE oid = 'items'::regclass")
            #expect(items == -1)
            try await database.imports.analyze([.items, .users])
            let known: Float = try await database.value("SELECT reltuples FROM pg_class WHERE oid = 'items'::regclass")
            #expect(known == 2)
        }
    }

    @Test("two parts of a chunk, stored at once, are what one would be, and share their items and new users out")
    func lanes() async throws {
        try await withDatabase { database in
            try await database.addItems("i1", "i2")
            let rows = (0..<4_000).map { Self.line($0, "u\($0 % 300)", $0 % 7 == 0 ? "i2" : "i1", at: Int64($0)) }
            let imports = database.imports.interactions(tenant: .default)
            #expect(imports.lanes == 2)
            let halves = [rows.filter { $0.line % 2 == 0 }, rows.filter { $0.line % 2 == 1 }]
            for stored in [4_000, 0] {
                let chunks = try await withThrowingTaskGroup(of: ImportedChunk.self) { group in
                    for half in halves { group.addTask { try await imports.store(half) } }
                    return try await group.reduce(into: []) { $0.append($1) }
                }
                #expect(chunks.reduce(0) { $0 + $1.stored } == stored)
                #expect(chunks.reduce(0) { $0 + $1.raised.count } == (stored == 0 ? 0 : 300))
            }
            #expect(try await database.value("SELECT count(*) FROM interactions", as: Int.self) == 4_000)
            #expect(try await database.value("SELECT count(*) FROM user_state", as: Int.self) == 300)
        }
    }

    @Test("an import beside feedback of the same users and events loses nothing")
    func besideFeedback() async throws {
        try await withDatabase(connections: 8) { database in
            try await database.addItems("i1")
            try await withThrowingTaskGroup(of: Void.self) { group in
                for task in 0..<3 {
                    group.addTask {
                        for step in 0..<10 {
                            let lines = (0..<20).map {
                                Self.line($0, "user-\($0)", at: Int64(task * 10 + step), id: "e-\(step)-\($0)")
                            }
                            _ = try await database.imports.interactions(tenant: .default).store(lines)
                        }
                    }
                    group.addTask {
                        for step in 0..<10 {
                            let events = (0..<20).shuffled().map { event(by: "user-\($0)", id: "e-\(step)-\($0)") }
                            _ = try await database.feedback.record(events, tenant: .default, invalidating: invalidating)
                        }
                    }
                }
                try await group.waitForAll()
            }
            #expect(try await database.count("interactions") == 200)
        }
    }

    @Test("what was imported is what training reads")
    func training() async throws {
        try await withDatabase { database in
            try await database.addItems("i1", "i2")
            _ = try await database.imports.interactions(tenant: .default).store(
                [Self.line(1, "ann", "i2", .purchase, at: 5), Self.line(2, "bob", at: 6)]
            )
            let users = try await database.training.userIDs(tenant: .default)
            let rows = try await database.training.reduceInteractions(tenant: .default, into: [InteractionRow]()) {
                $0.append($1)
            }
            .sorted { $0.seconds < $1.seconds }
            #expect(rows.map { users[$0.user] } == [id("ann"), id("bob")])
            #expect(rows.map(\.item) == [1, 0])
            #expect(rows.map(\.type) == [EventType.purchase.code, EventType.click.code])
            #expect(rows.map(\.seconds) == [1_577_836_805, 1_577_836_806])
        }
    }
}

import Postgres
import PostgresAdapters
import RecommendationCore
import Testing

@Suite("control log in PostgreSQL")
struct ControlTests {
    private static func tombstone(_ key: String, _ kind: Tombstone.Kind = .item) -> Tombstone {
        Tombstone(kind: kind, key: id(key))
    }

    private static func key(_ name: String, tenant: Tenant.ID = .default) -> APIKey {
        APIKey(
            id: name,
            tenant: tenant,
            scopes: [.read, .admin],
            secretHash: Array(repeating: UInt8(name.utf8.count), count: 32),
            createdAt: Timestamp(seconds: 1_767_225_600)
        )
    }

    @Test("the first read has everything: every tenant, key and item")
    func whole() async throws {
        try await withDatabase { database in
            try await database.addItems("i1", "i2")
            try await database.keys.create(Self.key("k1"))
            let added = try await database.control.addTombstones(
                [Self.tombstone("i1")],
                reason: "recalled",
                expiresAt: nil,
                tenant: .default
            )
            let delta = try await database.control.delta(after: nil, items: nil)
            #expect(!delta.incarnation.isEmpty)
            #expect(delta.head == added.epoch)
            #expect(Set(delta.tenants.map(\.tenant)) == [.default, .fleet])
            #expect(delta.keys == [Self.key("k1")])
            #expect(delta.items.map(\.item.item.id.string).sorted() == ["i1", "i2"])
            let control = try #require(delta.tenants.first { $0.tenant == .default })
            #expect(
                delta.tombstones[.default]
                    == TombstoneDelta(
                        isWhole: true,
                        changes: [TombstoneChange(Self.tombstone("i1"), deniedUntil: .never)]
                    )
            )
            #expect(control.generations == Generations())
            #expect(control.activeModel == nil && control.readyModel == nil && control.previousModel == nil)
        }
    }

    @Test("the next read has only what changed")
    func onlyChanges() async throws {
        try await withDatabase { database in
            let shop = Tenant.ID(trusted: "shop")
            try await database.keys.create(Self.key("k1", tenant: shop))
            try await database.addItems("i1")
            var last = try await database.control.delta(after: nil, items: nil)
            // Items come again while any older transaction runs, of another test for example.
            try await eventually("nothing is new") {
                last = try await database.control.delta(after: last.head, items: last.itemPosition)
                return last.items.isEmpty
            }
            #expect(last.tenants.isEmpty)
            #expect(last.keys == nil)

            let added = try await database.control.addTombstones(
                [Self.tombstone("x")],
                reason: nil,
                expiresAt: nil,
                tenant: shop
            )
            var next = try await database.control.delta(after: last.head, items: last.itemPosition)
            #expect(next.head == added.epoch)
            #expect(next.incarnation == last.incarnation)
            #expect(next.tenants.map(\.tenant) == [shop])
            #expect(
                next.tombstones
                    == [
                        shop: TombstoneDelta(
                            isWhole: false,
                            changes: [TombstoneChange(Self.tombstone("x"), deniedUntil: .never)]
                        )
                    ]
            )
            #expect(next.keys == nil)
            #expect(next.items.isEmpty)

            #expect(try await database.keys.revoke("k1"))
            next = try await database.control.delta(after: next.head, items: next.itemPosition)
            #expect(next.tenants.map(\.tenant) == [shop])
            #expect(next.keys == [])

            try await database.addItems("i1", "i2")
            next = try await database.control.delta(after: next.head, items: next.itemPosition)
            #expect(next.tenants.isEmpty)
            #expect(next.keys == nil)
            // The one that was there is as it was, and is not told again.
            #expect(next.items.map(\.item.item.id.string) == ["i2"])
        }
    }

    @Test("a read without an item position reads all items, and one without a log id all tenants")
    func halves() async throws {
        try await withDatabase { database in
            try await database.addItems("i1")
            let whole = try await database.control.delta(after: nil, items: nil)
            #expect(try await database.control.delta(after: whole.head, items: nil).items.count == 1)
            #expect(try await database.control.delta(after: nil, items: whole.itemPosition).tenants.count == 2)
        }
    }

    @Test("ids of concurrent writers commit in order: a reader who polls skips none")
    func idsCommitInOrder() async throws {
        try await withDatabase(connections: 10) { database in
            let isDone = Shared(false)
            let committed = EventLog<Int64>()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for reader in 0..<2 {
                    group.addTask {
                        var last: Int64 = 0
                        var seen: [Int64] = []
                        while true {
                            let wasDone = isDone.now
                            let ids = try await database.values(
                                "SELECT id FROM control_log WHERE id > $1 ORDER BY id",
                                [last],
                                as: Int64.self
                            )
                            seen += ids
                            last = ids.last ?? last
                            if wasDone { break }
                        }
                        #expect(seen == committed.all.sorted(), "reader \(reader)")
                    }
                }
                try await withThrowingTaskGroup(of: Void.self) { writers in
                    for writer in 0..<6 {
                        writers.addTask {
                            for step in 0..<25 {
                                switch (writer + step) % 3 {
                                case 0:
                                    let stone = Self.tombstone("t\(writer)-\(step)")
                                    committed.append(
                                        try await database.control.addTombstones(
                                            [stone],
                                            reason: nil,
                                            expiresAt: nil,
                                            tenant: .default
                                        ).epoch
                                    )
                                case 1:
                                    committed.append(
                                        try await database.control.purge(.surface("s\(step)"), tenant: .default)
                                    )
                                default: committed.append(try await database.imports.finish(tenant: .default))
                                }
                            }
                        }
                    }
                    try await writers.waitForAll()
                }
                isDone.set(true)
                try await group.waitForAll()
            }
            #expect(committed.all.count == 150)
        }
    }

    @Test("a reader of deltas never misses a change of concurrent writers")
    func deltasAreComplete() async throws {
        try await withDatabase(connections: 8) { database in
            let isDone = Shared(false)
            try await withThrowingTaskGroup(of: Set<String>?.self) { group in
                group.addTask {
                    var last: ControlDelta?
                    var stones: Set<String> = []
                    while true {
                        let wasDone = isDone.now
                        let delta = try await database.control.delta(after: last?.head, items: last?.itemPosition)
                        for change in delta.tombstones[.default]?.changes ?? [] {
                            stones.insert(change.tombstone.key.string)
                        }
                        if wasDone { return stones }
                        last = delta
                    }
                }
                try await withThrowingTaskGroup(of: Void.self) { writers in
                    for writer in 0..<5 {
                        writers.addTask {
                            for step in 0..<15 {
                                _ = try await database.control.addTombstones(
                                    [Self.tombstone("t\(writer)-\(step)")],
                                    reason: nil,
                                    expiresAt: nil,
                                    tenant: .default
                                )
                            }
                        }
                    }
                    try await writers.waitForAll()
                }
                isDone.set(true)
                var stones: Set<String> = []
                for try await found in group { stones = found ?? [] }
                let final = try await database.control.delta(after: nil, items: nil)
                #expect(stones == Set(final.tombstones[.default]?.changes.map(\.tombstone.key.string) ?? []))
                #expect(stones.count == 75)
            }
        }
    }

    @Test("a control writer waits for another for a bounded time, and says that it could not")
    func lockTimeout() async throws {
        try await withDatabase { database in
            try await database.client.withSession { session in
                try await session.execute("SELECT pg_advisory_lock(7305805361)")
                await #expect(throws: RepositoryError.unavailable("PostgreSQL: 55P03")) {
                    try await database.control.purge(.surface("home"), tenant: .default)
                }
            }
            try await eventually("the lock is free") {
                do {
                    _ = try await database.control.purge(.surface("home"), tenant: .default)
                    return true
                } catch RepositoryError.unavailable { return false }
            }
        }
    }

    // MARK: Tombstones, generations, keys

    @Test("tombstones are added, added again, listed and removed")
    func tombstones() async throws {
        try await withDatabase { database in
            let control = database.control
            let stones = [
                Self.tombstone("i1"), Self.tombstone("i1", .creator), Self.tombstone("caf\u{e9}"),
                Self.tombstone("cafe\u{301}"),
            ]
            let first = try await control.addTombstones(stones, reason: "one", expiresAt: nil, tenant: .default)
            #expect(first.changed == 4)
            let until = Timestamp(seconds: 1_900_000_000)
            let again = try await control.addTombstones(
                [stones[0], Self.tombstone("i2")],
                reason: "two",
                expiresAt: until,
                tenant: .default
            )
            #expect(again.changed == 1)
            #expect(again.epoch > first.epoch)

            let all = try await control.denied(nil, tenant: .default)
            #expect(Set(all.map(\.tombstone)) == Set(stones + [Self.tombstone("i2")]))
            #expect(all.count == 5)
            let renewed = try #require(all.first { $0.tombstone == stones[0] })
            #expect(renewed.reason == "two" && renewed.expiresAt == until && renewed.epoch == again.epoch)
            #expect(try await control.denied(.creator, tenant: .default).map(\.tombstone) == [stones[1]])
            #expect(try await control.denied(nil, tenant: .fleet).isEmpty)

            let removed = try await control.removeTombstones(
                [stones[0], stones[2], Self.tombstone("never")],
                tenant: .default
            )
            #expect(removed.changed == 2)
            #expect(removed.epoch > again.epoch)
            #expect(
                Set(try await control.denied(nil, tenant: .default).map(\.tombstone))
                    == [stones[1], stones[3], Self.tombstone("i2")]
            )
            // The same key of the same kind of another tenant is another tombstone.
            #expect(try await control.removeTombstones([stones[1]], tenant: .fleet).changed == 0)
        }
    }

    @Test("a purge raises the generation of what it names, to its own log id")
    func generations() async throws {
        try await withDatabase { database in
            let control = database.control
            let surface = try await control.purge(.surface("home"), tenant: .default)
            let model = try await control.purge(.model("m1"), tenant: .default)
            let policy = try await control.purge(.policy("p1"), tenant: .default)
            let again = try await control.purge(.surface("home"), tenant: .default)
            let tenant = try await control.purge(.tenant(.fleet), tenant: .default)
            #expect(surface < model && model < policy && policy < again && again < tenant)
            let delta = try await control.delta(after: nil, items: nil)
            #expect(delta.head == tenant)
            let own = try #require(delta.tenants.first { $0.tenant == .default }).generations
            #expect(
                own
                    == Generations(
                        tenant: 0,
                        surfaces: ["home": again],
                        models: ["m1": model],
                        policies: ["p1": policy]
                    )
            )
            #expect(
                try #require(delta.tenants.first { $0.tenant == .fleet }).generations == Generations(tenant: tenant)
            )
            await #expect(throws: RepositoryError.self) { try await control.purge(.user(id("ann")), tenant: .default) }
            await #expect(throws: RepositoryError.self) {
                try await control.purge(.tenant(id("nobody")), tenant: .default)
            }
        }
    }

    @Test("a key is made, listed and revoked once, and its secret is never taken twice")
    func keys() async throws {
        try await withDatabase { database in
            let shop = Tenant.ID(trusted: "shop")
            try await database.keys.create(Self.key("k1"))
            try await database.keys.create(Self.key("key-2", tenant: shop))
            #expect(try await database.keys.keys() == [Self.key("k1"), Self.key("key-2", tenant: shop)])
            await #expect(throws: RepositoryError.self) { try await database.keys.create(Self.key("k1")) }
            #expect(try await database.keys.revoke("k1"))
            #expect(try await !database.keys.revoke("k1"))
            #expect(try await !database.keys.revoke("none"))
            #expect(try await database.keys.keys().map(\.id) == ["key-2"])
            // A key's tenant is made with it.
            let delta = try await database.control.delta(after: nil, items: nil)
            #expect(delta.tenants.contains { $0.tenant == shop })
            #expect(delta.keys?.map(\.id) == ["key-2"])
        }
    }

    // MARK: Items

    @Test("an item committed by a long transaction reaches a reader who has read past it")
    func lateItem() async throws {
        try await withDatabase { database in
            try await database.addItems("late", "quick")
            try await database.client.withSession { long in
                try await long.execute("BEGIN")
                try await long.execute("UPDATE items SET hidden = true WHERE item_id = 'late'")
                var delta = try await database.control.delta(after: nil, items: nil)
                #expect(delta.items.allSatisfy { !$0.item.item.hidden })
                for price in [1.0, 2.0, 3.0] {
                    try await database.client.execute("UPDATE items SET price = $1 WHERE item_id = 'quick'", [price])
                    delta = try await database.control.delta(after: delta.head, items: delta.itemPosition)
                    // A change does not wait for the transaction that is older.
                    #expect(delta.items.first { $0.item.item.id.string == "quick" }?.item.item.price == price)
                    #expect(!delta.items.contains { $0.item.item.hidden })
                }
                try await long.execute("COMMIT")
                delta = try await database.control.delta(after: delta.head, items: delta.itemPosition)
                #expect(delta.items.first { $0.item.item.id.string == "late" }?.item.item.hidden == true)
            }
        }
    }

    @Test("every field of an item comes back as it was given")
    func itemFields() async throws {
        try await withDatabase { database in
            let full = Item(
                id: id("caf\u{e9}"),
                title: "A \"title\", {with} \\ everything\n",
                categories: ["a,b", "", "{c}", "NULL"],
                creator: "someone",
                campaigns: ["spring"],
                price: 0.1,
                regions: ["de", "at"],
                availableFrom: Timestamp(microseconds: 1),
                availableUntil: Timestamp(microseconds: 1_900_000_000_123_456),
                inStock: false,
                hidden: true
            )
            let plain = item("cafe\u{301}")
            _ = try await database.imports.store(items: [full, plain], tenant: .default)
            let delta = try await database.control.delta(after: nil, items: nil)
            let items = delta.items.sorted { $0.item.number < $1.item.number }
            #expect(items.map(\.tenant) == [.default, .default])
            #expect(items.map(\.item.item) == [full, plain])
            #expect(items.map(\.item.number) == [0, 1])
            #expect(items.allSatisfy { $0.item.revision > 0 })
            #expect(try await database.training.items(tenant: .default) == items.map(\.item))
        }
    }

    // MARK: Incarnation

    @Test(
        "a database that is another one, or on another timeline, is another incarnation",
        arguments: ["system_identifier = system_identifier + 1", "timeline = timeline + 1"]
    )
    func incarnation(_ change: String) async throws {
        try await withDatabase { database in
            let first = try await database.control.delta(after: nil, items: nil)
            var same = try await database.control.delta(after: first.head, items: first.itemPosition)
            #expect(same.incarnation == first.incarnation)
            try await database.client.execute(PostgresStatement(trusted: "UPDATE incarnation SET \(change)"))
            let minted = try await database.control.delta(after: same.head, items: same.itemPosition)
            #expect(minted.incarnation != first.incarnation)
            #expect(!minted.incarnation.isEmpty)
            same = try await database.control.delta(after: minted.head, items: minted.itemPosition)
            #expect(same.incarnation == minted.incarnation)
            #expect(try await database.count("incarnation") == 1)
        }
    }

    @Test("of nodes that find another database at once, all get the same incarnation")
    func incarnationRace() async throws {
        try await withDatabase { database in
            for _ in 0..<5 {
                let before = try await database.control.delta(after: nil, items: nil)
                try await database.client.execute("UPDATE incarnation SET timeline = timeline + 1")
                let found = try await withThrowingTaskGroup(of: String.self) { group in
                    for _ in 0..<6 {
                        group.addTask {
                            try await database.control.delta(after: before.head, items: before.itemPosition).incarnation
                        }
                    }
                    return try await group.reduce(into: Set<String>()) { $0.insert($1) }
                }
                #expect(found.count == 1)
                #expect(!found.contains(before.incarnation))
            }
        }
    }
}

import Caching
import Postgres
import PostgresAdapters
import RecommendationCore
import Testing

@Suite("catalogue in PostgreSQL")
struct CatalogueTests {
    private static let full = Item(
        id: id("caf\u{E9}|*{x}/\u{1F680}"),
        title: #"A "title", {with} \ everything"#,
        categories: ["a,b", "NULL", "{c}"],
        creator: "c9",
        campaigns: ["spring"],
        labels: ["lang": "en", "a \"quoted\" \\ name": "tab\tand\nline \u{7F} \u{1F680}", "": ""],
        price: 0.1,
        regions: ["de", "at"],
        availableFrom: Timestamp(microseconds: 1),
        availableUntil: Timestamp(microseconds: 1_900_000_000_123_456),
        inStock: false,
        hidden: true
    )

    private static func put(_ item: Item, in database: Database, if condition: ItemCondition = .none) async throws
        -> ItemWrite
    {
        try await database.items.put(item, if: condition, tenant: .default)
    }

    private static func revision(_ write: ItemWrite) throws -> Item.Revision {
        guard case .stored(let revision, _) = write else { throw NeverHappened(description: "\(write)") }
        return revision
    }

    @Test("every field of an item comes back as it was given, and goes to the feed as it is")
    func roundTrip() async throws {
        try await withDatabase { database in
            let made = try await Self.put(Self.full, in: database)
            let revision = try Self.revision(made)
            #expect(made == .stored(revision: revision, created: true))
            let stored = try #require(try await database.items.item(Self.full.id, tenant: .default))
            #expect(stored.item == Self.full)
            #expect(stored.revision == revision)
            let delta = try await database.control.delta(after: nil, items: nil)
            #expect(
                delta.items.map(\.item) == [
                    NumberedItem(number: 0, item: Self.full, revision: revision, createdAt: stored.createdAt)
                ]
            )
        }
    }

    @Test("a put that changes nothing keeps the revision and tells the feed nothing; one that does raises it")
    func put() async throws {
        try await withDatabase { database in
            let first = try Self.revision(try await Self.put(Self.full, in: database))
            let written = try await database.value("SELECT xid FROM items", as: UInt64.self)
            var delta = try await database.control.delta(after: nil, items: nil)
            #expect(try await Self.put(Self.full, in: database) == .stored(revision: first, created: false))
            // The feed goes by the transaction of the last change.
            #expect(try await database.value("SELECT xid FROM items", as: UInt64.self) == written)
            var changes: [(inout Item) -> Void] = [
                { $0.title = "x" }, { $0.categories = [] }, { $0.creator = nil }, { $0.campaigns = ["y"] },
                { $0.labels["lang"] = "de" }, { $0.price = nil }, { $0.regions = [] }, { $0.availableFrom = nil },
                { $0.availableUntil = nil }, { $0.inStock = true },
            ]
            changes.append { $0.hidden = false }
            var item = Self.full
            var last = first
            for change in changes {
                change(&item)
                let revision = try Self.revision(try await Self.put(item, in: database))
                #expect(revision > last)
                last = revision
                delta = try await database.control.delta(after: delta.head, items: delta.itemPosition)
                #expect(delta.items.map(\.item.item) == [item])
            }
            #expect(try await database.items.item(item.id, tenant: .default)?.item == item)
        }
    }

    @Test("conditions: absent, present, at a revision; what fails changes nothing")
    func conditions() async throws {
        try await withDatabase { database in
            let plain = item("i1")
            for condition in [ItemCondition.present, .revision([1]), .revision([])] {
                #expect(try await Self.put(plain, in: database, if: condition) == .conditionFailed)
            }
            #expect(try await database.count("items") == 0)
            let revision = try Self.revision(try await Self.put(plain, in: database, if: .absent))
            let other = item("i1", title: "other")
            for condition in [ItemCondition.absent, .revision([revision + 1]), .revision([])] {
                #expect(try await Self.put(other, in: database, if: condition) == .conditionFailed)
                var patch = ItemPatch()
                patch.title = "other"
                #expect(
                    try await database.items.patch(plain.id, patch, if: condition, tenant: .default) == .conditionFailed
                )
                #expect(
                    try await database.items.delete(plain.id, if: condition, tenant: .default) == .conditionFailed
                )
            }
            #expect(try await database.items.item(plain.id, tenant: .default)?.item == plain)
            #expect(try await database.count("tombstones") == 0)
            #expect(try await database.count("control_log") == 0)
            let next = try Self.revision(try await Self.put(other, in: database, if: .revision([7, revision])))
            #expect(next > revision)
            #expect(try Self.revision(try await Self.put(plain, in: database, if: .present)) > next)
        }
    }

    @Test("of many who create the same item one does, and no number is lost or given twice")
    func concurrentCreation() async throws {
        try await withDatabase { database in
            for round in 0..<5 {
                let created = try await withThrowingTaskGroup(of: Bool.self) { group in
                    for writer in 0..<6 {
                        group.addTask {
                            let write = try await Self.put(item("r\(round)", title: "\(writer)"), in: database)
                            guard case .stored(_, let created) = write else { return false }
                            return created
                        }
                    }
                    return try await group.reduce(0) { $0 + ($1 ? 1 : 0) }
                }
                #expect(created == 1)
            }
            #expect(
                try await database.values("SELECT number FROM items ORDER BY number", as: Int32.self) == [
                    0, 1, 2, 3, 4,
                ]
            )
            #expect(try await database.value("SELECT next FROM item_numbers", as: Int64.self) == 5)
        }
    }

    @Test("of many who write at one revision one does")
    func concurrentWrites() async throws {
        try await withDatabase { database in
            let revision = try Self.revision(try await Self.put(item("i1"), in: database))
            let stored = try await withThrowingTaskGroup(of: Bool.self) { group in
                for writer in 0..<6 {
                    group.addTask {
                        var patch = ItemPatch()
                        patch.title = "by \(writer)"
                        let write = try await database.items.patch(
                            id("i1"),
                            patch,
                            if: .revision([revision]),
                            tenant: .default
                        )
                        return write != .conditionFailed
                    }
                }
                return try await group.reduce(0) { $0 + ($1 ? 1 : 0) }
            }
            #expect(stored == 1)
        }
    }

    @Test("a patch is judged with what is stored, and is all or nothing")
    func patch() async throws {
        try await withDatabase { database in
            #expect(
                try await database.items.patch(id("none"), ItemPatch(), if: .none, tenant: .default) == .unknown
            )
            var plain = item("i1")
            plain.availableUntil = Timestamp(seconds: 1_000)
            plain.labels = Dictionary(uniqueKeysWithValues: (0..<64).map { ("l\($0)", "") })
            let revision = try Self.revision(try await Self.put(plain, in: database))
            var wrong = ItemPatch()
            wrong.title = "never"
            wrong.availableFrom = .set(Timestamp(seconds: 1_000))
            wrong.labels = .merge(["one more": ""])
            #expect(
                try await database.items.patch(plain.id, wrong, if: .none, tenant: .default)
                    == .invalid([.windowOrder, .tooManyLabels])
            )
            #expect(try await database.items.item(plain.id, tenant: .default)?.item == plain)
            #expect(
                try await database.items.patch(plain.id, ItemPatch(), if: .none, tenant: .default)
                    == .stored(revision: revision, created: false)
            )
            var right = ItemPatch()
            right.availableFrom = .set(Timestamp(seconds: 999))
            right.labels = .merge(["l0": nil, "one more": "x"])
            _ = try await database.items.patch(plain.id, right, if: .none, tenant: .default)
            let stored = try #require(try await database.items.item(plain.id, tenant: .default)?.item)
            #expect(stored == right.applied(to: plain))
            #expect(stored.labels["l0"] == nil)
            #expect(stored.labels["one more"] == "x")
        }
    }

    @Test("a deletion takes the row and leaves the tombstone, both at once, and its number is never given again")
    func deletion() async throws {
        try await withDatabase { database in
            _ = try await Self.put(item("i0"), in: database)
            let gone = try Self.revision(try await Self.put(item("i1"), in: database))
            // A tombstone that would have ended lasts for good.
            let soon = Timestamp(seconds: 4_000_000_000)
            _ = try await database.control.addTombstones(
                [Tombstone(kind: .item, key: id("i1"))],
                reason: "recall",
                expiresAt: soon,
                tenant: .default
            )
            let before = try await database.control.delta(after: nil, items: nil)
            #expect(before.deletedItems.isEmpty)
            guard
                case .deleted(let epoch) = try await database.items.delete(
                    id("i1"),
                    if: .revision([gone]),
                    tenant: .default
                )
            else {
                Issue.record("not deleted")
                return
            }
            #expect(epoch > before.head)
            #expect(try await database.items.item(id("i1"), tenant: .default) == nil)
            #expect(try await database.items.delete(id("i1"), if: .none, tenant: .default) == .unknown)
            let after = try await database.control.delta(after: before.head, items: before.itemPosition)
            #expect(after.head == epoch)
            #expect(after.deletedItems.map(\.number) == [1])
            #expect(after.deletedItems.map(\.tenant) == [.default])
            #expect(
                after.tombstones
                    == [
                        .default: TombstoneDelta(
                            isWhole: false,
                            changes: [TombstoneChange(Tombstone(kind: .item, key: id("i1")), deniedUntil: .never)]
                        )
                    ]
            )
            // Made again it is another item, and denied still.
            guard
                case .stored(_, created: true) = try await Self.put(
                    item("i1", title: "again"),
                    in: database,
                    if: .absent
                )
            else {
                Issue.record("not made again")
                return
            }
            let again = try await database.control.delta(after: after.head, items: after.itemPosition)
            // Others may come again, while some transaction anywhere holds the position back.
            #expect(again.items.map(\.item.number).contains(2))
            #expect(try await database.control.denied(.item, tenant: .default).count == 1)
            // Who starts now has nothing to delete.
            #expect(try await database.control.delta(after: nil, items: nil).deletedItems.isEmpty)
        }
    }

    @Test("a deletion that cannot write its tombstone deletes nothing")
    func deletionIsWhole() async throws {
        try await withDatabase { database in
            _ = try await Self.put(item("i1"), in: database)
            try await database.client.execute("ALTER TABLE tombstones ADD CONSTRAINT never CHECK (key <> 'i1')")
            await #expect(throws: RepositoryError.self) {
                try await database.items.delete(id("i1"), if: .none, tenant: .default)
            }
            #expect(try await database.count("items") == 1)
            #expect(try await database.count("item_deletions") == 0)
            #expect(try await database.count("control_log") == 0)
        }
    }

    @Test("rows that go by other hands are followed too, and those of a transaction that began long ago")
    func feed() async throws {
        try await withDatabase { database in
            try await database.addItems("i0", "i1", "i2")
            let start = try await database.control.delta(after: nil, items: nil)
            let client = database.client
            try await client.withSession { session in
                try await session.execute("BEGIN")
                try await session.execute("DELETE FROM items WHERE item_id = 'i0'")
                try await client.execute("DELETE FROM items WHERE item_id = 'i1'")
                let first = try await database.control.delta(after: start.head, items: start.itemPosition)
                #expect(first.deletedItems.map(\.number) == [1])
                try await session.execute("COMMIT")
                let second = try await database.control.delta(after: first.head, items: first.itemPosition)
                #expect(second.deletedItems.map(\.number).sorted() == [0, 1])
            }
        }
    }

    @Test("a model is fitted around the numbers of deleted items")
    func training() async throws {
        try await withDatabase { database in
            try await database.addItems("i0", "i1", "i2")
            _ = try await database.feedback.record(
                [event(by: "ann", on: "i1"), event(by: "ann", on: "i2"), event(by: "ann", on: "i0")],
                tenant: .default,
                invalidating: invalidating
            )
            for gone in ["i2", "i0"] { _ = try await database.items.delete(id(gone), if: .none, tenant: .default) }
            #expect(try await database.training.items(tenant: .default).map(\.number) == [1])
        }
    }

    @Test("items are listed in order of bytes, each once, by pages of any size")
    func list() async throws {
        try await withDatabase { database in
            let ids = ["a", "A", "caf\u{E9}", "cafe\u{301}", "a|b", "\u{1F680}", "~", "*", "{x}", "a/b", "zz", "'; --"]
            for id in ids { _ = try await Self.put(item(id), in: database) }
            let sorted = ids.map { Item.ID(trusted: $0) }.sorted()
            for size in [1, 5, 12, 50] {
                var found: [Item.ID] = []
                var pages = 0
                while pages < 20 {
                    let page = try await database.items.items(after: found.last, limit: size, tenant: .default)
                    pages += 1
                    if page.isEmpty { break }
                    #expect(page.count <= size)
                    found += page.map(\.item.id)
                }
                #expect(found == sorted)
            }
        }
    }

    @Test("nothing of a tenant is another's")
    func tenants() async throws {
        try await withDatabase { database in
            try await database.imports.ensureTenant(id("other"))
            _ = try await Self.put(item("i1"), in: database)
            #expect(try await database.items.item(id("i1"), tenant: id("other")) == nil)
            #expect(try await database.items.items(after: nil, limit: 9, tenant: id("other")).isEmpty)
            #expect(try await database.items.delete(id("i1"), if: .none, tenant: id("other")) == .unknown)
            #expect(
                try await database.items.patch(id("i1"), ItemPatch(), if: .none, tenant: id("other")) == .unknown
            )
            let write = try await database.items.put(item("i1", title: "theirs"), if: .absent, tenant: id("other"))
            #expect(write != .conditionFailed)
            #expect(try await database.items.item(id("i1"), tenant: .default)?.item == item("i1"))
            #expect(try await database.items.item(id("i1"), tenant: id("nobody")) == nil)
            await #expect(throws: RepositoryError.conflict("no such tenant")) {
                try await database.items.put(item("i1"), if: .none, tenant: id("nobody"))
            }
        }
    }

    @Test("labels that are no strings by name are refused where they are written")
    func labels() async throws {
        try await withDatabase { database in
            try await database.addItems("i1")
            for labels in [#"[]"#, #"{"a":1}"#, #"{"a":["b"]}"#, #"{"a":null}"#, #""a""#] {
                await #expect(throws: PostgresError.self, "\(labels)") {
                    try await database.client.execute("UPDATE items SET labels = $1", [PostgresJSON(labels)])
                }
            }
            try await database.client.execute("UPDATE items SET labels = $1", [PostgresJSON(#"{"a":"\u0001\"/é"}"#)])
            #expect(try await database.items.item(id("i1"), tenant: .default)?.item.labels == ["a": "\u{1}\"/\u{E9}"])
        }
    }
}

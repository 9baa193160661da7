import Caching
import HTTPAPI
import Postgres
import PostgresAdapters
import RecommendationCore
import RecommendationEngine
import Serving
import Testing

/// The control state of a node over a real store: what reaches a node that runs while others change things.
@Suite("control state over PostgreSQL")
struct ControlStateTests {
    private static func state(of database: Database, incarnations: EventLog<String> = EventLog()) -> ControlState {
        ControlState(
            repository: database.control,
            models: database.snapshots,
            policies: .json,
            log: .silent,
            wallClock: { Timestamp(seconds: 1_800_000_000) },
            incarnationChanged: { incarnations.append($0) }
        )
    }

    private static func storeModel(builtAt seconds: Int64, in database: Database) async throws -> ModelVersion.Number {
        try await database.models.store(
            ModelVersion(
                number: 0,
                tenant: .default,
                state: .ready,
                recipe: "test",
                builtAt: Timestamp(seconds: seconds),
                interactions: 0,
                users: 0,
                items: 0,
                bytes: 0,
                checksum: 0,
                metrics: [:]
            ),
            artifact: Self.artifact(builtAt: seconds),
            dataMark: "\(seconds)"
        )
    }

    private static func artifact(builtAt seconds: Int64) -> [UInt8] {
        SnapshotArtifact(.empty(builtAt: Timestamp(seconds: seconds))).encode()
    }

    @Test("a node follows items, tombstones and models")
    func following() async throws {
        try await withDatabase { database in
            let state = Self.state(of: database)
            try await state.catchUp()
            let number = try await Self.storeModel(builtAt: 1_000, in: database)
            try await state.catchUp()
            #expect(state.loadedModels == [number])
            #expect(state.state(of: .default)?.model == nil)
            try await database.addItems("i1")
            let epoch = try await database.models.activate(number, tenant: .default)
            try await state.catchUp()
            #expect(state.appliedID == epoch)
            #expect(state.state(of: .default)?.model?.number == number)
            #expect(state.state(of: .default)?.catalog.number(of: id("i1")) == 0)
            #expect(state.hasModels)
        }
    }

    @Test("a node that runs has the catalogue of a tenant that an import makes, whenever it reads")
    func newTenant() async throws {
        try await withDatabase { database in
            let state = Self.state(of: database)
            let shop = Tenant.ID(trusted: "shop")
            try await state.catchUp()
            try await database.imports.ensureTenant(shop)
            try await state.catchUp()
            _ = try await database.imports.store(items: [item("i1"), item("i2")], tenant: shop)
            // Other chunks of the import follow, and the node reads in between, twice.
            try await state.catchUp()
            try await eventually("the items are behind the position") {
                let delta = try await database.control.delta(after: nil, items: nil)
                return try await database.control.delta(after: delta.head, items: delta.itemPosition).items.isEmpty
            }
            try await state.catchUp()
            try await state.catchUp()
            _ = try await database.imports.finish(tenant: shop)
            try await state.catchUp()
            let tenant = try #require(state.state(of: shop))
            #expect(tenant.catalog.count == 2)
            #expect(tenant.catalog.number(of: id("i1")) == 0)
        }
    }

    @Test("another incarnation is told before its state is seen, and everything is read again")
    func incarnation() async throws {
        try await withDatabase { database in
            let incarnations = EventLog<String>()
            let state = Self.state(of: database, incarnations: incarnations)
            try await database.addItems("i1", "i2")
            _ = try await database.control.addTombstones(
                [Tombstone(kind: .item, key: id("i1"))],
                reason: nil,
                expiresAt: nil,
                tenant: .default
            )
            try await state.catchUp()
            let first = state.incarnation
            #expect(incarnations.all == [first])
            #expect(state.state(of: .default)?.denials.count == 1)

            // What a restored copy of yesterday looks like: other rows, lower ids, and nothing in the log about it.
            try await database.client.executeScript(
                """
                DELETE FROM tombstones; DELETE FROM control_log; DELETE FROM items WHERE item_id = 'i2';
                UPDATE incarnation SET system_identifier = system_identifier + 1
                """
            )
            try await state.catchUp()
            #expect(state.incarnation != first)
            #expect(incarnations.all == [first, state.incarnation])
            #expect(state.appliedID == 0)
            #expect(state.state(of: .default)?.incarnation == state.incarnation)
            #expect(state.state(of: .default)?.denials.count == 0)
            #expect(state.state(of: .default)?.catalog.number(of: id("i2")) == nil)
            #expect(state.state(of: .default)?.catalog.number(of: id("i1")) == 0)
        }
    }

    @Test("a model number of another incarnation is another model")
    func modelOfAnotherIncarnation() async throws {
        try await withDatabase { database in
            let state = Self.state(of: database)
            let number = try await Self.storeModel(builtAt: 1_000, in: database)
            _ = try await database.models.activate(number, tenant: .default)
            try await state.catchUp()
            #expect(state.state(of: .default)?.model?.snapshot.builtAt == Timestamp(seconds: 1_000))

            try await database.client.execute("UPDATE model_chunks SET bytes = $1", [Self.artifact(builtAt: 2_000)])
            try await database.client.execute("UPDATE incarnation SET timeline = timeline + 1")
            try await state.catchUp()
            #expect(state.state(of: .default)?.model?.snapshot.builtAt == Timestamp(seconds: 2_000))
        }
    }

    @Test("a key counts until it is revoked")
    func keys() async throws {
        try await withDatabase { database in
            let state = Self.state(of: database)
            // SHA-256 of "abc".
            let hash: [UInt8] = [
                0xBA, 0x78, 0x16, 0xBF, 0x8F, 0x01, 0xCF, 0xEA, 0x41, 0x41, 0x40, 0xDE, 0x5D, 0xAE, 0x22, 0x23, 0xB0,
                0x03, 0x61,
                0xA3, 0x96, 0x17, 0x7A, 0x9C, 0xB4, 0x10, 0xFF, 0x61, 0xF2, 0x00, 0x15, 0xAD,
            ]
            try await state.catchUp()
            #expect(state.principal(for: "abc") == nil)
            try await database.keys.create(
                APIKey(id: "k1", tenant: .default, scopes: [.write], secretHash: hash, createdAt: Timestamp(seconds: 0))
            )
            try await state.catchUp()
            #expect(state.principal(for: "abc") == Principal(tenant: .default, scopes: [.write]))
            #expect(try await database.keys.revoke("k1"))
            try await state.catchUp()
            #expect(state.principal(for: "abc") == nil)
        }
    }
}

import Postgres
import PostgresAdapters
import RecommendationCore
import Testing

@Suite("model registry in PostgreSQL")
struct ModelTests {
    private static func model(_ tenant: Tenant.ID = .default) -> ModelVersion {
        ModelVersion(
            number: 0,
            tenant: tenant,
            state: .ready,
            recipe: "item-cosine-1",
            builtAt: Timestamp(microseconds: 1_767_225_600_123_456),
            interactions: 3_000_000_000,
            users: 7,
            items: 9,
            bytes: 0,
            checksum: .max - 5,
            metrics: ["ndcg_at_10": 0.125, "recall_at_10": 1e-7]
        )
    }

    private static func store(
        _ artifact: [UInt8] = [1, 2, 3],
        tenant: Tenant.ID = .default,
        in database: Database
    ) async throws -> ModelVersion.Number {
        try await database.models.store(Self.model(tenant), artifact: artifact, dataMark: "mark")
    }

    private static func control(of tenant: Tenant.ID = .default, in database: Database) async throws -> TenantControl {
        let delta = try await database.control.delta(after: nil, items: nil)
        return try #require(delta.tenants.first { $0.tenant == tenant })
    }

    @Test(
        "a model and its artifact of 5 MiB come back as they were",
        arguments: [0, 1, 1 << 20, 5 << 20, (5 << 20) + 17]
    )
    func roundTrip(_ size: Int) async throws {
        try await withDatabase { database in
            var state: UInt64 = 88_172_645_463_325_252
            let artifact = (0..<size).map { _ -> UInt8 in
                state ^= state << 13
                state ^= state >> 7
                state ^= state << 17
                return UInt8(truncatingIfNeeded: state)
            }
            let number = try await Self.store(artifact, in: database)
            #expect(try await database.models.artifact(number) == artifact)
            var expected = Self.model()
            expected.number = number
            expected.bytes = Int64(size)
            #expect(try await database.models.versions(tenant: .default) == [expected])
            #expect(try await database.models.newestDataMark(tenant: .default) == "mark")
        }
    }

    @Test("storing a model tells the nodes")
    func storeIsLogged() async throws {
        try await withDatabase { database in
            let before = try await database.control.delta(after: nil, items: nil)
            let number = try await Self.store(in: database)
            let after = try await database.control.delta(after: before.head, items: before.itemPosition)
            #expect(after.tenants.map(\.tenant) == [.default])
            #expect(after.tenants[0].readyModel == number)
            #expect(after.tenants[0].activeModel == nil)
        }
    }

    @Test("activating a model retires the one before, in one step of the log")
    func activate() async throws {
        try await withDatabase { database in
            let first = try await Self.store(in: database)
            let second = try await Self.store(in: database)
            let third = try await Self.store(in: database)
            let epoch = try await database.models.activate(first, tenant: .default)
            #expect(try await database.control.delta(after: nil, items: nil).head == epoch)
            #expect(try await database.models.activate(second, tenant: .default) > epoch)
            let versions = try await database.models.versions(tenant: .default)
            #expect(versions.map(\.number) == [third, second, first])
            #expect(versions.map(\.state) == [.ready, .active, .retired])
            let control = try await Self.control(in: database)
            #expect(control.activeModel == second && control.readyModel == third && control.previousModel == first)
            // Back again, and twice the same.
            _ = try await database.models.activate(first, tenant: .default)
            _ = try await database.models.activate(first, tenant: .default)
            #expect(try await database.models.versions(tenant: .default).map(\.state) == [.ready, .retired, .active])
        }
    }

    @Test("a model that cannot be activated leaves the active one as it is")
    func activateNothing() async throws {
        try await withDatabase { database in
            let shop = Tenant.ID(trusted: "shop")
            try await database.imports.ensureTenant(shop)
            let active = try await Self.store(in: database)
            let foreign = try await Self.store(tenant: shop, in: database)
            let withoutArtifact = try await Self.store(in: database)
            try await database.client.execute("DELETE FROM model_chunks WHERE model = $1", [withoutArtifact])
            _ = try await database.models.activate(active, tenant: .default)
            let head = try await database.control.delta(after: nil, items: nil).head
            for number in [foreign, withoutArtifact, 999] {
                await #expect(throws: RepositoryError.conflict("no such model version, or its artifact is gone")) {
                    try await database.models.activate(number, tenant: .default)
                }
            }
            #expect(try await Self.control(in: database).activeModel == active)
            #expect(try await Self.control(of: shop, in: database).activeModel == nil)
            #expect(try await database.control.delta(after: nil, items: nil).head == head)
        }
    }

    @Test("of activations at once, one model is active in the end")
    func activateConcurrently() async throws {
        try await withDatabase { database in
            var numbers: [ModelVersion.Number] = []
            for _ in 0..<4 { numbers.append(try await Self.store(in: database)) }
            let all = numbers
            let last = try await withThrowingTaskGroup(of: (Int64, ModelVersion.Number).self) { group in
                for round in 0..<12 {
                    let number = all[round % 4]
                    group.addTask { (try await database.models.activate(number, tenant: .default), number) }
                }
                return try await group.reduce(into: []) { $0.append($1) }.max { $0.0 < $1.0 }
            }
            #expect(try await Self.control(in: database).activeModel == last?.1)
            #expect(try await database.models.versions(tenant: .default).count { $0.state == .active } == 1)
        }
    }

    @Test("the database itself refuses a second active model")
    func uniqueIndex() async throws {
        try await withDatabase { database in
            _ = try await Self.store(in: database)
            _ = try await Self.store(in: database)
            await #expect {
                try await database.client.execute("UPDATE model_versions SET state = 'active'")
            } throws: { error in
                (error as? PostgresError)?.sqlState == .uniqueViolation
            }
        }
    }

    @Test("pruning deletes the artifacts of old retired models, and of no other")
    func prune() async throws {
        try await withDatabase { database in
            var numbers: [ModelVersion.Number] = []
            for index in 0..<5 { numbers.append(try await Self.store([UInt8(index)], in: database)) }
            for number in numbers[0...3] { _ = try await database.models.activate(number, tenant: .default) }
            // 0, 1 and 2 are retired, 3 is active and 4 is ready.
            try await database.models.prune(keeping: 1, tenant: .default)
            for (index, number) in numbers.enumerated() where index >= 2 {
                #expect(try await database.models.artifact(number) == [UInt8(index)])
            }
            for number in numbers[0...1] {
                await #expect(throws: RepositoryError.self) { try await database.models.artifact(number) }
            }
            #expect(try await database.models.versions(tenant: .default).count == 5)
            let control = try await Self.control(in: database)
            #expect(control.previousModel == numbers[2])
            try await database.models.prune(keeping: 1, tenant: .default)
            #expect(try await database.count("model_chunks") == 3)
        }
    }

    @Test(
        "an artifact with less or more than was stored is corrupt",
        arguments: [
            "DELETE FROM model_chunks WHERE chunk = 1", "DELETE FROM model_chunks WHERE chunk = 0",
            "UPDATE model_chunks SET bytes = substr(bytes, 1, octet_length(bytes) - 1) WHERE chunk = 2",
            "INSERT INTO model_chunks SELECT model, 3, '\\x00' FROM model_chunks WHERE chunk = 0",
        ]
    )
    func truncated(_ damage: String) async throws {
        try await withDatabase { database in
            let number = try await Self.store(Array(repeating: 7, count: (2 << 20) + 100), in: database)
            try await database.client.execute(PostgresStatement(trusted: damage))
            await #expect {
                try await database.models.artifact(number)
            } throws: { error in
                if case .corrupt = error as? RepositoryError { true } else { false }
            }
        }
    }

    @Test("an unknown model has no artifact, and an unknown tenant no models")
    func unknown() async throws {
        try await withDatabase { database in
            await #expect(throws: RepositoryError.conflict("no such model version")) {
                try await database.models.artifact(1)
            }
            let versions = try await database.models.versions(tenant: id("nobody"))
            #expect(versions.isEmpty)
            #expect(try await database.models.newestDataMark(tenant: .default) == nil)
            await #expect(throws: RepositoryError.conflict("no such tenant")) {
                try await Self.store(tenant: id("nobody"), in: database)
            }
        }
    }
}

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

    @Test("pruning keeps what serves, what a rollback returns to, and the newest others, those that are ready first")
    func prune() async throws {
        try await withDatabase { database in
            var numbers: [ModelVersion.Number] = []
            for index in 0..<7 { numbers.append(try await Self.store([UInt8(index)], in: database)) }
            for number in numbers[0...3] { _ = try await database.models.activate(number, tenant: .default) }
            // 0 to 2 are retired, 3 is active and would go back to 2, 4 to 6 are ready, 4 for some users.
            _ = try await database.models.activate(numbers[4], share: 100, tenant: .default)
            try await database.models.prune(keeping: 2, tenant: .default)
            #expect(
                try await database.values("SELECT DISTINCT model FROM model_chunks ORDER BY model")
                    == numbers[2...6].map { $0 }
            )
            try await database.models.prune(keeping: 1, tenant: .default)
            #expect(
                try await database.values("SELECT DISTINCT model FROM model_chunks ORDER BY model") == numbers[2...4]
                    + [numbers[6]]
            )
            let versions = try await database.models.versions(tenant: .default)
            #expect(versions.map(\.state) == [.ready, .retired, .ready, .active, .retired, .retired, .retired])
            let control = try await Self.control(in: database)
            #expect(control.previousModel == numbers[2])
            for number in [numbers[0], numbers[5]] {
                await #expect(throws: RepositoryError.self) { try await database.models.artifact(number) }
                await #expect(throws: RepositoryError.conflict("no such model version, or its artifact is gone")) {
                    try await database.models.activate(number, tenant: .default)
                }
            }
        }
    }

    @Test("a version that is being built is listed, and completed or abandoned")
    func building() async throws {
        try await withDatabase { database in
            let first = try await database.models.begin(recipe: "product", tenant: .default)
            let second = try await database.models.begin(recipe: "ease", tenant: .default)
            #expect(try await database.models.versions(tenant: .default).map(\.state) == [.building, .building])
            for change in [
                { _ = try await database.models.activate(first, tenant: .default) },
                { _ = try await database.models.retire(first, tenant: .default) },
                { _ = try await database.models.warm(first, tenant: .default) },
                { _ = try await database.models.seal(of: first) },
            ] as [@Sendable () async throws -> Void] {
                await #expect(throws: RepositoryError.self) { try await change() }
            }
            var model = Self.model()
            model.number = first
            model.parameters = ["a": 1.5, "g": 0.5]
            model.firstEvent = Timestamp(seconds: 5)
            model.lastEvent = Timestamp(microseconds: 7_000_001)
            model.baseline = ModelBaseline(number: 3, metrics: ["ndcg_at_10": 0.25])
            #expect(try await database.models.store(model, artifact: [1, 2], dataMark: "mark") == first)
            try await database.models.abandon(second)
            // What is built is not abandoned.
            try await database.models.abandon(first)
            model.bytes = 2
            #expect(try await database.models.versions(tenant: .default) == [model])
            #expect(try await database.models.seal(of: first) == ModelSeal(bytes: 2, checksum: model.checksum))
            // One that was taken off the registry meanwhile is stored all the same.
            model.number = second
            #expect(try await database.models.store(model, artifact: [1], dataMark: "mark") > second)
            // One whose builder died is forgotten after a day.
            let dead = try await database.models.begin(recipe: "ease", tenant: .default)
            try await database.models.prune(keeping: 9, tenant: .default)
            #expect(try await database.models.versions(tenant: .default).contains { $0.number == dead })
            try await database.client.execute("UPDATE model_versions SET built_at = now() - interval '25 hours'")
            try await database.models.prune(keeping: 9, tenant: .default)
            #expect(try await database.models.versions(tenant: .default).allSatisfy { $0.state == .ready })
        }
    }

    @Test("rollbacks go back step by step, and forward again by activation only")
    func rollback() async throws {
        try await withDatabase { database in
            let models = database.models
            var numbers: [ModelVersion.Number] = []
            for _ in 0..<3 { numbers.append(try await Self.store(in: database)) }
            await #expect(throws: RepositoryError.conflict("m\(numbers[0]) does not serve; no model does")) {
                try await models.rollback(numbers[0], tenant: .default)
            }
            for number in numbers { _ = try await models.activate(number, tenant: .default) }
            var standing = try await models.standing(tenant: .default)
            #expect(standing.active == numbers[2] && standing.previous == numbers[1] && !standing.isRolledBack)
            let name = "m\(numbers[1])"
            await #expect(throws: RepositoryError.conflict("\(name) does not serve; m\(numbers[2]) does")) {
                try await models.rollback(numbers[1], tenant: .default)
            }
            standing = try await models.rollback(numbers[2], tenant: .default)
            #expect(standing.active == numbers[1] && standing.previous == numbers[0] && standing.isRolledBack)
            #expect(try await Self.control(in: database).activeModel == numbers[1])
            standing = try await models.rollback(numbers[1], tenant: .default)
            #expect(standing.active == numbers[0] && standing.previous == nil)
            await #expect(throws: RepositoryError.conflict("no model was active before m\(numbers[0])")) {
                try await models.rollback(numbers[0], tenant: .default)
            }
            #expect(try await models.versions(tenant: .default).map(\.state) == [.retired, .retired, .active])
            standing = try await models.activate(numbers[2], share: 10_000, tenant: .default)
            #expect(standing.active == numbers[2] && standing.previous == numbers[0] && !standing.isRolledBack)
            let again = try await models.activate(numbers[2], share: 10_000, tenant: .default)
            #expect(again == standing)
        }
    }

    @Test("a version beside the active one is widened, promoted or taken back, and is no step of a rollback")
    func canary() async throws {
        try await withDatabase { database in
            let models = database.models
            var numbers: [ModelVersion.Number] = []
            for _ in 0..<4 { numbers.append(try await Self.store(in: database)) }
            await #expect(
                throws: RepositoryError.conflict("no model is active, beside which it could serve a part of the users")
            ) { try await models.activate(numbers[0], share: 100, tenant: .default) }
            for number in numbers[0...1] { _ = try await models.activate(number, tenant: .default) }
            await #expect(throws: RepositoryError.conflict("m\(numbers[1]) is active already, for all users")) {
                try await models.activate(numbers[1], share: 100, tenant: .default)
            }
            var standing = try await models.activate(numbers[2], share: 1_000, tenant: .default)
            #expect(standing.active == numbers[1] && standing.previous == numbers[0])
            #expect(standing.canary == ModelCanary(number: numbers[2], share: 1_000))
            #expect(try await Self.control(in: database).canaryModel == standing.canary)
            #expect(try await models.versions(tenant: .default).map(\.state) == [.ready, .ready, .active, .retired])
            for serving in numbers[1...2] {
                await #expect(
                    throws: RepositoryError.conflict("m\(serving) serves; activate another or roll it back first")
                ) { try await models.retire(serving, tenant: .default) }
            }
            await #expect(
                throws: RepositoryError.conflict(
                    "m\(numbers[2]) serves a part of the users beside it; roll that back first"
                )
            ) { try await models.rollback(numbers[1], tenant: .default) }
            // Widened, and another in its place.
            standing = try await models.activate(numbers[2], share: 5_000, tenant: .default)
            #expect(standing.canary?.share == 5_000 && standing.previous == numbers[0])
            standing = try await models.activate(numbers[3], share: 1, tenant: .default)
            #expect(standing.canary == ModelCanary(number: numbers[3], share: 1) && standing.previous == numbers[0])
            #expect(try await models.versions(tenant: .default).map(\.state) == [.ready, .retired, .active, .retired])
            // Taken back: as before it.
            standing = try await models.rollback(numbers[3], tenant: .default)
            #expect(standing.canary == nil && standing.active == numbers[1] && standing.previous == numbers[0])
            // Promoted: a rollback returns to what was active beside it.
            _ = try await models.activate(numbers[2], share: 100, tenant: .default)
            standing = try await models.activate(numbers[2], share: 10_000, tenant: .default)
            #expect(standing.canary == nil && standing.active == numbers[2] && standing.previous == numbers[1])
            standing = try await models.rollback(numbers[2], tenant: .default)
            #expect(standing.active == numbers[1] && standing.previous == numbers[0])
            // The active one left alone again: as before the other.
            _ = try await models.activate(numbers[3], share: 100, tenant: .default)
            standing = try await models.activate(numbers[1], share: 10_000, tenant: .default)
            #expect(standing.canary == nil && standing.active == numbers[1] && standing.previous == numbers[0])
        }
    }

    @Test("one version at a time is loaded on request, and one that is retired is not")
    func warm() async throws {
        try await withDatabase { database in
            var numbers: [ModelVersion.Number] = []
            for _ in 0..<4 { numbers.append(try await Self.store(in: database)) }
            for number in numbers[0...2] { _ = try await database.models.activate(number, tenant: .default) }
            #expect(try await Self.control(in: database).warmModel == nil)
            let epoch = try await database.models.warm(numbers[0], tenant: .default)
            #expect(try await database.control.delta(after: nil, items: nil).head == epoch)
            #expect(try await Self.control(in: database).warmModel == numbers[0])
            _ = try await database.models.warm(numbers[3], tenant: .default)
            #expect(try await Self.control(in: database).warmModel == numbers[3])
            _ = try await database.models.retire(numbers[3], tenant: .default)
            #expect(try await Self.control(in: database).warmModel == numbers[0])
            #expect(try await Self.control(in: database).readyModel == nil)
        }
    }

    @Test("trainings that were asked for are done in order, and one whose builder died comes again")
    func jobs() async throws {
        try await withDatabase { database in
            let jobs = database.jobs
            #expect(try await jobs.next() == nil)
            let first = try await jobs.submit(ModelJob.Order(activates: false), tenant: .default)
            let order = ModelJob.Order(recipe: "ease", activates: true, forces: true)
            let second = try await jobs.submit(order, tenant: .default)
            #expect(try await jobs.job(first, tenant: .default)?.state == .queued)
            #expect(try await jobs.job(first, tenant: Tenant.ID(trusted: "_fleet")) == nil)
            #expect(try await jobs.next()?.number == first)
            let again = try #require(try await jobs.next())
            #expect(again.number == first && again.state == .running && again.startedAt != nil)
            try await jobs.finish(first, model: nil, failed: true, reason: "there are no items")
            let other = try #require(try await jobs.next())
            #expect(other.number == second && other.order == order)
            try await jobs.finish(second, model: 9, failed: false, reason: nil)
            #expect(try await jobs.next() == nil)
            let failed = try #require(try await jobs.job(first, tenant: .default))
            #expect(failed.state == .failed && failed.reason == "there are no items" && failed.finishedAt != nil)
            let done = try #require(try await jobs.job(second, tenant: .default))
            #expect(done.state == .done && done.model == 9 && done.reason == nil)
            for _ in 0..<10 { _ = try await jobs.submit(order, tenant: .default) }
            await #expect(throws: RepositoryError.conflict("10 trainings are waiting already, no more are taken")) {
                try await jobs.submit(order, tenant: .default)
            }
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

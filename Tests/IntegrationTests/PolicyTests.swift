import HTTPAPI
import Postgres
import PostgresAdapters
import RecommendationCore
import Serving
import Testing

/// Policies over a real store: documents that never change, activations in the control log, rollbacks step by step.
@Suite("policies over PostgreSQL")
struct PolicyTests {
    private static func document(_ change: (inout Policy) -> Void = { _ in }) -> String {
        var policy = Policy.builtIn
        change(&policy)
        return PolicyCodec.json.encode(policy)
    }

    private static func store(_ versions: String..., in database: Database) async throws {
        for (index, version) in versions.enumerated() {
            _ = try await database.policies.store(
                version,
                document: Self.document { $0.poolSize = 20 + index },
                tenant: .default
            )
        }
    }

    @Test("a document is stored once; whoever stores that name again gets what is there")
    func storing() async throws {
        try await withDatabase { database in
            let first = try await database.policies.store(
                "p8",
                document: Self.document { $0.poolSize = 50 },
                tenant: .default
            )
            #expect(first.isNew)
            let second = try await database.policies.store("p8", document: Self.document(), tenant: .default)
            #expect(!second.isNew)
            #expect(second.policy == first.policy)
            #expect(try PolicyCodec.json.decode(second.policy).poolSize == 50)
            #expect(try await database.policies.policy("p8", tenant: .default) == first.policy)
            #expect(try await database.policies.policy("p9", tenant: .default) == nil)
            // One row in the log: the second call changed nothing.
            #expect(try await database.value("SELECT count(*) FROM control_log WHERE kind = 'policy'") == Int64(1))
        }
    }

    @Test("every field survives the store")
    func everyField() async throws {
        var policy = Policy.builtIn
        policy.version = "full"
        policy.weights = Policy.Weights(collaborative: 0.33333334, content: 0.33333334, popularity: 0.33333334)
        policy.maximumPerWindow = 0
        policy.seenFilter = false
        policy.eventWeights[.view] = 0.1
        policy.eventWeights[.hide] = -99.99
        policy.invalidatingEvents = []
        policy.halfLifeDays = 0.017
        policy.softTTL = .seconds(1)
        policy.hardTTL = .seconds(86_400)
        policy.jitterPercent = 0.1
        policy.poolSize = 10
        policy.fallback = [.popular, .stale]
        policy.onUnverified = .refuse
        policy.staticItems = ["a|b", "caf\u{E9}", "cafe\u{301}", "\u{1F680}", "\"\\/"].map { Item.ID(trusted: $0) }
        policy.surfaces = ["x"]
        try await withDatabase { database in
            let stored = try await database.policies.store(
                "full",
                document: PolicyCodec.json.encode(policy),
                tenant: .default
            )
            #expect(try PolicyCodec.json.decode(stored.policy) == policy)
        }
    }

    @Test(
        "a number that is taken is read again, however the store writes it",
        arguments: [1e-63, 1e-300, .leastNonzeroMagnitude]
    )
    func smallNumbers(_ number: Double) async throws {
        try await withDatabase { database in
            var policy = Policy.builtIn
            policy.version = "small"
            policy.marginalRelevance = number
            policy.exploration.share = number
            policy.eligibility = .price(minimum: number, maximum: 1e9)
            let stored = try await database.policies.store(
                "small",
                document: PolicyCodec.json.encode(policy),
                tenant: .default
            )
            #expect(try PolicyCodec.json.decode(stored.policy) == policy)
        }
    }

    @Test("of callers at once who store the same name, one is first and all get its document", arguments: 1...3)
    func concurrently(_ round: Int) async throws {
        try await withDatabase { database in
            let stored = try await withThrowingTaskGroup(of: (StoredPolicy, Bool).self) { group in
                for size in 0..<6 {
                    group.addTask {
                        try await database.policies.store(
                            "p8",
                            document: Self.document { $0.poolSize = 50 + size },
                            tenant: .default
                        )
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(stored.count { $0.1 } == 1)
            #expect(Set(stored.map(\.0.document)).count == 1)
        }
    }

    @Test("activations and rollbacks go forth and back, step by step, each an entry of the control log")
    func standing() async throws {
        try await withDatabase { database in
            let policies = database.policies
            #expect(try await policies.versions(tenant: .default).standing == .initial)
            try await Self.store("p7", "p8", in: database)
            let first = try await policies.activated("p7", tenant: .default)
            #expect(first.active == "p7" && first.previous == "p0")
            let second = try await policies.activated("p8", tenant: .default)
            #expect(second.active == "p8" && second.previous == "p7" && second.epoch > first.epoch)
            #expect(try await policies.activated("p8", tenant: .default) == second, "the same again changes nothing")
            #expect(try await database.control.delta(after: nil, items: nil).head == second.epoch)
            let back = try await policies.rolledBack("p8", tenant: .default)
            #expect(back.active == "p7" && back.previous == "p0" && back.epoch > second.epoch)
            // The call that is sent twice does not go back twice.
            await #expect(throws: RepositoryError.conflict("p8 is not in force; p7 is")) {
                try await policies.rolledBack("p8", tenant: .default)
            }
            let start = try await policies.rolledBack("p7", tenant: .default)
            #expect(start.active == "p0" && start.previous == nil)
            await #expect(throws: RepositoryError.conflict("no policy was in force before p0")) {
                try await policies.rolledBack("p0", tenant: .default)
            }
            // The built-in policy can be activated like any other, and left again.
            _ = try await policies.activated("p7", tenant: .default)
            let builtIn = try await policies.activated("p0", tenant: .default)
            #expect(builtIn.active == "p0" && builtIn.previous == "p7")
            #expect(try await policies.rolledBack("p0", tenant: .default).active == "p7")
            let listed = try await policies.versions(tenant: .default)
            #expect(Set(listed.versions.map(\.version)) == ["p7", "p8"])
            #expect(listed.standing.active == "p7")
        }
    }

    @Test("a canary stands beside the active version, is no step of rollbacks, and is followed by nodes")
    func canary() async throws {
        try await withDatabase { database in
            let policies = database.policies
            try await Self.store("p7", "p8", "p9", in: database)
            // Beside the built-in policy, which was never activated.
            let first = try await policies.activated("p7", share: 1_000)
            #expect(first.active == "p0" && first.previous == nil)
            #expect(first.canary == PolicyCanary(version: "p7", share: 1_000))
            #expect(try await policies.activated("p7", share: 1_000) == first, "the same again changes nothing")
            #expect(try await policies.activated("p7", share: 2_000).canary?.share == 2_000)
            let whole = try await policies.activated("p7")
            #expect(whole.active == "p7" && whole.canary == nil && whole.previous == "p0")
            await #expect(throws: RepositoryError.conflict("p7 is in force already, for all users")) {
                try await policies.activated("p7", share: 500)
            }
            _ = try await policies.activated("p8")
            let state = database.node()
            try await state.catchUp()
            let user = try #require(
                (0..<200).map { User.ID(trusted: "u\($0)") }.first { PolicyCanary(version: "p9", share: 500).takes($0) }
            )
            let beside = try await policies.activated("p9", share: 500)
            #expect(beside.active == "p8" && beside.previous == "p7" && beside.canary?.version == "p9")
            try await state.catchUp()
            let tenant = try #require(state.state(of: .default))
            #expect(tenant.policy.version == "p8" && tenant.serving(user).policy.version == "p9")
            #expect(tenant.serving(user).policy.poolSize == 22)
            #expect(try await policies.versions(tenant: .default).standing == beside)
            await #expect(
                throws: RepositoryError.conflict("p9 serves a part of the users beside it; roll that back first")
            ) {
                try await policies.rolledBack("p8")
            }
            // Another takes its place; a rollback leaves the active version alone, and that goes back to what was before it.
            #expect(
                try await policies.activated("p0", share: 9_999).canary == PolicyCanary(version: "p0", share: 9_999)
            )
            try await state.catchUp()
            #expect(state.state(of: .default)?.serving(user).policy == .builtIn)
            let alone = try await policies.rolledBack("p0")
            #expect(alone.active == "p8" && alone.canary == nil && alone.previous == "p7")
            try await state.catchUp()
            #expect(state.state(of: .default)?.serving(user).policy.version == "p8")
            #expect(try await policies.rolledBack("p8").active == "p7")
            #expect(try await policies.rolledBack("p7").active == "p0")
        }
    }

    @Test("a change that expects another standing changes nothing")
    func expected() async throws {
        try await withDatabase { database in
            let policies = database.policies
            try await Self.store("p7", "p8", in: database)
            let first = try #require(
                try await policies.activate("p7", share: 10_000, expected: [0], tenant: .default)
            )
            for expected in [[], [0], [first.epoch - 1, first.epoch + 1]] {
                #expect(try await policies.activate("p8", share: 10_000, expected: expected, tenant: .default) == nil)
                #expect(try await policies.rollback("p7", expected: expected, tenant: .default) == nil)
            }
            #expect(try await policies.versions(tenant: .default).standing == first)
            #expect(try await policies.rollback("p7", expected: [1, first.epoch], tenant: .default)?.active == "p0")
        }
    }

    @Test("a canary that a node cannot read leaves its users to the active policy")
    func unreadableCanary() async throws {
        try await withDatabase { database in
            try await Self.store("p7", in: database)
            _ = try await database.policies.activated("p7")
            _ = try await database.policies.store("p8", document: #"{"eligibility":0.1}"#, tenant: .default)
            _ = try await database.policies.activated("p8", share: 9_999)
            let state = database.node()
            try await state.catchUp()
            let tenant = try #require(state.state(of: .default))
            #expect((0..<50).allSatisfy { tenant.serving(User.ID(trusted: "u\($0)")).policy.version == "p7" })
            #expect(state.tenantsOnLastGoodPolicy.isEmpty)
        }
    }

    @Test("what is not stored cannot be activated, and nothing is written")
    func missing() async throws {
        try await withDatabase { database in
            await #expect(throws: RepositoryError.conflict("there is no policy p9")) {
                try await database.policies.activated("p9", tenant: .default)
            }
            let (activations, entries) = try await (database.count("policy_activations"), database.count("control_log"))
            #expect(activations == 0 && entries == 0)
        }
    }

    @Test("a tenant's policies are its own")
    func tenants() async throws {
        try await withDatabase { database in
            let other = Tenant.ID(trusted: "other|tenant")
            try await database.imports.ensureTenant(other)
            try await Self.store("p7", in: database)
            _ = try await database.policies.activated("p7", tenant: .default)
            #expect(try await database.policies.policy("p7", tenant: other) == nil)
            #expect(try await database.policies.versions(tenant: other).versions.isEmpty)
            #expect(try await database.policies.versions(tenant: other).standing == .initial)
            await #expect(throws: RepositoryError.self) { try await database.policies.activated("p7", tenant: other) }
            let control = try await database.control.delta(after: nil, items: nil).tenants
            #expect(control.first { $0.tenant == other }?.activePolicy == nil)
            #expect(control.first { $0.tenant == .default }?.activePolicy?.version == "p7")
        }
    }

    @Test("a node follows activations, rollbacks, and the policy before")
    func following() async throws {
        try await withDatabase { database in
            let state = ControlState(
                repository: database.control,
                models: database.snapshots,
                policies: .json,
                log: .silent,
                wallClock: { Timestamp(seconds: 1_800_000_000) },
                incarnationChanged: { _ in }
            )
            try await state.catchUp()
            #expect(state.state(of: .default)?.policy == .builtIn)
            try await Self.store("p7", "p8", in: database)
            try await state.catchUp()
            #expect(state.state(of: .default)?.policy == .builtIn, "storing changes nothing")
            _ = try await database.policies.activated("p7", tenant: .default)
            try await state.catchUp()
            #expect(state.state(of: .default)?.policy.version == "p7")
            #expect(state.state(of: .default)?.policy.poolSize == 20)
            let epoch = try await database.policies.activated("p8", tenant: .default).epoch
            try await state.catchUp()
            #expect(state.state(of: .default)?.policy.poolSize == 21)
            #expect(state.state(of: .default)?.control.previousPolicy?.version == "p7")
            #expect(state.appliedID == epoch)
            _ = try await database.policies.rolledBack("p8", tenant: .default)
            try await state.catchUp()
            #expect(state.state(of: .default)?.policy.version == "p7")
        }
    }

    @Test(
        "a document of a newer program leaves a node on its last good policy; a node that starts takes the one before"
    )
    func newerDocument() async throws {
        try await withDatabase { database in
            try await Self.store("p7", in: database)
            _ = try await database.policies.activated("p7", tenant: .default)
            let state = database.node()
            try await state.catchUp()
            _ = try await database.policies.store("p8", document: #"{"exploration":0.1}"#, tenant: .default)
            _ = try await database.policies.activated("p8", tenant: .default)
            try await state.catchUp()
            #expect(state.state(of: .default)?.policy.version == "p7")
            #expect(state.tenantsOnLastGoodPolicy == [.default])
            let started = database.node()
            try await started.catchUp()
            #expect(started.state(of: .default)?.policy.version == "p7")
            // A row that was deleted by hand is as one that cannot be read.
            _ = try await database.policies.activated("p7", tenant: .default)
            try await state.catchUp()
            #expect(state.tenantsOnLastGoodPolicy.isEmpty)
            try await database.client.execute("DELETE FROM policies WHERE version = 'p7'")
            _ = try await database.control.purge(.surface("home"), tenant: .default)
            try await state.catchUp()
            #expect(state.state(of: .default)?.policy.version == "p7")
            #expect(state.tenantsOnLastGoodPolicy == [.default])
        }
    }
}

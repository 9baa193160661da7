import RecommendationCore
import Testing

@testable import Caching
@testable import Serving

@Suite("Dry runs of policies")
struct PolicyTrialTests {
    /// Policies that are stored, and users that are drawn.
    private struct Stored: PolicyRepository, ActivityRepository {
        let versions: [String]
        let users: [User.ID]

        func store(_ version: String, document: String, tenant: Tenant.ID) async throws(RepositoryError)
            -> (policy: StoredPolicy, isNew: Bool)
        { throw .conflict("nothing is written") }
        func policy(_ version: String, tenant: Tenant.ID) async throws(RepositoryError) -> StoredPolicy? {
            self.versions.contains(version)
                ? StoredPolicy(version: version, document: "", createdAt: Fixture.now) : nil
        }
        func versions(tenant: Tenant.ID) async throws(RepositoryError)
            -> (versions: [PolicyVersion], standing: PolicyStanding)
        { ([], .initial) }
        func activate(_ version: String, share: Int, expected: [Int64]?, tenant: Tenant.ID)
            async throws(RepositoryError) -> PolicyStanding?
        { throw .conflict("nothing is written") }
        func rollback(_ version: String, expected: [Int64]?, tenant: Tenant.ID) async throws(RepositoryError)
            -> PolicyStanding?
        { throw .conflict("nothing is written") }
        func activeUsers(since time: Timestamp, limit: Int, tenant: Tenant.ID) async throws(RepositoryError)
            -> [User.ID]
        { [] }
        func sample(_ count: Int, tenant: Tenant.ID) async throws(RepositoryError) -> [User.ID] {
            Array(self.users.prefix(count))
        }
    }

    private static func run(
        _ trial: PolicyTrial,
        on node: PolicyServingTests.Node,
        policy: Policy,
        version: String = "p9",
        users: Int = 60
    ) async throws(ServingError) -> PolicyComparison? {
        let stored = Stored(versions: ["p9"], users: (0..<users).map { User.ID(trusted: "u\($0)") })
        let policies = PolicyService(
            repository: stored,
            codec: PolicyCodec(encode: { _ in "" }, decode: { _ throws(UnreadablePolicy) in policy }),
            invalidator: Invalidator(keeper: node.keeper, shared: node.shared, bus: node.shared)
        )
        return try await PolicyTrialService(node.context, policies: policies, activity: stored)
            .run(version, trial, tenant: .default)
    }

    private static func policy(_ change: (inout Policy) -> Void) -> Policy {
        var policy = Policy.builtIn
        policy.version = "p9"
        change(&policy)
        return policy
    }

    @Test("lists are compared as they are and as they would be, and nothing of it is kept")
    func comparison() async throws {
        let node = try await PolicyServingTests.Node { $0.maximumPerWindow = 0 }
        let another = try await PolicyServingTests.Node { $0.maximumPerWindow = 0 }
        let worst = try #require(try await another.ask(limit: 20).items.last).item
        let trial = PolicyTrial(users: 55, surface: "home", limit: 5)
        let policy = Self.policy {
            $0.maximumPerWindow = 0
            $0.pins = [Policy.Pin(item: worst, position: 1)]
        }
        let comparison = try #require(try await Self.run(trial, on: node, policy: policy))
        #expect(node.keeper.local.takeStatistics().entries == 0)
        #expect(comparison.version == "p9" && comparison.against == "p8" && comparison.users == 55)
        // In every list the pin comes in, the last goes out, and the others move down by one.
        #expect(comparison.changedUsers == 55 && comparison.itemsIn == 55 && comparison.itemsOut == 55)
        #expect(comparison.itemsMoved == 4 * 55 && comparison.itemsKept == 0)
        let example = try #require(comparison.examples.first)
        #expect(comparison.examples.count == PolicyComparison.exampleLimit)
        #expect(example.after == [worst] + example.before.dropLast())
        // What would be served is what is served once it is in force.
        let other = try await PolicyServingTests.Node {
            $0 = policy
            $0.version = "p8"
        }
        #expect(try await other.ask(limit: 5).items.map(\.item) == example.after)
        #expect(try await node.ask(limit: 5).items.map(\.item) == example.before)
    }

    @Test("a policy that serves the same changes nothing; one that shows nearly nothing makes lists short")
    func extremes() async throws {
        let node = try await PolicyServingTests.Node { _ in }
        let trial = PolicyTrial(users: 10, surface: "home", limit: 10)
        let same = try #require(try await Self.run(trial, on: node, policy: Self.policy { _ in }))
        #expect(same.changedUsers == 0 && same.itemsKept == 100 && same.examples.isEmpty)
        #expect(same.itemsIn + same.itemsOut + same.itemsMoved == 0 && same.before == same.after)
        let narrow = Self.policy { $0.eligibility = .categories([ItemExpression.Text(trusted: "c1")]) }
        let short = try #require(try await Self.run(trial, on: node, policy: narrow))
        #expect(short.before.short == 0 && short.after.short == 10 && short.itemsOut > 0)
    }

    @Test("whose consent is missing is counted and not shown; who has no history is compared by the list of all")
    func consent() async throws {
        let node = try await PolicyServingTests.Node { _ in }
        node.users.allows(false)
        let trial = PolicyTrial(users: 10, surface: "home", limit: 10)
        let policy = Self.policy { $0.boosts = [Policy.Boost(factor: 9, when: .categories([.init(trusted: "c6")]))] }
        let comparison = try #require(try await Self.run(trial, on: node, policy: policy))
        #expect(comparison.changedUsers == 10 && comparison.examples.isEmpty)
        node.users.allows(true)
        node.users.has([])
        let cold = try #require(try await Self.run(trial, on: node, policy: policy))
        #expect(cold.changedUsers == 10 && cold.examples.count == 5)
        #expect(node.context.pools.coldLists.count == 0)
    }

    @Test("what cannot be tried is said")
    func errors() async throws {
        let node = try await PolicyServingTests.Node { _ in }
        let policy = Self.policy { $0.surfaces = ["home", "new"] }
        #expect(try await Self.run(PolicyTrial(surface: "home"), on: node, policy: policy, version: "p7") == nil)
        await #expect(throws: ServingError.unknownSurface(allowed: ["home", "detail", "email"])) {
            try await Self.run(PolicyTrial(surface: "new"), on: node, policy: policy)
        }
        await #expect(throws: ServingError.unknownSurface(allowed: ["home", "new"])) {
            try await Self.run(PolicyTrial(surface: "detail"), on: node, policy: policy)
        }
        node.users.isAway = true
        await #expect(throws: ServingError.storeUnavailable) {
            try await Self.run(PolicyTrial(surface: "home"), on: node, policy: policy)
        }
        let without = try await PolicyServingTests.Node(hasModel: false) { _ in }
        await #expect(throws: ServingError.notReady) {
            try await Self.run(PolicyTrial(surface: "home"), on: without, policy: policy)
        }
    }
}

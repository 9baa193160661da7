import RecommendationCore
import Testing

@testable import Caching
@testable import Serving

/// Which policies share pools, and which do not.
@Suite("Pools of several policies")
struct PolicySharingTests {
    private typealias Text = ItemExpression.Text

    private static func policy(_ version: String, _ change: (inout Policy) -> Void = { _ in }) -> Policy {
        var policy = Policy.builtIn
        policy.version = version
        policy.jitterPercent = 0
        change(&policy)
        return policy
    }

    private static func digest(_ change: (inout Policy) -> Void) -> String {
        CompiledPolicy(Self.policy("p9", change)).poolDigest
    }

    @Test("what is in pools is in the digest, and what the final stage does is not")
    func digest() {
        let base = Self.digest { _ in }
        let category = ItemExpression.categories([Text(trusted: "c1")])
        let shared: [(inout Policy) -> Void] = [
            { $0.version = "another" }, { $0.maximumPerWindow = 1 }, { $0.window = 5 }, { $0.fallback = [] },
            { $0.staticItems = [Item.ID(trusted: "i1")] }, { $0.onUnverified = .refuse }, { $0.surfaces = ["x"] },
            { $0.boosts = [Policy.Boost(factor: 2, when: category)] }, { $0.marginalRelevance = 0.5 },
            { $0.creatorCap = Policy.DiversityCap(maximum: 1, window: 3) },
        ]
        for change in shared { #expect(Self.digest(change) == base) }
        let own: [(inout Policy) -> Void] = [
            { $0.weights.content = 0.2 }, { $0.weights.collaborative = 0.3 }, { $0.weights.popularity = 0.2 },
            { $0.seenFilter = false }, { $0.eventWeights[.view] = 0.3 }, { $0.invalidatingEvents = [.purchase] },
            { $0.halfLifeDays = 3 }, { $0.softTTL = .seconds(3) }, { $0.activeTTL = .seconds(3) },
            { $0.hardTTL = .seconds(3_000) }, { $0.jitterPercent = 1 }, { $0.poolSize = 10 },
            { $0.exploration.share = 0.1 }, { $0.exploration.maximumAgeDays = 3 }, { $0.eligibility = category },
            { $0.eligibility = .not(category) }, { $0.eligibility = .creators([Text(trusted: "c1")]) },
            { $0.eligibility = .label(Text(trusted: "a"), [Text(trusted: "b")]) },
            { $0.eligibility = .label(Text(trusted: "a"), [Text(trusted: "b"), Text(trusted: "c")]) },
            { $0.eligibility = .label(Text(trusted: "a"), [Text(trusted: "b1:c")]) },
            { $0.eligibility = .userLabel(Text(trusted: "a"), []) },
            { $0.pins = [Policy.Pin(item: Item.ID(trusted: "i1"), position: 1)] },
            { $0.pins = [Policy.Pin(item: Item.ID(trusted: "i2"), position: 1)] },
            { $0.boosts = [Policy.Boost(factor: 2, when: .userLabel(Text(trusted: "a"), []))] },
        ]
        let digests = own.map(Self.digest)
        #expect(Set(digests + [base]).count == own.count + 1)
    }

    @Test("policies that make the same pools share what is cached, each by its own final stage; others do not")
    func sharing() async throws {
        let same = Self.policy("p9") { $0.maximumPerWindow = 1 }
        let other = Self.policy("p10") { $0.weights = Policy.Weights(collaborative: 0, content: 0, popularity: 1) }
        let node = try await PolicyServingTests.Node(others: [same, other]) { _ in }
        let first = try await node.ask(limit: 20)
        #expect(first.tier == .computed && first.policyVersion == "p8")
        await node.control(canary: nil) {
            $0.activePolicy = StoredPolicy(version: "p9", document: "", createdAt: Fixture.now)
        }
        let second = try await node.ask(limit: 20)
        #expect(second.tier == .l1 && second.policyVersion == "p9")
        #expect(second.items.map(\.item) != first.items.map(\.item), "another final stage")
        await node.control(canary: nil) {
            $0.activePolicy = StoredPolicy(version: "p10", document: "", createdAt: Fixture.now)
        }
        let third = try await node.ask(limit: 20)
        #expect(third.tier == .computed && third.policyVersion == "p10")
        #expect(third.items.allSatisfy { $0.collaborative == 0 && $0.content == 0 })
        #expect(node.keeper.local.takeStatistics().fields == 2)
    }

    @Test("a purge of one of them is of that one")
    func purge() async throws {
        let same = Self.policy("p9") { $0.maximumPerWindow = 1 }
        let node = try await PolicyServingTests.Node(others: [same]) { _ in }
        func serve(by version: String, purged: [String: Int64] = [:]) async throws -> Tier {
            await node.control(canary: nil) { control in
                control.activePolicy = StoredPolicy(version: version, document: "", createdAt: Fixture.now)
                for (policy, generation) in purged { control.generations.policies[policy] = generation }
            }
            return try await node.ask().tier
        }
        #expect(try await serve(by: "p8") == .computed)
        #expect(try await serve(by: "p9") == .l1)
        #expect(try await serve(by: "p9", purged: ["p9": 7]) == .computed)
        #expect(try await serve(by: "p9") == .l1)
        #expect(try await serve(by: "p8") == .l1, "what p8 serves was not purged")
        #expect(try await serve(by: "p8", purged: ["p8": 8]) == .computed)
    }

    @Test(
        "a surface that differs in the final stage alone shares no pool with another surface, and has the policy's digest"
    )
    func surfaces() {
        var policy = Self.policy("p9")
        var own = policy
        own.maximumPerWindow = 1
        policy.surfaceOverrides = [Policy.SurfaceOverride(surface: "email", policy: own)]
        let state = Fixture.state(items: Fixture.items(5), policy: policy)
        let fields = ["home", "email"].map { state.on($0).field(surface: $0)! }
        #expect(Set(fields).count == 2)
        #expect(state.on("home") === state && state.on("email") !== state && state.on("other") === state)
        #expect(state.on("email").policy.maximumPerWindow == 1 && state.on("email").on("email") === state.on("email"))
    }

    @Test("an event makes void what any policy that serves says it does")
    func invalidating() async throws {
        let trial = Self.policy("p9") { $0.invalidatingEvents = [.click] }
        let node = try await PolicyServingTests.Node(others: [trial]) { $0.invalidatingEvents = [.purchase] }
        #expect(node.control.state(of: .default)?.invalidatingEvents == [.purchase])
        await node.control(canary: PolicyCanary(version: "p9", share: 1))
        #expect(node.control.state(of: .default)?.invalidatingEvents == [.purchase, .click])
    }

    @Test("a canary takes its share of the users, always the same, and keeps them when it grows")
    func share() {
        let users = (0..<20_000).map { User.ID(trusted: "user-\($0)") }
        func taken(_ version: String, _ share: Int) -> Set<User.ID> {
            Set(users.filter { PolicyCanary(version: version, share: share).takes($0) })
        }
        for share in [100, 1_000, 5_000, 9_999] {
            let expected = Double(users.count * share) / 10_000
            let deviation = (expected * (1 - Double(share) / 10_000)).squareRoot()
            #expect(abs(Double(taken("p8", share).count) - expected) < 4 * deviation + 1, "\(share)")
        }
        #expect(taken("p8", 1_000).isSubset(of: taken("p8", 2_000)))
        // Another version takes others: of two tenths they have a hundredth in common.
        let both = taken("p8", 1_000).intersection(taken("p9", 1_000)).count
        #expect(abs(both - 200) < 4 * 15)
    }
}

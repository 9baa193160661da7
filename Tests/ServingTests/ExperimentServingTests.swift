import RecommendationCore
import Synchronization
import Testing

@testable import Serving

@Suite("Experiments on every path")
struct ExperimentServingTests {
    private static let time = Timestamp(seconds: 0)

    private static func running(
        _ variants: [Experiment.Variant],
        id: String = "e1",
        surface: String = "home",
        share: Int = 10_000
    ) -> RunningExperiment {
        RunningExperiment(
            experiment: Experiment(
                id: id,
                surface: surface,
                layer: id,
                salt: 3,
                variants: variants,
                design: Experiment.Design(metric: .clickThrough),
                users: Buckets().sharing([share])!,
                slots: Buckets().sharing(variants.map(\.weight))!,
                startedAt: Self.time,
                weighedAt: Self.time
            ),
            policies: Set(variants.compactMap(\.policy)).sorted().map {
                StoredPolicy(version: $0, document: "", createdAt: Fixture.now)
            }
        )
    }

    private static func node(
        _ experiments: [RunningExperiment],
        _ change: (inout Policy) -> Void = { _ in }
    ) async throws -> PolicyServingTests.Node {
        var other = Policy.builtIn
        other.jitterPercent = 0
        change(&other)
        other.version = "p9"
        let node = try await PolicyServingTests.Node(others: [other], change)
        await node.control(canary: nil) { $0.experiments = experiments }
        return node
    }

    private static let all = [Experiment.Variant(name: "b", weight: 10_000, policy: "p9")]

    @Test(
        "a variant's policy serves its users on every path of its surface, and nowhere else",
        arguments: ListPath.allCases
    )
    func policy(_ path: ListPath) async throws {
        let node = try await Self.node([Self.running(Self.all)], path.change)
        let answer = try await path.answer(node)
        #expect(answer.policy == (path.isOnSurface ? "p9" : "p8"))
        #expect(!answer.places.isEmpty)
        if path.isOnSurface {
            #expect(try await path.answer(node, surface: "detail").policy == "p8")
            // Who is not named is in none.
            if path == .similar { #expect(try await path.answer(node, user: nil).policy == "p8") }
        }
    }

    @Test("answers say which variants they are of, and so do their tokens")
    func said() async throws {
        let node = try await Self.node([
            Self.running(Self.all), Self.running([Experiment.Variant(name: "a", weight: 10_000)], id: "e2"),
            Self.running([Experiment.Variant(name: "a", weight: 10_000)], id: "e3", surface: "detail"),
            Self.running(
                [Experiment.Variant(name: "a", weight: 0), Experiment.Variant(name: "b", weight: 0)],
                id: "e4"
            ),
        ])
        let expected = [ExperimentVariant(id: "e1", variant: "b"), ExperimentVariant(id: "e2", variant: "a")]
        for _ in 0..<2 {
            let answer = try await node.ask()
            #expect(answer.experiments == expected)
            let token = try TokenSigner(Fixture.keys).verify(answer.items[0].trackingToken, tenant: .default)
            #expect(token.origin.variant == "e1=b,e2=a" && token.origin.policy == "p9")
        }
        var request = RecommendationRequest(
            tenant: .default,
            user: User.ID(trusted: "ann"),
            surface: "home",
            limit: 3
        )
        request.page = .first
        let first = try await node.service.recommend(request)
        #expect(first.experiments == expected)
        // A list that was begun stays what it is.
        await node.control(canary: nil) { $0.experiments = [] }
        request.page = .next(try #require(first.nextCursor))
        let next = try await node.service.recommend(request)
        #expect(next.experiments == expected && next.policyVersion == "p9")
        let token = try TokenSigner(Fixture.keys).verify(next.items[0].trackingToken, tenant: .default)
        #expect(token.origin.variant == "e1=b,e2=a")
        #expect(try await node.ask().experiments.isEmpty)
    }

    @Test("a surface that the policy in force has not is none, whatever a variant's policy offers")
    func surface() async throws {
        var variant = Policy.builtIn
        variant.version = "p9"
        let node = try await PolicyServingTests.Node(others: [variant]) { $0.surfaces = ["home"] }
        let experiments = [Self.running(Self.all), Self.running(Self.all, id: "e2", surface: "detail")]
        await node.control(canary: nil) { $0.experiments = experiments }
        #expect(try await node.ask().policyVersion == "p9")
        let request = RecommendationRequest(
            tenant: .default,
            user: User.ID(trusted: "ann"),
            surface: "detail",
            limit: 3
        )
        await #expect(throws: ServingError.unknownSurface(allowed: ["home"])) {
            try await node.service.recommend(request)
        }
        // Nor is it answered ahead of the routes: they are asked, which say so.
        let standing = try #require(node.service.standNow())
        for (surface, isLeft) in [("home", false), ("detail", true)] {
            let outcome = node.service.recommendNow(
                ImmediateRequest(user: User.ID(trusted: "ann"), surface: surface, limit: 3),
                tenant: .default,
                standing: standing,
                in: ImmediateWorkspace()
            )
            let waits = if case .wait = outcome { true } else { false }
            #expect(waits == isLeft, "\(surface)")
        }
    }

    @Test("an experiment that a node cannot serve whole is not served there at all")
    func unreadable() async throws {
        var missing = Self.running([
            Experiment.Variant(name: "a", weight: 5_000), Experiment.Variant(name: "b", weight: 5_000, policy: "gone"),
        ])
        missing.policies = []
        let unloaded = Self.running([Experiment.Variant(name: "a", weight: 10_000, model: 7)], id: "e2")
        let node = try await Self.node([missing, unloaded])
        let answer = try await node.ask()
        #expect(answer.experiments.isEmpty && answer.policyVersion == "p8")
    }

    @Test("a variant's model, where it is loaded, serves its users, and its version is the cache's")
    func model() async throws {
        let node = try await Self.node([])
        #expect(try await node.ask().modelVersion == "m1")
        node.store.state.withLock { store in store.artifacts[2] = store.artifacts[1] }
        await node.control(canary: nil) { control in
            control.experiments = [Self.running([Experiment.Variant(name: "a", weight: 10_000, model: 2)])]
        }
        let answer = try await node.ask()
        #expect(answer.modelVersion == "m2" && answer.tier == .computed)
        #expect(try await node.ask().tier == .l1)
        await node.control(canary: nil) { $0.experiments = [] }
        let back = try await node.ask()
        #expect(back.modelVersion == "m1" && back.tier == .l1)
    }

    @Test("what tokens say of variants is read back, and nothing else is")
    func text() {
        let variants = [ExperimentVariant(id: "e1", variant: "b"), ExperimentVariant(id: "e-2", variant: "x.y")]
        #expect([ExperimentVariant](text: variants.text) == variants)
        for text in ["", "e1", "=b", "e1="] { #expect([ExperimentVariant](text: text).isEmpty, "\(text)") }
    }
}

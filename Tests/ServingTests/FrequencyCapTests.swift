import RecommendationCore
import Testing
import VireoTestKit

@testable import Serving

/// No item is shown to a user more often than a cap allows, by whatever way the list comes.
@Suite("Frequency caps")
struct FrequencyCapTests {
    private typealias Node = PolicyServingTests.Node
    private static let day = Duration.seconds(86_400)
    private static let ann = User.ID(trusted: "ann")

    private static func cap(
        _ maximum: Int,
        on surface: String? = nil,
        per window: Duration = day
    ) -> Policy.FrequencyCap {
        Policy.FrequencyCap(surface: surface, maximum: maximum, window: window)
    }

    /// A node with caps, to which a path leads.
    private static func node(_ path: ListPath? = nil, _ caps: [Policy.FrequencyCap]) async throws -> Node {
        try await Node {
            path?.change(&$0)
            $0.frequencyCaps = caps
        }
    }

    @Test(
        "a list's items are shown as often as the cap allows, and then others, on every path but those that have no caps",
        arguments: ListPath.allCases.filter { $0 != .immediate }
    )
    func everyPath(_ path: ListPath) async throws {
        let node = try await Self.node(path, [Self.cap(2)])
        let uncapped = try await Self.node(path, [])
        let expected = try await path.items(uncapped, limit: 4)
        let all = try await path.items(uncapped, limit: 20)
        #expect(!expected.isEmpty && uncapped.counters.calls == 0)
        // Some ways begin with a list that comes by another.
        let lists = [.l1, .l2, .stale].contains(path) ? 2 : 1
        for _ in 0..<(2 / lists) { #expect(try await path.items(node, limit: 4) == expected) }
        let others = try await path.items(node, limit: 4)
        #expect(others == Array(all.filter { !expected.contains($0) }.prefix(4)), "the next in the order there is")
        #expect(!others.isEmpty)
        // Of another user nothing was shown.
        #expect(try await path.items(node, user: "bob", limit: 4).isEmpty == false)
    }

    @Test("who names nobody has no caps", arguments: [ListPath.similar, .popular, .trending, .latest])
    func nobody(_ path: ListPath) async throws {
        let node = try await Self.node(path, [Self.cap(1)])
        let first = try await path.items(node, user: nil, limit: 4)
        for _ in 0..<3 { #expect(try await path.items(node, user: nil, limit: 4) == first) }
        #expect(node.counters.calls == 0 && !first.isEmpty)
    }

    @Test("a policy without caps asks no counters and answers at once; so does a surface that none holds on")
    func uncapped() async throws {
        for caps in [[], [Self.cap(1, on: "email")]] {
            let node = try await Self.node(nil, caps)
            _ = try await node.ask()
            #expect(node.service.hasImmediate("home"))
            _ = try await node.service.recommend(
                [RecommendationRequest(tenant: .default, user: Self.ann, surface: "home", limit: 5)],
                tenant: .default
            )
            #expect(node.counters.calls == 0)
        }
        let capped = try await Self.node(nil, [Self.cap(1, on: "home")])
        _ = try await capped.ask()
        #expect(!capped.service.hasImmediate("home"), "what is under a cap has to be reserved")
    }

    @Test("a cap of a surface counts that surface alone; one of all counts them together")
    func surfaces() async throws {
        let own = try await Self.node(nil, [Self.cap(1, on: "home")])
        let first = try await own.ask().items.map(\.item)
        for _ in 0..<2 { #expect(try await own.ask(surface: "email").items.map(\.item) == first) }
        #expect(try await Set(own.ask().items.map(\.item)).isDisjoint(with: first))
        let all = try await Self.node(nil, [Self.cap(2), Self.cap(1, on: "home")])
        #expect(try await all.ask().items.map(\.item) == first)
        #expect(try await all.ask(surface: "email").items.map(\.item) == first)
        #expect(try await Set(all.ask(surface: "email").items.map(\.item)).isDisjoint(with: first))
    }

    @Test("the window ends, a reservation ends unless it is confirmed, and what was refused is counted")
    func time() async throws {
        let node = try await Self.node(nil, [Self.cap(1, per: .seconds(3_600))])
        let first = try await node.ask()
        let second = try await node.ask()
        #expect(second.filtered.frequencyCap == 5 && first.filtered.frequencyCap == 0)
        let shown = second.items.map {
            ShownItem(number: node.number($0.item), recommendationID: second.id.bytes, surface: "home")
        }
        let caps = try #require(node.context.caps)
        #expect(await caps.confirm([Self.ann: shown], tenant: .default))
        await node.later(.seconds(601))
        // What was never confirmed is free again.
        let third = try await node.ask()
        #expect(third.items.map(\.item) == first.items.map(\.item))
        await node.later(.seconds(601))
        let fourth = try await node.ask(limit: 20)
        #expect(Set(fourth.items.map(\.item)).isDisjoint(with: second.items.map(\.item)))
        await node.later(.seconds(3_600))
        #expect(try await node.ask(limit: 20).items.map(\.item).count > fourth.items.count)
    }

    @Test("items that a rule does not name are under no cap, and are what is left where the counters are away")
    func rule() async throws {
        let node = try await Node {
            $0.maximumPerWindow = 20
            $0.window = 20
            $0.frequencyCaps = [
                Policy.FrequencyCap(
                    maximum: 1,
                    window: Self.day,
                    when: .categories([ItemExpression.Text(trusted: "c1"), ItemExpression.Text(trusted: "c2")])
                )
            ]
        }
        func categories(_ answer: Recommendation) -> Set<Int> {
            Set(answer.items.map { Int($0.item.string.dropFirst())! % 7 })
        }
        let first = try await node.ask(limit: 20)
        #expect(categories(first).isSuperset(of: [1, 2, 3]) && first.degraded.isEmpty)
        let second = try await node.ask(limit: 20)
        #expect(categories(second).isDisjoint(with: [1, 2]) && categories(second).contains(3))
        #expect(second.filtered.frequencyCap == first.items.count - second.items.count)
        let other = RecommendationRequest(tenant: .default, user: User.ID(trusted: "bob"), surface: "home", limit: 20)
        node.counters.isAway = true
        let away = try await node.service.recommend(other)
        #expect(away.items.map(\.item) == second.items.map(\.item))
        #expect(away.degraded == [.frequencyCap])
        #expect(node.counters.count(1, of: User.ID(trusted: "bob")) == 0)
    }

    @Test("what is refused is replaced twice at most, and then the list is short")
    func rounds() async throws {
        let node = try await Self.node(nil, [Self.cap(1)])
        node.counters.refuses(allBut: [])
        let none = try await node.ask()
        #expect(none.items.isEmpty && none.filtered.poolExhausted)
        #expect(node.counters.calls == 3, "the first choice and two replacements")
        let some = try await Self.node(nil, [Self.cap(1)])
        let wanted = try await Self.node(nil, []).ask(limit: 20).items.map(\.item)
        // The first of each choice is let through.
        some.counters.refuses(allBut: [some.number(wanted[0]), some.number(wanted[5]), some.number(wanted[18])])
        let short = try await some.ask()
        #expect(short.items.map(\.item) == [wanted[0], wanted[5]])
        #expect(short.filtered.frequencyCap > 0)
    }

    @Test("counters that are not known are made of stored impressions; without the store, what there is counts")
    func incomplete() async throws {
        let node = try await Self.node(nil, [Self.cap(1)])
        let wanted = try await Self.node(nil, []).ask(limit: 20).items.map(\.item)
        node.counters.forgetsAll()
        let id = RecommendationID(milliseconds: node.clock.milliseconds - 1_000, random: (1, 2)).bytes
        node.shown.has([ShownItem(number: node.number(wanted[0]), recommendationID: id, surface: "home")])
        let answer = try await node.ask()
        #expect(answer.items.map(\.item) == Array(wanted[1...5]) && answer.degraded.isEmpty)
        #expect(node.shown.reads == 1)
        _ = try await node.ask()
        #expect(node.shown.reads == 1, "once they are whole they stay it")
        node.counters.forgetsAll()
        node.shown.isAway = true
        let partial = try await node.ask()
        #expect(partial.items.map(\.item) == Array(wanted[0..<5]) && partial.degraded == [.postgres])
    }

    @Test("requests of one call count each other")
    func batch() async throws {
        let node = try await Self.node(nil, [Self.cap(2)])
        let request = RecommendationRequest(tenant: .default, user: Self.ann, surface: "home", limit: 5)
        var counts: [Item.ID: Int] = [:]
        for answer in try await node.service.recommend(Array(repeating: request, count: 6), tenant: .default) {
            for item in try answer.get().items { counts[item.item, default: 0] += 1 }
        }
        // Beside each other some may be short: what another has reserved meanwhile is replaced twice, and no more.
        #expect(counts.values.max() == 2)
        #expect(counts.values.reduce(0, +) >= 10)
    }

    @Test("impressions confirm; where they cannot be counted the answer says so")
    func impressions() async throws {
        let node = try await Self.node(nil, [Self.cap(1)])
        let slate = try await node.ask()
        let clock = node.clock
        let service = ImpressionService(
            repository: node.shown,
            control: node.control,
            signer: TokenSigner(Fixture.keys),
            quality: QualityMetrics(),
            caps: node.context.caps,
            log: node.context.log,
            wallClock: { Timestamp(microseconds: clock.milliseconds * 1_000) }
        )
        let items = slate.items.map { ImpressionRequest.Shown(item: $0.item, trackingToken: $0.trackingToken) }
        let request = ImpressionRequest(id: slate.id, items: items)
        node.counters.isAway = true
        #expect(try await service.record(request, tenant: .default).isCounted == false)
        node.counters.isAway = false
        #expect(try await service.record(request, tenant: .default).isCounted)
        await node.later(.seconds(3_600))
        for item in slate.items { #expect(node.counters.count(node.number(item.item), of: Self.ann) == 1) }
        #expect(try await Set(node.ask().items.map(\.item)).isDisjoint(with: slate.items.map(\.item)))
    }

    @Test("what is shown while no policy has caps is made good when one has, and a variant's caps are confirmed")
    func switched() async throws {
        let item = ShownItem(number: 3, recommendationID: Array(repeating: 1, count: 16), surface: "home")
        var without = Policy.builtIn
        without.version = "p9"
        let switched = try await Node(others: [without]) { $0.frequencyCaps = [Self.cap(1)] }
        switched.counters.forgetsAll()
        _ = try await switched.ask()
        #expect(await switched.context.caps!.confirm([Self.ann: [item]], tenant: .default))
        await switched.control(canary: nil) {
            $0.activePolicy = StoredPolicy(version: "p9", document: "", createdAt: Fixture.now)
        }
        #expect(switched.counters.isWhole(Self.ann))
        #expect(await switched.context.caps!.confirm([Self.ann: [item]], tenant: .default))
        #expect(!switched.counters.isWhole(Self.ann))
        // The policy with caps serves a variant alone.
        let variant = Experiment.Variant(name: "b", weight: 10_000, policy: "p8")
        await switched.control(canary: nil) {
            $0.experiments = [
                RunningExperiment(
                    experiment: Experiment(
                        id: "e1",
                        surface: "home",
                        layer: "e1",
                        salt: 1,
                        variants: [variant],
                        design: Experiment.Design(metric: .clickThrough),
                        users: Buckets().sharing([10_000])!,
                        slots: Buckets().sharing([10_000])!,
                        startedAt: Fixture.now,
                        weighedAt: Fixture.now
                    ),
                    policies: [StoredPolicy(version: "p8", document: "", createdAt: Fixture.now)]
                )
            ]
        }
        #expect(switched.control.state(of: .default)?.longestCapWindow == Self.day)
    }

    @Test("over random catalogues and histories: within the caps, as the final stage orders what is left")
    func property() async throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<60 {
            let caps = (0..<Int.random(in: 1...4, using: &generator)).map { _ in
                Self.cap(
                    Int.random(in: 1...3, using: &generator),
                    on: ["home", "email", nil].randomElement(using: &generator)!,
                    per: .seconds([60, 3_600, 86_400].randomElement(using: &generator)!)
                )
            }
            let perWindow = Int.random(in: 1...4, using: &generator)
            let node = try await Node {
                $0.maximumPerWindow = perWindow
                $0.window = 5
                $0.frequencyCaps = caps
            }
            let plain = try await Node {
                $0.maximumPerWindow = perWindow
                $0.window = 5
            }
            var shown: [(time: Int64, surface: String, item: Item.ID)] = []
            for _ in 0..<12 {
                let surface = Bool.random(using: &generator) ? "home" : "email"
                let limit = Int.random(in: 1...8, using: &generator)
                let now = node.clock.milliseconds
                let full = Set(shown.map(\.item)).filter { item in
                    caps.contains { cap in
                        let since = now - Int64(cap.window / .milliseconds(1))
                        return cap.surface.map { $0 == surface } ?? true
                            && shown.count {
                                $0.item == item && $0.time > since && $0.time + FakeCounters.hold > now
                                    && (cap.surface == nil || $0.surface == surface)
                            } >= cap.maximum
                    }
                }
                var request = RecommendationRequest(tenant: .default, user: Self.ann, surface: surface, limit: limit)
                let answer = try await node.service.recommend(request)
                request.filters.excludedItems = Array(full)
                let expected = try await plain.service.recommend(request)
                #expect(answer.items.map(\.item) == expected.items.map(\.item), "seed \(seed)")
                shown += answer.items.map { (now, surface, $0.item) }
                let pause = Duration.seconds([0, 0, 45, 300].randomElement(using: &generator)!)
                await node.later(pause)
                await plain.later(pause)
            }
        }
    }
}

extension PolicyServingTests.Node {
    func number(_ item: Item.ID) -> Item.Number { self.control.state(of: .default)!.catalog.number(of: item)! }
}

extension RecommendationService {
    /// Whether Ann's list on a surface is answered at once.
    fileprivate func hasImmediate(_ surface: String) -> Bool {
        guard let standing = self.standNow() else { return false }
        let outcome = self.recommendNow(
            ImmediateRequest(user: User.ID(trusted: "ann"), surface: surface, limit: 5),
            tenant: .default,
            standing: standing,
            in: ImmediateWorkspace()
        )
        if case .answer = outcome { return true }
        return false
    }
}

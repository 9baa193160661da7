import RecommendationCore
import Synchronization
import Testing

@testable import Caching
@testable import Serving

/// What a policy says of items holds on every path that gives a list.
@Suite("Policy rules on every path")
struct PolicyPathTests {
    private typealias Text = ItemExpression.Text

    private static let creators = ItemExpression.creators([Text(trusted: "creator-1")])
    /// The twenty items of the catalogue, but for those of creator-1.
    private static let others = Set((0..<20).filter { $0 % 3 != 1 }.map { "i\($0)" })

    @Test(
        "who may be shown by the item alone is in every list, and who may not is in none",
        arguments: ListPath.allCases
    )
    func eligibility(_ path: ListPath) async throws {
        let open = try await PolicyServingTests.Node(path.change)
        let all = Set(try await path.items(open))
        let node = try await PolicyServingTests.Node {
            path.change(&$0)
            $0.eligibility = .not(Self.creators)
        }
        let items = Set(try await path.items(node))
        #expect(items == all.intersection(Self.others) && items.count < all.count && !items.isEmpty)
    }

    @Test(
        "what depends on the user's labels is shown to whom they let, and to nobody of whom they are not known",
        arguments: ListPath.allCases
    )
    func labels(_ path: ListPath) async throws {
        func node(_ labels: [UserLabel]) async throws -> PolicyServingTests.Node {
            let node = try await PolicyServingTests.Node {
                path.change(&$0)
                $0.eligibility = .any([
                    .not(Self.creators), .userLabel(Text(trusted: "age"), [Text(trusted: "adult")]),
                ])
            }
            node.users.tells(labels)
            return node
        }
        let adult = UserLabel(name: "age", value: "adult")
        for (labels, isAdult) in [([], false), ([UserLabel(name: "age", value: "child")], false), ([adult], true)] {
            let items = Set(try await path.items(try await node(labels)))
            #expect(items.isSubset(of: Self.others) == !(isAdult && path.knowsUser), "\(labels): \(items)")
            #expect(!items.isDisjoint(with: Self.others))
        }
        // Without consent nothing that is told of somebody counts; they have no list of their own to be cached.
        guard ![.l1, .l2, .immediate, .stale].contains(path) else { return }
        let silent = try await node([adult])
        silent.users.allows(false)
        #expect(Set(try await path.items(silent)).isSubset(of: Self.others))
    }

    @Test(
        "an item that comes under a rule leaves lists that were computed before, and is counted",
        arguments: ListPath.allCases
    )
    func laterChange(_ path: ListPath) async throws {
        let node = try await PolicyServingTests.Node {
            path.change(&$0)
            $0.eligibility = .not(.label(Text(trusted: "brand"), []))
        }
        let before = try await path.items(node)
        #expect(before.contains("i5"))
        var item = Fixture.items(20)[5].item
        item.labels = ["brand": "x"]
        let changed = NumberedItem(number: 5, item: item, revision: 9)
        node.store.state.withLock { store in
            store.delta = ControlDelta(
                incarnation: "a",
                head: 2,
                tenants: [],
                keys: nil,
                items: [(tenant: .default, item: changed)],
                itemPosition: 2
            )
        }
        _ = await node.keeper.readControl()
        node.store.state.withLock { $0.delta = ControlDelta(unchangedAt: 2) }
        let after = try await path.items(node)
        #expect(Set(after) == Set(before).subtracting(["i5"]))
    }

    @Test("pins have their places on the policy's surfaces, and nowhere else", arguments: ListPath.allCases)
    func pins(_ path: ListPath) async throws {
        let node = try await PolicyServingTests.Node {
            path.change(&$0)
            $0.pins = [
                Policy.Pin(item: Item.ID(trusted: "i16"), position: 1),
                Policy.Pin(item: Item.ID(trusted: "nothing"), position: 2),
                Policy.Pin(item: Item.ID(trusted: "i13"), position: 3),
                Policy.Pin(item: Item.ID(trusted: "i12"), position: 90),
                Policy.Pin(item: Item.ID(trusted: "i11"), position: 4, when: Self.creators),
            ]
        }
        let items = try await path.items(node, limit: 8)
        #expect(Set(items).count == items.count)
        if path.isOnSurface {
            #expect(items.count == 8 && items[0] == "i16" && items[2] == "i13", "\(items)")
            #expect(items[3] != "i11")
        } else {
            #expect(Array(items.prefix(3)) != ["i16", items[1], "i13"])
        }
    }

    @Test("a pin is under every rule of the final stage", arguments: ListPath.allCases.filter(\.isOnSurface))
    func pinsObey(_ path: ListPath) async throws {
        func items(_ tell: (PolicyServingTests.Node) -> Void, _ item: (inout Item) -> Void = { _ in }) async throws
            -> [String]
        {
            let node = try await PolicyServingTests.Node(items: item) {
                path.change(&$0)
                $0.pins = [Policy.Pin(item: Item.ID(trusted: "i4"), position: 1)]
                $0.eligibility = .not(.label(Text(trusted: "brand"), []))
            }
            tell(node)
            return try await path.items(node)
        }
        #expect(try await items({ _ in }).first == "i4")
        #expect(try await !items({ _ in }, { if $0.id.string == "i4" { $0.hidden = true } }).contains("i4"))
        #expect(try await !items({ _ in }, { if $0.id.string == "i4" { $0.inStock = false } }).contains("i4"))
        #expect(try await !items({ _ in }, { if $0.id.string == "i4" { $0.labels = ["brand": "x"] } }).contains("i4"))
        // What the user has had or does not want is known where the user is.
        guard path.knowsUser else { return }
        for type in [EventType.purchase, .hide, .dislike] {
            let event = HistoryEvent(item: 4, type: type, value: 1, occurredAt: Fixture.now)
            #expect(try await !items({ $0.users.has([event]) }).contains("i4"), "\(type)")
        }
        for suppression in [
            Suppression(kind: .item, key: Identifier(trusted: "i4")),
            Suppression(kind: .category, key: Identifier(trusted: "c4")),
            Suppression(kind: .creator, key: Identifier(trusted: "creator-1")),
        ] {
            #expect(try await !items({ $0.users.suppresses([suppression]) }).contains("i4"), "\(suppression)")
        }
        let viewed = HistoryEvent(item: 4, type: .view, value: 1, occurredAt: Fixture.now)
        #expect(try await items({ $0.users.has([viewed]) }).first == "i4")
    }

    @Test("boosts order what has a score on a surface, and components still add to it", arguments: ListPath.allCases)
    func boosts(_ path: ListPath) async throws {
        let boosted = ItemExpression.categories(["c2", "c3"].map { Text(trusted: $0) })
        let open = try await PolicyServingTests.Node(path.change)
        let plain = try await path.slate(open)
        let node = try await PolicyServingTests.Node {
            path.change(&$0)
            $0.boosts = [
                Policy.Boost(factor: 4, when: boosted),
                Policy.Boost(factor: 2.5, when: .categories([Text(trusted: "c3")])),
                Policy.Boost(factor: 0, when: .categories([Text(trusted: "c1")])),
            ]
        }
        let slate = try await path.slate(node)
        guard path.isOnSurface, path != .curated else {
            #expect(slate.map(\.id) == plain.map(\.id))
            return
        }
        func factor(_ id: String) -> Float {
            switch Int(id.dropFirst())! % 7 {
            case 1: 0
            case 2: 4
            case 3: 10
            default: 1
            }
        }
        let expected = plain.map { ($0.id, $0.score > 0 ? $0.score * factor($0.id) : $0.score) }
        #expect(Set(slate.map(\.id)) == Set(plain.map(\.id)))
        for (id, score) in expected {
            let place = try #require(slate.first { $0.id == id })
            #expect(abs(place.score - score) < 1e-4, "\(id)")
            #expect(abs(place.components - place.score) < 1e-5, "\(id)")
        }
        #expect(slate.map(\.score) == slate.map(\.score).sorted(by: >))
        #expect(slate.map(\.id) != plain.map(\.id))
    }

    @Test(
        "a surface with a policy of its own goes by it on every path, and the others do not",
        arguments: ListPath.allCases
    )
    func surfaces(_ path: ListPath) async throws {
        let node = try await PolicyServingTests.Node {
            path.change(&$0)
            var own = $0
            own.eligibility = .not(Self.creators)
            own.pins = [Policy.Pin(item: Item.ID(trusted: "i15"), position: 1)]
            own.weights = Policy.Weights(collaborative: 0, content: 0, popularity: 1)
            $0.surfaceOverrides = [Policy.SurfaceOverride(surface: "detail", policy: own)]
        }
        let home = try await path.items(node, surface: "home")
        let detail = try await path.items(node, surface: "detail")
        #expect(!Set(home).isSubset(of: Self.others))
        if path.isOnSurface {
            #expect(Set(detail).isSubset(of: Self.others) && detail.first == "i15", "\(detail)")
            #expect(home.first != "i15")
        } else {
            #expect(detail == home)
        }
        // In either order: what is cached of one is not served on the other.
        #expect(try await path.items(node, surface: "home") == home)
    }

    @Test("a canary's policy serves its users on every path, and the others never", arguments: ListPath.allCases)
    func canary(_ path: ListPath) async throws {
        var trial = Policy.builtIn
        path.change(&trial)
        trial.version = "p9"
        trial.jitterPercent = 0
        trial.eligibility = .not(Self.creators)
        let canary = PolicyCanary(version: "p9", share: 5_000)
        let node = try await PolicyServingTests.Node(others: [trial], path.change)
        let users = (0..<40).map { "user-\($0)" }
        let inside = try #require(users.first { canary.takes(User.ID(trusted: $0)) })
        let outside = try #require(users.first { !canary.takes(User.ID(trusted: $0)) })
        await node.control(canary: canary)
        for user in [inside, outside, inside] {
            let slate = try await path.answer(node, user: user)
            let isInside = user == inside
            #expect(slate.policy == (isInside ? "p9" : "p8"))
            #expect(Set(slate.places.map(\.id)).isSubset(of: Self.others) == isInside, "\(user)")
        }
        await node.control(canary: nil)
        let slate = try await path.answer(node, user: inside)
        #expect(slate.policy == "p8" && !Set(slate.places.map(\.id)).isSubset(of: Self.others))
    }

    @Test("caps of categories and of creators hold on every path, in random catalogues", arguments: ListPath.allCases)
    func caps(_ path: ListPath) async throws {
        for seed in UInt64(0)..<6 {
            var generator = SeededGenerator(seed: seed)
            let categories = Int.random(in: 2...6, using: &generator)
            let creators = Int.random(in: 2...6, using: &generator)
            var kinds: [String: (category: String, creator: String?)] = [:]
            let category = Policy.DiversityCap(maximum: Int.random(in: 1...3, using: &generator), window: 6)
            let creator = Policy.DiversityCap(maximum: Int.random(in: 1...2, using: &generator), window: 4)
            let hasRelevance = Bool.random(using: &generator)
            let isCold = Bool.random(using: &generator)
            let node = try await PolicyServingTests.Node(items: { item in
                let own = "c\(Int.random(in: 0..<categories, using: &generator))"
                item.categories = [own]
                let maker = "m\(Int.random(in: 0..<creators, using: &generator))"
                item.creator = Int.random(in: 0..<6, using: &generator) == 0 ? nil : maker
                kinds[item.id.string] = (own, item.creator)
            }) {
                path.change(&$0)
                $0.maximumPerWindow = category.maximum
                $0.window = category.window
                $0.creatorCap = creator
                $0.marginalRelevance = hasRelevance ? 0.6 : nil
            }
            if isCold, ![.l1, .l2, .immediate, .stale].contains(path) { node.users.has([]) }
            let slate = try await path.slate(node)
            #expect(!slate.isEmpty)
            // What somebody put together by hand is as they put it; who asks for a category gets it.
            guard path != .curated else { continue }
            let chosen = slate.map { kinds[$0.id]! }
            func largest(_ window: Int, _ names: [String?]) -> Int {
                names.indices.map { start in
                    let part = names[start...].prefix(window).compactMap(\.self)
                    return Set(part).map { name in part.count { $0 == name } }.max() ?? 0
                }.max() ?? 0
            }
            #expect(largest(creator.window, chosen.map(\.creator)) <= creator.maximum, "seed \(seed)")
            if path != .filtered {
                #expect(largest(category.window, chosen.map(\.category)) <= category.maximum, "seed \(seed)")
            }
        }
    }
}

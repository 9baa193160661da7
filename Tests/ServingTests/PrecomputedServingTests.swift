import Logging
import RecommendationCore
import Synchronization
import Testing

@testable import Caching
@testable import Serving

/// Lists that were computed ahead, where none can be computed: one node, its store of histories away.
@Suite("Serving precomputed lists")
struct PrecomputedServingTests {
    typealias Node = PolicyServingTests.Node

    /// A store of lists that can be away.
    final class Lists: PrecomputedListRepository {
        private struct State {
            var isAway = false
            var lists: [PrecomputedList] = []
            /// Users of each read.
            var reads: [Int] = []
        }

        private let state = Mutex(State())

        var isAway: Bool {
            get { self.state.withLock { $0.isAway } }
            set { self.state.withLock { $0.isAway = newValue } }
        }

        var reads: [Int] { self.state.withLock { $0.reads } }

        func has(_ lists: [PrecomputedList]) { self.state.withLock { $0.lists = lists } }

        func store(_ lists: [PrecomputedList], tenant: Tenant.ID) async throws(RepositoryError) -> Int {
            self.state.withLock { $0.lists += lists }
            return lists.count
        }

        func lists(
            of users: [(user: User.ID, lineage: PrecomputedList.Lineage)],
            since time: Timestamp,
            tenant: Tenant.ID
        ) async throws(RepositoryError) -> [PrecomputedList?] {
            let state = self.state.withLock { state in
                state.reads.append(users.count)
                return state
            }
            if state.isAway { throw .unavailable("told to") }
            return users.map { user, lineage in
                state.lists.first { $0.user == user && $0.lineage == lineage && $0.computedAt >= time }
            }
        }

        func prune(before: Timestamp, keeping: Int, tenant: Tenant.ID) async throws(RepositoryError) -> Int { 0 }
    }

    /// A list of all items by their numbers, of some time ago.
    static func list(
        _ node: Node,
        of user: String = "ann",
        surface: String = "home",
        age: Duration = .seconds(7),
        _ change: (inout PrecomputedList.Lineage) -> Void = { _ in }
    ) throws -> PrecomputedList {
        let state = node.control.state(of: .default)?.answering(User.ID(trusted: user), on: surface).state
        var lineage = try #require(state?.lineage(surface: surface))
        change(&lineage)
        let milliseconds = node.keeper.milliseconds() - age.components.seconds * 1_000
        return PrecomputedList(
            user: User.ID(trusted: user),
            lineage: lineage,
            version: 1,
            computedAt: Timestamp(microseconds: milliseconds * 1_000),
            pool: PoolCodec.encode(Fixture.pool(20))
        )
    }

    @Test("it is the answer where nothing can be computed, and says what it is and how old")
    func served() async throws {
        let node = try await Node { $0.maximumPerWindow = 0 }
        node.precomputed.has([try Self.list(node)])
        #expect(try await node.ask().tier == .computed, "what can be computed is")
        #expect(node.precomputed.reads.isEmpty)
        let away = try await Node {
            $0.maximumPerWindow = 0
            $0.onUnverified = .refuse
        }
        away.precomputed.has([try Self.list(away)])
        away.users.isAway = true
        let answer = try await away.ask()
        #expect(answer.tier == .precomputed && answer.fallback == .precomputed)
        #expect(answer.fallbackReason == "store_unavailable" && answer.degraded == [.postgres])
        #expect(answer.items.map(\.item.string) == ["i0", "i1", "i2", "i3", "i4"])
        #expect(answer.ageMilliseconds == 7_000 && answer.userVersion == 1)
        #expect(answer.modelVersion == "m1" && answer.policyVersion == "p8")
        #expect(away.precomputed.reads == [1])
    }

    @Test("the final stage runs on it: what is hidden or denied by now is not shown")
    func finalStage() async throws {
        let node = try await Node { $0.maximumPerWindow = 0 }
        node.precomputed.has([try Self.list(node)])
        node.users.isAway = true
        node.store.state.withLock { store in
            store.delta = ControlDelta(
                incarnation: "a",
                head: 2,
                tenants: store.whole!.tenants,
                tombstones: Fixture.all([
                    Fixture.tombstone(.item, "i0"), Fixture.tombstone(.creator, "creator-2"),
                ]),
                keys: nil,
                items: Fixture.items(20) { $0.hidden = $0.id.string == "i1" }.map { (tenant: .default, item: $0) },
                itemPosition: 2
            )
        }
        _ = await node.keeper.readControl()
        let answer = try await node.ask()
        #expect(answer.tier == .precomputed)
        #expect(answer.items.map(\.item.string) == ["i3", "i4", "i6", "i7", "i9"])
        #expect(answer.filtered.tombstone > 0 && answer.filtered.unavailable == 1)
    }

    @Test(
        "one of another model, policy, surface or purge, or too old a one, is none; neither is one that cannot be read",
        arguments: ["model", "policy", "surface", "purge", "age", "user", "store"]
    )
    func passedOver(_ other: String) async throws {
        let node = try await Node { _ in }
        node.users.isAway = true
        node.precomputed.has([
            try Self.list(node, of: other == "user" ? "bob" : "ann", age: .seconds(other == "age" ? 86_401 : 86_400)) {
                switch other {
                case "model": $0.model = 2
                case "policy": $0.policy = "p7"
                case "surface": $0.surface = "detail"
                case "purge": $0.generation = 9
                default: break
                }
            }
        ])
        node.precomputed.isAway = other == "store"
        let answer = try await node.ask()
        #expect(answer.fallback == .popular && answer.degraded == [.postgres, .unverified])
        #expect(node.precomputed.reads == [1])
    }

    @Test("it takes its turn in the policy's order, and stands in for no list that is drawn by other filters")
    func order() async throws {
        for (order, expected) in [
            ([.precomputed, .popular], Fallback.precomputed), ([.popular, .precomputed], .popular),
            ([.popular], .popular), ([.stale, .precomputed], .stale),
        ] as [([Policy.FallbackStep], Fallback)] {
            let node = try await Node {
                $0.softTTL = .seconds(10)
                $0.fallback = order
            }
            node.precomputed.has([try Self.list(node)])
            #expect(try await node.ask().fallback == nil)
            await node.later(.seconds(11))
            node.users.isAway = true
            #expect(try await node.ask().fallback == expected, "\(order)")
        }
        let node = try await Node { _ in }
        node.precomputed.has([try Self.list(node)])
        node.users.isAway = true
        var request = RecommendationRequest(tenant: .default, user: User.ID(trusted: "ann"), surface: "home", limit: 5)
        request.filters.categories = [Identifier(trusted: "c1")]
        #expect(try await node.service.recommend(request).fallback == .popular)
        #expect(node.precomputed.reads.isEmpty)
    }

    @Test("a request that has little time left does not look for one")
    func late() async throws {
        let node = try await Node { _ in }
        let list = try Self.list(node)
        node.precomputed.has([list])
        let lists = PrecomputedLists(node.precomputed, latest: .seconds(60), log: Logger(label: "test"))
        for (age, expected) in [(Duration.seconds(61), nil), (.zero, list)] {
            let found = await lists.list(
                of: list.user,
                list.lineage,
                tenant: .default,
                at: list.computedAt,
                since: .now - age
            )
            #expect(found == expected)
        }
        #expect(node.precomputed.reads == [1])
    }

    @Test("of many users they are read together")
    func together() async throws {
        let node = try await Node { _ in }
        let users = (0..<100).map { "u\($0)" }
        node.precomputed.has(try users.map { try Self.list(node, of: $0) })
        node.users.isAway = true
        let precomputed = try #require(node.context.precomputed)
        let requests = users.map {
            RecommendationRequest(tenant: .default, user: User.ID(trusted: $0), surface: "home", limit: 5)
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await precomputed.run() }
            while !precomputed.isRunning { await Task.yield() }
            let answers = try await node.service.recommend(requests, tenant: .default)
            #expect(answers.count == users.count)
            for (user, answer) in zip(users, answers) {
                #expect(try answer.get().user?.string == user)
                #expect(try answer.get().fallback == .precomputed)
            }
            group.cancelAll()
        }
        #expect(node.precomputed.reads.reduce(0, +) == 100)
        #expect(node.precomputed.reads.max() ?? 0 > 1 && node.precomputed.reads.allSatisfy { $0 <= 64 })
    }
}

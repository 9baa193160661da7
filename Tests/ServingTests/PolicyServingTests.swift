import Logging
import RecommendationCore
import RecommendationEngine
import Synchronization
import Testing
import VireoTestKit

@testable import Caching
@testable import Serving

/// What a policy says is what is done: one node over an L2 in memory, on a clock that stands still.
@Suite("Serving by a policy")
struct PolicyServingTests {
    /// A store of users that can be away.
    final class Users: UserRepository {
        private struct State {
            var isAway = false
            var reads = 0
            var history: [HistoryEvent] = []
            var consent = true
            var suppressions: [Suppression] = []
            var labels: [UserLabel] = []
            var (number, changed): (Int64, User.Version) = (1, 0)
            var latch: Latch?
        }

        private let state = Mutex(State())

        var isAway: Bool {
            get { self.state.withLock { $0.isAway } }
            set { self.state.withLock { $0.isAway = newValue } }
        }

        var reads: Int { self.state.withLock { $0.reads } }

        /// Says nothing of users until a latch is opened.
        func waits(for latch: Latch) { self.state.withLock { $0.latch = latch } }

        func has(_ history: [HistoryEvent]) { self.state.withLock { $0.history = history } }

        func allows(_ consent: Bool) { self.state.withLock { $0.consent = consent } }

        func suppresses(_ suppressions: [Suppression]) { self.state.withLock { $0.suppressions = suppressions } }

        /// Is of another life, or has changed what they allow.
        func becomes(number: Int64 = 1, changed: User.Version = 0) {
            self.state.withLock { ($0.number, $0.changed) = (number, changed) }
        }

        func tells(_ labels: [UserLabel]) { self.state.withLock { $0.labels = labels } }

        func state(of user: User.ID, tenant: Tenant.ID) async throws(RepositoryError) -> UserState {
            let known = self.state.withLock { state in
                state.reads += 1
                return state
            }
            await known.latch?.wait()
            if known.isAway { throw .unavailable("told to") }
            return UserState(
                version: 1,
                consent: known.consent,
                history: known.consent ? known.history : [],
                suppressions: known.suppressions,
                labels: known.consent ? known.labels : []
            )
        }

        func states(of users: [User.ID], tenant: Tenant.ID) async throws(RepositoryError) -> [UserState] {
            var states: [UserState] = []
            for user in users { states.append(try await self.state(of: user, tenant: tenant)) }
            return states
        }

        func version(of user: User.ID, tenant: Tenant.ID) async throws(RepositoryError) -> User.Version {
            if self.isAway { throw .unavailable("told to") }
            return 1
        }

        func standing(of user: User.ID, tenant: Tenant.ID) async throws(RepositoryError) -> UserStanding {
            let known = self.state.withLock { $0 }
            if known.isAway { throw .unavailable("told to") }
            return UserStanding(
                number: known.number,
                changed: known.changed,
                suppressions: known.suppressions,
                labels: known.consent ? known.labels : []
            )
        }

        func raiseVersion(
            of user: User.ID,
            tenant: Tenant.ID
        ) async throws(RepositoryError) -> (version: User.Version, transaction: UInt64)? { nil }
    }

    /// One node with a live lease, and twenty items, the lower the number the more popular.
    struct Node {
        let clock = ManualClock()
        let shared: InMemorySharedCache
        let users = Users()
        let precomputed = PrecomputedServingTests.Lists()
        let versions = StubVersions()
        let store = ControlStateTests.Store()
        let counters: FakeCounters
        let shown = ShownBefore()
        let control: ControlState
        let keeper: CoherenceKeeper
        let context: ServingContext
        let service: RecommendationService
        let lists: ListService

        /// - Parameters:
        ///   - item: Changes the items.
        ///   - others: Policies that are stored beside the active one.
        ///   - decisions: Takes records.
        init(
            hasModel: Bool = true,
            items item: (inout Item) -> Void = { _ in },
            others: [Policy] = [],
            decisions: DecisionLog? = nil,
            _ change: (inout Policy) -> Void
        ) async throws {
            var policy = Policy.builtIn
            policy.version = "p8"
            policy.jitterPercent = 0
            change(&policy)
            let active = policy
            let clock = self.clock
            self.shared = InMemorySharedCache(clock: clock)
            self.control = ControlState(
                repository: self.store,
                models: StoredSnapshots(self.store),
                policies: PolicyCodec(
                    encode: { _ in "" },
                    decode: { stored throws(UnreadablePolicy) in
                        ([active] + others).first { $0.version == stored.version } ?? active
                    }
                ),
                log: Logger(label: "test"),
                wallClock: { Timestamp(microseconds: clock.milliseconds * 1_000) },
                incarnationChanged: { _ in }
            )
            self.counters = FakeCounters(clock: clock)
            let journal = StubJournal()
            let settings = CoherenceSettings()
            self.keeper = CoherenceKeeper(
                settings: settings,
                bus: self.shared,
                control: self.control,
                journal: journal,
                log: Logger(label: "test"),
                now: { clock.now },
                wallClock: { clock.milliseconds }
            )
            // Who has no history is answered by the list that all of them share, and has no entry to go stale.
            self.users.has([HistoryEvent(item: 19, type: .click, value: 1, occurredAt: Fixture.now)])
            let context = ServingContext(
                cache: TieredCache(
                    keeper: self.keeper,
                    shared: self.shared,
                    versions: self.versions,
                    settings: settings,
                    log: Logger(label: "test")
                ),
                keeper: self.keeper,
                control: self.control,
                users: self.users,
                precomputed: PrecomputedLists(
                    self.precomputed,
                    latest: .seconds(3_600),
                    log: Logger(label: "test")
                ),
                signer: TokenSigner(Fixture.keys),
                caps: FrequencyCapService(
                    counters: self.counters,
                    impressions: self.shown,
                    control: self.control,
                    log: Logger(label: "test")
                ),
                decisions: decisions,
                limit: ComputeLimit(8),
                log: Logger(label: "test"),
                wallClock: { Timestamp(microseconds: clock.milliseconds * 1_000) }
            )
            self.context = context
            self.service = RecommendationService(context)
            self.lists = ListService(context)
            var interactions = InteractionColumns()
            for item in UInt32(0)..<20 {
                for user in 0...(20 - item) {
                    interactions.append(user: user, item: item, type: EventType.click.code, value: 1, seconds: 0)
                }
            }
            let snapshot = try SnapshotBuilder.fit(
                FitInput(interactions: interactions, itemCount: 20, builtAt: Fixture.now),
                threads: 1
            )
            self.store.state.withLock { store in
                store.artifacts[1] = SnapshotArtifact(snapshot).encode()
                store.whole = ControlDelta(
                    incarnation: "a",
                    head: 1,
                    tenants: [
                        TenantControl(
                            tenant: .default,
                            generations: Generations(),
                            activeModel: hasModel ? 1 : nil,
                            readyModel: nil,
                            previousModel: nil,
                            activePolicy: StoredPolicy(version: "p8", document: "", createdAt: Fixture.now)
                        )
                    ],
                    keys: nil,
                    items: Fixture.items(20, change: item).map { (tenant: .default, item: $0) },
                    itemPosition: 1
                )
            }
            self.keeper.apply(.began(session: 1))
            _ = await self.keeper.readControl()
            self.store.state.withLock { $0.delta = ControlDelta(unchangedAt: 1) }
            self.shared.setRelayedNow(100)
            await self.keeper.restoreTrust()
            await self.beat()
            await self.beat()
        }

        /// Serves a share of the users by another policy, or nobody any more.
        func control(canary: PolicyCanary?, _ change: (inout TenantControl) -> Void = { _ in }) async {
            self.store.state.withLock { store in
                let head = store.delta.head + 1
                store.whole!.tenants[0].canaryPolicy = canary
                store.whole!.tenants[0].canaryDocument = canary.map {
                    StoredPolicy(version: $0.version, document: "", createdAt: Fixture.now)
                }
                change(&store.whole!.tenants[0])
                store.delta = ControlDelta(unchangedAt: head)
                store.delta.tenants = store.whole!.tenants
            }
            _ = await self.keeper.readControl()
            self.store.state.withLock { $0.delta = ControlDelta(unchangedAt: $0.delta.head) }
        }

        /// A heartbeat that comes back: the lease is live from now on.
        func beat() async {
            let before = self.shared.heartbeats.count
            await self.keeper.beatOnce()
            for heartbeat in self.shared.heartbeats.dropFirst(before) { self.keeper.apply(.heartbeat(heartbeat)) }
        }

        func later(_ duration: Duration) async {
            self.clock.advance(by: duration)
            await self.beat()
        }

        func ask(limit: Int = 5, surface: String = "home") async throws(ServingError) -> Recommendation {
            try await self.service.recommend(
                RecommendationRequest(tenant: .default, user: User.ID(trusted: "ann"), surface: surface, limit: limit)
            )
        }
    }

    private static func bought(_ item: UInt32) -> HistoryEvent {
        HistoryEvent(item: item, type: .purchase, value: 1, occurredAt: Fixture.now)
    }

    @Test("a pool is fresh and served for as long as the policy says")
    func lifetimes() async throws {
        let node = try await Node {
            $0.softTTL = .seconds(10)
            $0.hardTTL = .seconds(20)
        }
        #expect(try await node.ask().tier == .computed)
        #expect(try await node.ask().policyVersion == "p8")
        await node.later(.seconds(9))
        #expect(try await node.ask().tier == .l1)
        await node.later(.seconds(2))
        node.users.isAway = true
        let stale = try await node.ask()
        #expect(stale.tier == .stale && stale.fallback == .stale)
        #expect(!stale.degraded.contains(.unverified), "what is known of the user is in the list")
        await node.later(.seconds(10))
        #expect(try await node.ask().fallback == .popular)
    }

    @Test(
        "the list of a user who did something of late is fresh for less long, where the policy says so",
        arguments: [(1_800, true), (1_801, false), (-600, true)]
    )
    func active(_ secondsAgo: Int64, _ isActive: Bool) async throws {
        let node = try await Node {
            $0.softTTL = .seconds(20)
            $0.activeTTL = .seconds(5)
        }
        let time = Timestamp(microseconds: Fixture.now.microseconds - secondsAgo * 1_000_000)
        node.users.has([HistoryEvent(item: 19, type: .click, value: 1, occurredAt: time)])
        #expect(try await node.ask().tier == .computed)
        await node.later(.seconds(4))
        #expect(try await node.ask().tier == .l1)
        await node.later(.seconds(2))
        node.users.isAway = true
        #expect(try await node.ask().tier == (isActive ? .stale : .l1))
        await node.later(.seconds(15))
        #expect(try await node.ask().tier == .stale)
    }

    @Test("fallbacks come in the policy's order, and those that are not in it never")
    func order() async throws {
        let items = [Item.ID(trusted: "i9"), Item.ID(trusted: "i8")]
        for (order, expected) in [
            ([.stale, .popular, .staticList], Fallback.stale), ([.popular, .stale], .popular),
            ([.staticList, .stale], .staticList), ([.precomputed, .stale], .stale), ([.popular], .popular),
            ([.staticList], .staticList), ([.precomputed, .staticList, .popular], .staticList),
        ] as [([Policy.FallbackStep], Fallback)] {
            let node = try await Node {
                $0.softTTL = .seconds(10)
                $0.fallback = order
                $0.staticItems = items
            }
            #expect(try await node.ask().fallback != expected)
            await node.later(.seconds(11))
            node.users.isAway = true
            let answer = try await node.ask(limit: 2)
            #expect(answer.fallback == expected, "\(order)")
            if expected == .staticList { #expect(answer.items.map(\.item) == items) }
            if expected != .stale { #expect(answer.degraded == [.postgres, .unverified]) }
            node.users.isAway = false
            #expect(try await node.ask().tier == .computed, "\(order)")
        }
    }

    @Test(
        "what has nothing to show is passed over; where nothing is left, the answer is an error",
        arguments: [true, false]
    )
    func nothingLeft(_ hasStale: Bool) async throws {
        let node = try await Node {
            $0.softTTL = .seconds(10)
            $0.fallback = [.staticList, .precomputed] + (hasStale ? [.stale] : [])
        }
        _ = try await node.ask()
        await node.later(.seconds(11))
        node.users.isAway = true
        if hasStale {
            let answer = try await node.ask()
            #expect(answer.fallback == .stale && !answer.items.isEmpty)
        } else {
            await #expect(throws: ServingError.nothingToServe) { try await node.ask() }
        }
    }

    @Test("where the policy refuses what is not verified, everybody's lists are no fallback, and a stale list still is")
    func refuses() async throws {
        let node = try await Node {
            $0.softTTL = .seconds(10)
            $0.onUnverified = .refuse
            $0.fallback = [.popular, .staticList, .stale]
            $0.staticItems = [Item.ID(trusted: "i1")]
        }
        node.users.isAway = true
        await #expect(throws: ServingError.unverified) { try await node.ask() }
        node.users.isAway = false
        _ = try await node.ask()
        await node.later(.seconds(11))
        node.users.isAway = true
        #expect(try await node.ask().fallback == .stale)
    }

    @Test("without a model the static list is served where the policy has one, and else nothing")
    func noModel() async throws {
        let items = [Item.ID(trusted: "i3")]
        let node = try await Node(hasModel: false) { $0.staticItems = items }
        let answer = try await node.ask()
        #expect(answer.fallback == .staticList && answer.fallbackReason == "no_model")
        #expect(answer.items.map(\.item) == items)
        let without = try await Node(hasModel: false) {
            $0.staticItems = items
            $0.fallback = [.popular]
        }
        await #expect(throws: ServingError.notReady) { try await without.ask() }
    }

    @Test("similar items are in the order of likeness, and for a user of what their own list says, too")
    func similar() async throws {
        func similar(_ node: Node, user: String?) async throws -> [RecommendedItem] {
            let request = SimilarRequest(
                tenant: .default,
                item: Item.ID(trusted: "i1"),
                surface: "home",
                user: user.map { User.ID(trusted: $0) },
                limit: 20
            )
            return try await node.lists.similar(request).items
        }
        let node = try await Node { $0.maximumPerWindow = 0 }
        node.users.has([Self.bought(18)])
        let plain = try await similar(node, user: nil).filter { $0.item.string != "i18" }
        let own = Dictionary(uniqueKeysWithValues: try await node.ask(limit: 20).items.map { ($0.item, $0.score) })
        let best = try #require(own.values.max())
        let ranked = try await similar(node, user: "ann")
        #expect(Set(ranked.map(\.item)) == Set(plain.map(\.item)) && !ranked.isEmpty)
        #expect(ranked.map(\.score) == ranked.map(\.score).sorted(by: >))
        for item in ranked {
            let likeness = try #require(plain.first { $0.item == item.item }).score
            let wanted = likeness * (1 + (own[item.item] ?? 0) / best) / 2
            #expect(abs(item.score - wanted) < 1e-5, "\(item.item)")
        }
        // Of who does not allow it nothing is asked, and of a store that is away nothing can be: likeness is what there is.
        for isAway in [false, true] {
            let other = try await Node { $0.maximumPerWindow = 0 }
            other.users.has([Self.bought(18)])
            other.users.allows(false)
            other.users.isAway = isAway
            let without = try await similar(other, user: "ann").filter { $0.item.string != "i18" }
            #expect(without.map(\.item) == plain.map(\.item))
        }
    }

    @Test("seen items are left out, or ranked with the others where the policy does not filter")
    func seenFilter() async throws {
        let filtering = try await Node { _ in }
        filtering.users.has([Self.bought(0)])
        let without = try await filtering.ask(limit: 20)
        #expect(!without.items.contains { $0.item.string == "i0" })
        #expect(without.filtered.seen == 1)
        let open = try await Node { $0.seenFilter = false }
        open.users.has([Self.bought(0)])
        let with = try await open.ask(limit: 20)
        #expect(with.items.contains { $0.item.string == "i0" })
        #expect(with.filtered.seen == 0)
        #expect(with.items.map(\.score) == with.items.map(\.score).sorted(by: >))
    }

    @Test("pool size, weights and diversity are the policy's")
    func shape() async throws {
        let node = try await Node {
            $0.poolSize = 12
            $0.maximumPerWindow = 1
            $0.window = 7
            $0.weights = Policy.Weights(collaborative: 0, content: 0, popularity: 1)
        }
        node.users.has([Self.bought(19)])
        let answer = try await node.ask(limit: 20)
        // Seven categories in turn: in a window of seven each comes once, and the pool is twelve items long.
        #expect(answer.items.map(\.item.string) == (0..<12).map { "i\($0)" })
        #expect(answer.items.allSatisfy { $0.collaborative == 0 && $0.content == 0 })
        #expect(answer.filtered.poolExhausted)
    }

    @Test("a surface that is not the policy's is refused with those that are; names are compared by bytes")
    func surfaces() async throws {
        let node = try await Node { $0.surfaces = ["Kitchen", "cart"] }
        #expect(try await !node.ask(surface: "cart").items.isEmpty)
        for surface in ["home", "kitchen", "\u{212A}itchen", ""] {
            await #expect(throws: ServingError.unknownSurface(allowed: ["Kitchen", "cart"])) {
                try await node.ask(surface: surface)
            }
        }
    }
}

extension ControlDelta {
    /// Nothing new.
    init(unchangedAt head: Int64) {
        self.init(incarnation: "a", head: head, tenants: [], keys: nil, items: [], itemPosition: 1)
    }
}

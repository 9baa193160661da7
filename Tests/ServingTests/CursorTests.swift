import RecommendationCore
import Synchronization
import Testing

@testable import Caching
@testable import Serving

@Suite("Lists that are paged through")
struct CursorTests {
    private static let user = User.ID(trusted: "ann")

    private static func request(_ page: RecommendationRequest.Page, limit: Int = 3) -> RecommendationRequest {
        var request = RecommendationRequest(tenant: .default, user: Self.user, surface: "home", limit: limit)
        request.page = page
        return request
    }

    /// A node, and the cursor that its first page came with.
    private static func begun() async throws -> (PolicyServingTests.Node, Recommendation, String) {
        let node = try await PolicyServingTests.Node { $0.maximumPerWindow = 20 }
        let first = try await node.service.recommend(Self.request(.first))
        return (node, first, try #require(first.nextCursor))
    }

    @Test("pages are the list, in its order, to its end, with ranks that go on and tokens that say so")
    func pages() async throws {
        let (node, first, cursor) = try await Self.begun()
        let whole = try await node.ask(limit: 20)
        #expect(whole.nextCursor == nil)
        var (items, next) = (first.items, Optional(cursor))
        while let cursor = next {
            let page = try await node.service.recommend(Self.request(.next(cursor), limit: 4))
            #expect(page.id != first.id && page.generatedAt == first.generatedAt)
            items += page.items
            next = page.nextCursor
            #expect(page.filtered.poolExhausted == (page.items.count < 4))
        }
        #expect(items.map(\.item) == whole.items.map(\.item))
        #expect(items.map(\.score) == whole.items.map(\.score))
        #expect(items.map(\.rank) == Array(1...whole.items.count))
        let token = try TokenSigner(Fixture.keys).verify(items.last!.trackingToken, tenant: .default)
        #expect(token.origin.named == Self.user && token.origin.surface == "home" && token.origin.policy == "p8")
        #expect(token.rank == items.count)
    }

    @Test("a page that is asked for again is the same page")
    func again() async throws {
        let (node, _, cursor) = try await Self.begun()
        let pages = [
            try await node.service.recommend(Self.request(.next(cursor))),
            try await node.service.recommend(Self.request(.next(cursor))),
        ]
        #expect(pages[0].items.map(\.item) == pages[1].items.map(\.item))
        #expect(pages[0].nextCursor == pages[1].nextCursor)
    }

    @Test("feedback, another model and another policy do not end a list, and the answer names what it is of")
    func stays() async throws {
        let (node, first, cursor) = try await Self.begun()
        node.users.has([HistoryEvent(item: 0, type: .purchase, value: 1, occurredAt: Fixture.now)])
        await node.control(canary: nil) { control in
            control.activePolicy = StoredPolicy(version: "p9", document: "", createdAt: Fixture.now)
            control.activeModel = 2
        }
        let page = try await node.service.recommend(Self.request(.next(cursor)))
        #expect(page.modelVersion == "m1" && page.policyVersion == first.policyVersion)
        #expect(page.userVersion == first.userVersion && page.tier == first.tier)
        #expect(Set(page.items.map(\.item)).isDisjoint(with: first.items.map(\.item)))
        #expect(page.items.count == 3)
    }

    /// What comes after a first page.
    enum Event: CaseIterable {
        case consent, erasure, purge, purgeOfModel, purgeOfOther, withdrawal, time, almostTime, otherUser, otherTenant
        case otherKey, otherData, storeAway, unknownSurface
    }

    @Test("what ends a list, and what does not", arguments: Event.allCases)
    func ends(_ event: Event) async throws {
        let (node, _, cursor) = try await Self.begun()
        var request = Self.request(.next(cursor))
        let expected: ServingError?
        switch event {
        case .consent:
            node.users.becomes(changed: 7)
            expected = .cursorGone(.user)
        case .erasure:
            node.users.becomes(number: 2)
            expected = .cursorGone(.user)
        case .purge:
            await node.control(canary: nil) { $0.generations.tenant = 50 }
            expected = .cursorGone(.purged)
        case .purgeOfModel:
            await node.control(canary: nil) { $0.generations.models["m1"] = 50 }
            expected = .cursorGone(.purged)
        case .purgeOfOther:
            await node.control(canary: nil) { $0.generations.models["m2"] = 50 }
            expected = nil
        case .withdrawal:
            await node.control(canary: nil) { $0.withdrawn = 2 }
            expected = .cursorGone(.withdrawn)
        case .time:
            await node.later(.seconds(600))
            expected = .cursorGone(.expired)
        case .almostTime:
            await node.later(.seconds(599))
            expected = nil
        case .otherUser:
            request.user = User.ID(trusted: "bob")
            expected = .cursorGone(.foreign)
        case .otherTenant:
            let list = try #require(Self.open(cursor))
            request.page = .next(
                CursorSigner(Fixture.keys).seal(
                    list,
                    tenant: Tenant.ID(trusted: "t2"),
                    user: Self.user,
                    incarnation: "a"
                )
            )
            expected = .cursorGone(.foreign)
        case .otherKey:
            let keys = try SigningKeys(parsing: SigningKeys.generate(id: "k1"))
            let list = try #require(Self.open(cursor))
            request.page = .next(CursorSigner(keys).seal(list, tenant: .default, user: Self.user, incarnation: "a"))
            expected = .cursorGone(.foreign)
        case .otherData:
            let list = try #require(Self.open(cursor))
            request.page = .next(
                CursorSigner(Fixture.keys).seal(list, tenant: .default, user: Self.user, incarnation: "b")
            )
            expected = .cursorGone(.foreign)
        case .storeAway:
            node.users.isAway = true
            expected = .storeUnavailable
        case .unknownSurface:
            let list = try #require(Self.open(cursor))
            let other = PinnedList(
                origin: PinnedList.Origin(
                    surface: "none",
                    model: 1,
                    policy: "p8",
                    variant: "",
                    generation: 0,
                    epoch: 1,
                    user: 1,
                    changed: 0,
                    version: 1,
                    computedAt: 0,
                    tier: .l1,
                    issuedAt: list.origin.issuedAt
                ),
                filters: list.filters,
                shown: 3,
                lately: [],
                pool: list.pool,
                marks: []
            )
            request.page = .next(
                CursorSigner(Fixture.keys).seal(other, tenant: .default, user: Self.user, incarnation: "a")
            )
            expected = .cursorGone(.withdrawn)
        }
        if let expected {
            await #expect(throws: expected) { try await node.service.recommend(request) }
        } else {
            #expect(try await node.service.recommend(request).items.count == 3)
        }
    }

    @Test("who had no row and is known since goes on, unless they take back what they allow")
    func unknown() async throws {
        let node = try await PolicyServingTests.Node { _ in }
        node.users.becomes(number: 0)
        let cursor = try #require(try await node.service.recommend(Self.request(.first)).nextCursor)
        node.users.becomes(number: 9)
        #expect(try await node.service.recommend(Self.request(.next(cursor))).items.count == 3)
        node.users.becomes(number: 9, changed: 12)
        await #expect(throws: ServingError.cursorGone(.user)) {
            try await node.service.recommend(Self.request(.next(cursor)))
        }
    }

    @Test("without the store there is a first page, and nothing comes after it")
    func firstWithoutStore() async throws {
        let node = try await PolicyServingTests.Node { _ in }
        _ = try await node.ask()
        node.users.isAway = true
        let page = try await node.service.recommend(Self.request(.first))
        #expect(page.items.count == 3 && page.nextCursor == nil && page.degraded == [.postgres])
    }

    @Test("a list from before the last change of what a user allows is not begun with")
    func minimum() async throws {
        let node = try await PolicyServingTests.Node { _ in }
        _ = try await node.ask()
        node.users.becomes(changed: 5)
        // The store of this node has nothing later: what it holds is refused.
        await #expect(throws: ServingError.versionUnknown) { try await node.service.recommend(Self.request(.first)) }
    }

    @Test("who sends a version that the list was made before is told so")
    func writtenSince() async throws {
        let (node, first, cursor) = try await Self.begun()
        var request = Self.request(.next(cursor))
        request.minimumVersion = first.userVersion
        #expect(try await node.service.recommend(request).items.count == 3)
        request.minimumVersion += 1
        await #expect(throws: ServingError.versionUnknown) { try await node.service.recommend(request) }
    }

    private static func open(_ cursor: String) -> PinnedList? {
        CursorSigner(Fixture.keys).open(cursor, tenant: .default, user: Self.user, incarnation: "a")
    }

    @Test("a cursor that is changed, cut or lengthened anywhere is none, whatever is in it")
    func mutations() async throws {
        let (_, _, cursor) = try await Self.begun()
        #expect(Self.open(cursor) != nil)
        let bytes = Array(cursor.utf8)
        var random = SeededGenerator(seed: 5)
        for place in bytes.indices {
            var changed = bytes
            changed[place] = UInt8.random(in: 0x21...0x7E, using: &random)
            if changed == bytes { continue }
            // Characters of the last group that say the same bits.
            let text = String(decoding: changed, as: UTF8.self)
            if let list = Self.open(text) { #expect(place == bytes.count - 1 && list == Self.open(cursor)) }
            #expect(Self.open(String(decoding: bytes[..<place], as: UTF8.self)) == nil)
        }
        #expect(Self.open(cursor + "A") == nil)
        #expect(Self.open(cursor + "AAAA") == nil)
        #expect(Self.open(String(repeating: "v1.k1.", count: 5_000)) == nil)
    }

    @Test("bytes that are no list are none, and never end the process")
    func bytes() async throws {
        let (_, _, cursor) = try await Self.begun()
        let list = try #require(Self.open(cursor))
        let bytes = PinnedListCodec.encode(list)
        #expect(PinnedListCodec.decode(bytes) == list)
        var random = SeededGenerator(seed: 6)
        for _ in 0..<20_000 {
            var changed = bytes
            for _ in 0...Int.random(in: 0...3, using: &random) {
                changed[Int.random(in: changed.indices, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            if Bool.random(using: &random) { changed.removeLast(Int.random(in: 0...changed.count, using: &random)) }
            // Read or refused: either will do.
            _ = PinnedListCodec.decode(changed)
        }
        for count in bytes.indices { #expect(PinnedListCodec.decode(Array(bytes[..<count])) == nil) }
    }

    @Test(
        "in random catalogues nothing comes twice, nothing denied comes, and no cap is broken across pages",
        arguments: 1...60
    )
    func property(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let count = Int.random(in: 1...120, using: &random)
        let items = Fixture.items(count) { item in
            item.categories = ["c\(Int.random(in: 0...6, using: &random))"]
            item.creator = "creator-\(Int.random(in: 0...8, using: &random))"
        }
        var policy = Policy.builtIn
        policy.window = Int.random(in: 2...12, using: &random)
        policy.maximumPerWindow = Int.random(in: 1...policy.window, using: &random)
        if Bool.random(using: &random) {
            policy.creatorCap = Policy.DiversityCap(maximum: 1, window: Int.random(in: 2...5, using: &random))
        }
        var tombstones: [ListedTombstone] = []
        let first = Fixture.state(items: items, policy: policy)
        let pool = Fixture.pool(count)
        let workspace = SlateWorkspace()
        let origin = PinnedList.Origin(
            surface: "home",
            model: 1,
            policy: "p0",
            variant: "",
            generation: 0,
            epoch: 1,
            user: 1,
            changed: 0,
            version: 1,
            computedAt: 0,
            tier: .l1,
            issuedAt: 0
        )
        var list: PinnedList? = PoolCodec.encode(pool).withUnsafeBytes { bytes in
            let view = PoolView(bytes)!
            _ = SlateBuilder(state: first, signer: TokenSigner(Fixture.keys), now: Fixture.now)
                .choose(PinnedList.maximumCount, of: view, into: workspace)
            return PinnedList(origin, .none, of: view, workspace.places)
        }
        let whole = workspace.places.map(\.item)
        let denies = Bool.random(using: &random)
        var shown: [Item.Number] = []
        while let begun = list {
            // By way of the bytes, as a client brings it.
            let pinned = try #require(PinnedListCodec.decode(PinnedListCodec.encode(begun)))
            #expect(pinned == begun)
            let state = Fixture.state(items: items, tombstones: tombstones, policy: policy)
            let page = PinnedPage(
                Int.random(in: 1...20, using: &random),
                of: pinned,
                state,
                .unknown,
                pinned.filter(state.catalog),
                now: Fixture.now
            )
            for place in page.places { #expect(!tombstones.contains { $0.tombstone.key.string == "i\(place.item)" }) }
            shown += page.places.map(\.item)
            list = page.rest
            if denies, Bool.random(using: &random) {
                tombstones.append(Fixture.tombstone(.item, "i\(Int.random(in: 0..<count, using: &random))"))
            }
        }
        #expect(Set(shown).count == shown.count, "twice")
        #expect(Set(shown).isSubset(of: whole))
        if !denies { #expect(shown == whole) }
        let catalog = first.catalog
        func expect(_ cap: Policy.DiversityCap, _ kind: (Item.Number) -> UInt32, _ name: String) {
            guard shown.count >= 2 else { return }
            for start in shown.indices {
                let window = shown[start..<min(shown.count, start + cap.window)]
                let counts = Dictionary(grouping: window, by: kind).mapValues(\.count)
                #expect(counts.values.allSatisfy { $0 <= cap.maximum }, "\(name) at \(start)")
            }
        }
        expect(
            Policy.DiversityCap(maximum: policy.maximumPerWindow, window: policy.window),
            catalog.category(of:),
            "category"
        )
        if let cap = policy.creatorCap { expect(cap, catalog.creator(of:), "creator") }
    }

    @Test("a category that the first page excluded stays excluded, whatever comes into it since")
    func excluded() async throws {
        let node = try await PolicyServingTests.Node { $0.maximumPerWindow = 20 }
        var request = Self.request(.first)
        request.filters.excludedCategories = [ItemCategory.ID(trusted: "forbidden")]
        let first = try await node.service.recommend(request)
        let next = try await node.service.recommend(Self.request(.next(try #require(first.nextCursor))))
        let gone = next.items[1].item
        let number = node.number(gone)
        var item = Fixture.items(20)[Int(number)].item
        item.categories = ["forbidden"]
        let changed = NumberedItem(number: number, item: item, revision: 9)
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
        let later = try await node.service.recommend(Self.request(.next(try #require(first.nextCursor)), limit: 17))
        #expect(!later.items.map(\.item).contains(gone) && later.items.count == next.items.count - 1 + 13)
    }

    @Test("a pin has its place on the first page whatever the caps say")
    func pinned() async throws {
        let node = try await PolicyServingTests.Node(items: { $0.categories = ["same"] }) {
            $0.maximumPerWindow = 1
            $0.window = 4
            $0.pins = [Policy.Pin(item: Item.ID(trusted: "i9"), position: 2, when: nil)]
        }
        let whole = try await node.ask(limit: 3)
        let page = try await node.service.recommend(Self.request(.first))
        #expect(page.items.map(\.item) == whole.items.map(\.item) && page.items[1].item.string == "i9")
    }

    @Test("what is under a cap while nobody can count it comes on a later page")
    func heldBack() async throws {
        let node = try await PolicyServingTests.Node {
            $0.maximumPerWindow = 20
            $0.frequencyCaps = [Policy.FrequencyCap(surface: nil, maximum: 5, window: .seconds(3_600))]
        }
        let first = try await node.service.recommend(Self.request(.first))
        node.counters.isAway = true
        let empty = try await node.service.recommend(Self.request(.next(try #require(first.nextCursor))))
        #expect(empty.items.isEmpty && empty.degraded == [.frequencyCap])
        node.counters.isAway = false
        let next = try await node.service.recommend(Self.request(.next(try #require(empty.nextCursor))))
        #expect(next.items.count == 3 && Set(next.items.map(\.item)).isDisjoint(with: first.items.map(\.item)))
    }
}

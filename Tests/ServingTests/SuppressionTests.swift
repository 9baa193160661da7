import RecommendationCore
import RecommendationEngine
import Testing

@testable import Serving

@Suite("Suppressions and consent")
struct SuppressionTests {
    /// 40 items, of which a number is the more popular the lower it is; users go on from an item to the next ones.
    private static func snapshot() throws -> Snapshot {
        var interactions = InteractionColumns()
        for user in 0..<40 {
            for item in 0..<(40 - user) {
                interactions.append(user: UInt32(user), item: UInt32(item), type: 2, value: 1, seconds: 1_700_000_000)
            }
        }
        let input = FitInput(interactions: interactions, itemCount: 40, builtAt: Fixture.now)
        return try SnapshotBuilder.fit(input, threads: 1)
    }

    private static let state = Fixture.state(
        items: Fixture.items(40),
        policy: {
            var policy = Policy.builtIn
            policy.poolSize = 10
            policy.maximumPerWindow = 0
            return policy
        }()
    )

    private static func suppression(_ kind: Suppression.Kind, _ key: String) -> Suppression {
        Suppression(kind: kind, key: Identifier(trusted: key))
    }

    private static let history = [
        HistoryEvent(item: 0, type: .like, value: 1, occurredAt: Timestamp(seconds: 1_700_000_000))
    ]

    private static func pool(_ user: UserState) throws -> CandidatePool {
        UserPool(state: Self.state, snapshot: try Self.snapshot(), keepsSeen: true, now: Fixture.now)
            .pool(of: user, scorer: Scorer())
    }

    private static func slate(_ pool: CandidatePool, _ state: TenantState = Self.state) -> SlateBuilder.Slate {
        SlateBuilder(state: state, signer: TokenSigner(Fixture.keys), now: Fixture.now)
            .slate(
                of: pool,
                limit: 10,
                id: RecommendationID(high: 1, low: 1),
                origin: SlateOrigin(user: User.ID(trusted: "u"), model: 1)
            )
    }

    @Test(
        "what is suppressed is in no pool, others take the places, and the answer says how many",
        arguments: [true, false]
    )
    func suppressed(_ consent: Bool) throws {
        let plain = try Self.pool(UserState(version: 1, consent: consent, history: Self.history))
        #expect(plain.unseen.count == 10)
        #expect(plain.suppressedCount == 0)
        let cases: [([Suppression], (Item) -> Bool)] = [
            ([Self.suppression(.item, "i4")], { $0.id.string == "i4" }),
            ([Self.suppression(.category, "c3")], { $0.categories.contains("c3") }),
            ([Self.suppression(.creator, "creator-2")], { $0.creator == "creator-2" }),
            (
                [Self.suppression(.category, "c1"), Self.suppression(.item, "i2")],
                { $0.categories.contains("c1") || $0.id.string == "i2" }
            ),
        ]
        for (suppressions, isSuppressed) in cases {
            let user = UserState(version: 1, consent: consent, history: Self.history, suppressions: suppressions)
            let pool = try Self.pool(user)
            let wanted = Set(Fixture.items(40).filter { isSuppressed($0.item) }.map(\.number))
            let taken = plain.unseen.count { wanted.contains($0.item) }
            #expect(taken > 0)
            #expect(pool.unseen.count == 10, "as many as without")
            #expect(wanted.isDisjoint(with: pool.unseen.map(\.item)))
            #expect(pool.suppressedCount == taken)
            let slate = Self.slate(try #require(PoolCodec.decode(PoolCodec.encode(pool))))
            #expect(slate.filtered.suppressed == taken)
            #expect(slate.items.count == 10)
        }
    }

    @Test("without consent the pool is the cold list, whatever history there is")
    func consent() throws {
        let cold = try Self.pool(UserState(version: 0, consent: true, history: []))
        let refused = try Self.pool(UserState(version: 1, consent: false, history: Self.history))
        let personal = try Self.pool(UserState(version: 1, consent: true, history: Self.history))
        #expect(refused == cold)
        #expect(!refused.isPersonal)
        #expect(personal.isPersonal)
        #expect(personal != cold)
    }

    @Test("a seen item that is suppressed is not in the pool, and explains nothing")
    func seen() throws {
        let history =
            Self.history + [
                HistoryEvent(item: 3, type: .like, value: 1, occurredAt: Timestamp(seconds: 1_600_000_000))
            ]
        let user = UserState(
            version: 1,
            consent: true,
            history: history,
            suppressions: [Self.suppression(.item, "i0")]
        )
        let pool = try Self.pool(user)
        #expect(pool.seen.map(\.item) == [3])
        #expect(pool.isPersonal)
        let seeds = (pool.unseen + pool.seen).filter { $0.seed != CandidatePool.noSeed }.map {
            pool.seeds[Int($0.seed)]
        }
        #expect(!seeds.contains(0))
        #expect(Self.slate(pool).items.allSatisfy { $0.seed?.item.string != "i0" })
    }

    @Test("an item that comes into a suppressed category after the pool was computed is not shown")
    func movedLater() throws {
        let user = UserState(
            version: 1,
            consent: true,
            history: Self.history,
            suppressions: [Self.suppression(.category, "c3"), Self.suppression(.creator, "nobody-yet")]
        )
        let pool = try #require(PoolCodec.decode(PoolCodec.encode(try Self.pool(user))))
        let shown = Self.slate(pool)
        let (first, second) = (shown.items[0].item, shown.items[1].item)
        var catalog = Self.state.catalog
        var changed = Fixture.items(40).filter { $0.item.id == first || $0.item.id == second }
        changed = changed.map { numbered in
            var item = numbered.item
            if item.id == first { item.categories.append("c3") } else { item.creator = "nobody-yet" }
            return NumberedItem(number: numbered.number, item: item)
        }
        catalog.update(changed)
        let state = TenantState(Self.state, epoch: 1, catalog: catalog, changed: changed.map(\.number))
        let later = Self.slate(pool, state)
        #expect(!later.items.map(\.item).contains(first))
        #expect(!later.items.map(\.item).contains(second))
        #expect(later.filtered.suppressed == shown.filtered.suppressed + 2)
    }

    @Test("suppressions survive the pool's bytes, whatever they are called, and a damaged tail is no pool")
    func bytes() throws {
        let ids = ["a|b", "{x}", "*", "caf\u{E9}", "\u{1F680}"]
        let suppressions = ids.map { Self.suppression(.category, $0) } + ids.map { Self.suppression(.creator, $0) }
        var pool = Fixture.pool(3)
        pool.suppressions = suppressions
        pool.suppressedCount = 70_000
        let decoded = try #require(PoolCodec.decode(PoolCodec.encode(pool)))
        #expect(decoded.suppressions == suppressions)
        #expect(decoded.suppressedCount == Int(UInt16.max))
        #expect(decoded.unseen == pool.unseen)
        // Every cut of the tail is no pool.
        let bytes = PoolCodec.encode(pool)
        let whole = PoolCodec.encode(Fixture.pool(3)).count
        for length in whole..<bytes.count { #expect(PoolCodec.decode(Array(bytes[..<length])) == nil) }
        #expect(PoolCodec.decode(bytes + [0]) == nil)
    }
}

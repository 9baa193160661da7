import RecommendationCore
import RecommendationEngine
import Testing

@testable import Serving

/// Items that came after the model, and those that nobody has used yet.
@Suite("New items")
struct FreshServingTests {
    /// Thirty items that the model knows, of which the first twenty are used, and as many more as are asked for that came after
    /// it, a day apart, the last one now. Item n is of categories n % 5 and, every third, "third".
    private static func state(
        fresh: Int = 6,
        share: Double = 0,
        days: Int = 14,
        known: Int = 30,
        change: (inout Item) -> Void = { _ in }
    ) throws -> (state: TenantState, snapshot: Snapshot) {
        var interactions = InteractionColumns()
        for item in UInt32(0)..<20 {
            for user in 0...(20 - item) {
                interactions.append(user: user, item: item, type: EventType.click.code, value: 1, seconds: 0)
            }
        }
        let count = known + fresh
        func categories(_ number: Int) -> [String] { ["c\(number % 5)"] + (number % 3 == 0 ? ["third"] : []) }
        func indices(_ number: Int) -> [UInt32] { [UInt32(number % 5)] + (number % 3 == 0 ? [9] : []) }
        let snapshot = try SnapshotBuilder.fit(
            FitInput(
                interactions: interactions,
                itemCount: known,
                categories: CategorySets((0..<known).map(indices)),
                builtAt: Fixture.now
            ),
            threads: 1
        )
        let items = (0..<count).map { number in
            var item = Item(id: Item.ID(trusted: "i\(number)"), title: "", categories: categories(number))
            change(&item)
            let age = Int64(count - 1 - number) * 86_400_000_000
            return NumberedItem(
                number: UInt32(number),
                item: item,
                createdAt: Timestamp(microseconds: Fixture.now.microseconds - age)
            )
        }
        var policy = Policy.builtIn
        policy.exploration = Policy.Exploration(share: share, maximumAgeDays: days)
        return (Fixture.state(items: items, policy: policy), snapshot)
    }

    private static func pool(
        _ subject: (state: TenantState, snapshot: Snapshot),
        _ history: [HistoryEvent],
        lot: UInt64 = 1,
        excluded: Bitmap? = nil,
        suppressions: [Suppression] = []
    ) -> CandidatePool {
        UserPool(
            state: subject.state,
            snapshot: subject.snapshot,
            excluded: excluded,
            keepsSeen: false,
            lot: lot,
            now: Fixture.now
        ).pool(
            of: UserState(version: 1, consent: true, history: history, suppressions: suppressions),
            scorer: Scorer()
        )
    }

    private static func slate(_ pool: CandidatePool, _ state: TenantState, limit: Int) -> SlateBuilder.Slate {
        SlateBuilder(state: state, signer: TokenSigner(Fixture.keys), now: Fixture.now)
            .slate(
                of: pool,
                limit: limit,
                id: RecommendationID(high: 1, low: 1),
                origin: SlateOrigin(user: User.ID(trusted: "u"), model: 1)
            )
    }

    private static func clicked(_ items: Int...) -> [HistoryEvent] {
        items.map { HistoryEvent(item: UInt32($0), type: .click, value: 1, occurredAt: Fixture.now) }
    }

    @Test("an item that came after the model is in pools by what it has in common with the history")
    func byContent() throws {
        let subject = try Self.state()
        let pool = Self.pool(subject, Self.clicked(0, 5))
        func content(_ item: Item.Number) -> Float {
            pool.unseen.first { $0.item == item }.map { pool.components($0).content } ?? 0
        }
        // 30 is of c0 and third as 0 is, 35 of c0 as 5 is; 33 has third alone, 31 nothing.
        #expect(content(30) > content(33) && content(35) > content(33) && content(33) > 0)
        #expect(!pool.unseen.contains { $0.item == 31 })
        #expect(pool.tried.isEmpty, "nothing is tried out where the policy does not say so")
        let seed = try #require(pool.unseen.first { $0.item == 35 }).seed
        #expect(pool.seeds[Int(seed)] == 5)
        // Seen, it is a candidate no more; hidden, out of stock or suppressed neither.
        #expect(!Self.pool(subject, Self.clicked(0, 5, 30)).unseen.contains { $0.item == 30 })
        let suppressions = [Suppression(kind: .item, key: Identifier(trusted: "i30"))]
        #expect(!Self.pool(subject, Self.clicked(0, 5), suppressions: suppressions).unseen.contains { $0.item == 30 })
        let without = try Self.state(change: { if $0.id.string == "i30" { $0.inStock = false } })
        #expect(!Self.pool(without, Self.clicked(0, 5)).unseen.contains { $0.item == 30 })
    }

    @Test("similar items hold new ones, and a new item has similar ones")
    func similar() throws {
        let subject = try Self.state()
        let plain = subject.state
        let state = TenantState(
            incarnation: plain.incarnation,
            epoch: 1,
            policy: plain.inForce,
            catalog: plain.catalog,
            control: plain.control,
            denials: plain.denials,
            model: TenantState.LoadedModel(number: 1, snapshot: subject.snapshot)
        )
        let candidates = ListCandidates(state: state)
        let known = candidates.similar(to: 0, scorer: Scorer())
        #expect(known.contains { $0.item == 30 } && !known.contains { $0.item == 31 })
        let fresh = candidates.similar(to: 30, scorer: Scorer())
        // Item 0 and 15 are of its very categories.
        #expect(Set([0, 15]).isSubset(of: fresh.prefix(8).map(\.item)))
        #expect(!fresh.contains { $0.item == 30 })
        #expect(zip(fresh, fresh.dropFirst()).allSatisfy { $0.score >= $1.score })
        #expect(candidates.similar(to: 900, scorer: Scorer()).isEmpty)
    }

    @Test("no slate holds more that is tried out than the share, rounded up, nor what may not be", arguments: 0..<40)
    func bounded(seed: Int) throws {
        var generator = SeededGenerator(seed: UInt64(seed))
        let share = Double.random(in: 0...0.5, using: &generator)
        let subject = try Self.state(
            fresh: Int.random(in: 0...40, using: &generator),
            share: share,
            days: Int.random(in: 1...50, using: &generator)
        )
        let days = subject.state.policy.exploration.maximumAgeDays
        var tried = 0.0
        var places = 0.0
        for lot in 0..<40 {
            let history = (0..<Int.random(in: 0...5, using: &generator)).flatMap { _ in
                Self.clicked(Int.random(in: 0..<subject.state.catalog.count, using: &generator))
            }
            let pool = Self.pool(subject, history, lot: (UInt64(lot) &+ UInt64(seed)).mixed)
            let decoded = try #require(PoolCodec.decode(PoolCodec.encode(pool)))
            #expect(decoded == pool)
            // Longer than some pools, too.
            for limit in [1, 3, 10, 20, 33, 100] {
                let slate = Self.slate(pool, subject.state, limit: limit)
                let explored = slate.items.filter(\.isTried)
                #expect(Double(explored.count) < share * Double(slate.items.count) + 1)
                #expect(Set(slate.items.map(\.item)).count == slate.items.count, "each item once")
                #expect(slate.items.map(\.rank) == slate.items.indices.map { $0 + 1 })
                for item in explored {
                    let number = try #require(subject.state.catalog.number(of: item.item))
                    #expect(number >= 20, "the model has seen it used")
                    #expect(Int(number) >= subject.state.catalog.count - days - 1, "it is too old")
                    #expect(!history.contains { $0.item == number })
                    #expect(item.reason == .latest && item.seed == nil)
                }
                if limit == 10, pool.tried.count >= 10 {
                    tried += Double(explored.count)
                    places += 10
                }
                // The rule of diversity is everybody's.
                for start in 0...max(0, slate.items.count - 10) {
                    let window = slate.items.dropFirst(start).prefix(10).map { item in
                        subject.state.catalog.category(of: subject.state.catalog.number(of: item.item)!)
                    }
                    #expect(Dictionary(grouping: window) { $0 }.values.allSatisfy { $0.count <= 3 })
                }
            }
        }
        if places > 0 { #expect(abs(tried / places - share) < 0.1, "\(tried / places) of \(share)") }
    }

    @Test("what is tried out is the same for a user, day, model and policy, and another for others")
    func deterministic() throws {
        let subject = try Self.state(fresh: 40, share: 0.3, days: 365)
        let first = Self.pool(subject, Self.clicked(1), lot: 7)
        #expect(first == Self.pool(subject, Self.clicked(1), lot: 7))
        #expect(first.tried.count == 50 && Set(first.tried.map(\.item)).count == 50)
        let others = (0..<50).map { Self.pool(subject, Self.clicked(1), lot: UInt64($0).mixed).tried.map(\.item) }
        #expect(Set(others).count == 50)
        // Every item has its turn at the front.
        #expect(Set(others.flatMap { $0.prefix(10) }).count == 50)
    }

    @Test("with a share of 0 nothing is tried out, and pools have the bytes they had")
    func none() throws {
        let subject = try Self.state(fresh: 40, share: 0, days: 365)
        for item in 0..<20 {
            let pool = Self.pool(subject, Self.clicked(item))
            #expect(pool.tried.isEmpty && PoolCodec.encode(pool)[1] & PoolCodec.triedFlag == 0)
            #expect(Self.slate(pool, subject.state, limit: 50).items.allSatisfy { !$0.isTried })
        }
    }

    @Test("the index looks at the newest items alone, and at the newest of a category")
    func bounds() throws {
        let subject = try Self.state(fresh: 3_000)
        let index = FreshIndex(subject.state.catalog, subject.snapshot, explores: true)
        let neighbours = index.neighbours(of: 1)
        #expect(neighbours.count == FreshIndex.categoryLimit)
        #expect(neighbours.allSatisfy { $0.item >= 2_700 && $0.weight >= 0.5 })
        let items = index.items(
            Policy.Exploration(share: 0.5, maximumAgeDays: 365),
            lot: 3,
            now: Fixture.now,
            excluded: Bitmap()
        )
        #expect(items.tried.count == 366 && items.triedLimit == 100)
        #expect(Set(items.tried).isSubset(of: Set(UInt32(3_030 - 366)..<3_030)))
    }
}

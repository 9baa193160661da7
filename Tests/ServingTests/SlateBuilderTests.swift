import RecommendationCore
import Testing

@testable import Serving

@Suite("Final stage")
struct SlateBuilderTests {
    let id = RecommendationID(high: 1, low: 1)
    let user = User.ID(trusted: "u")

    func slate(_ state: TenantState, _ pool: CandidatePool, limit: Int = 10, now: Timestamp = Fixture.now)
        -> SlateBuilder.Slate
    {
        SlateBuilder(state: state, signer: TokenSigner(Fixture.keys), now: now)
            .slate(of: pool, limit: limit, id: self.id, origin: SlateOrigin(user: self.user, model: 1))
    }

    func ids(_ slate: SlateBuilder.Slate) -> [String] { slate.items.map(\.item.string) }

    @Test("order by score, ranks from 1, components that sum to the score")
    func order() {
        let slate = self.slate(Fixture.state(items: Fixture.items(50)), Fixture.pool(50))
        #expect(self.ids(slate) == (0..<10).map { "i\($0)" })
        #expect(slate.items.map(\.rank) == Array(1...10))
        for item in slate.items { #expect(item.score == item.collaborative + item.content + item.popularity) }
        #expect(!slate.filtered.poolExhausted)
    }

    @Test("a tombstone of an item, a creator, a category or a campaign takes out what it names")
    func tombstones() {
        let items = Fixture.items(50)
        let cases: [(ListedTombstone, (Item) -> Bool)] = [
            (Fixture.tombstone(.item, "i3"), { $0.id.string == "i3" }),
            (Fixture.tombstone(.creator, "creator-1"), { $0.creator == "creator-1" }),
            (Fixture.tombstone(.category, "c2"), { $0.categories.contains("c2") }),
            (Fixture.tombstone(.campaign, "sale"), { $0.campaigns.contains("sale") }),
        ]
        for (tombstone, isDenied) in cases {
            let state = Fixture.state(items: items, tombstones: [tombstone])
            let slate = self.slate(state, Fixture.pool(50), limit: 50)
            let denied = items.filter { isDenied($0.item) }.map(\.item.id.string)
            #expect(!denied.isEmpty)
            #expect(Set(self.ids(slate)).isDisjoint(with: denied))
            #expect(slate.filtered.tombstone == denied.count)
        }
    }

    @Test("an expired tombstone denies nothing, and the state knows when the next one expires")
    func expiry() {
        let soon = Timestamp(microseconds: Fixture.now.microseconds + 1)
        let state = Fixture.state(
            items: Fixture.items(5),
            tombstones: [
                Fixture.tombstone(.item, "i0", until: Fixture.now), Fixture.tombstone(.item, "i1", until: soon),
            ]
        )
        #expect(state.blockedUntil == soon)
        #expect(self.ids(self.slate(state, Fixture.pool(5))) == ["i0", "i2", "i3", "i4"])
    }

    @Test("hidden, sold out, not yet and no longer available items are left out, at this moment")
    func availability() {
        let items = Fixture.items(6) { item in
            switch item.id.string {
            case "i0": item.hidden = true
            case "i1": item.inStock = false
            case "i2": item.availableFrom = Timestamp(microseconds: Fixture.now.microseconds + 1)
            case "i3": item.availableUntil = Fixture.now
            default: break
            }
        }
        let slate = self.slate(Fixture.state(items: items), Fixture.pool(6))
        #expect(self.ids(slate) == ["i4", "i5"])
        #expect(slate.filtered.unavailable == 4)
        #expect(slate.filtered.poolExhausted)
        let later = self.slate(
            Fixture.state(items: items),
            Fixture.pool(6),
            now: Timestamp(microseconds: Fixture.now.microseconds + 1)
        )
        #expect(self.ids(later) == ["i2", "i4", "i5"])
    }

    @Test("candidates of another catalogue are left out, not looked up")
    func unknownNumbers() {
        let slate = self.slate(Fixture.state(items: Fixture.items(3)), Fixture.pool(200), limit: 100)
        #expect(self.ids(slate) == ["i0", "i1", "i2"])
    }

    @Test("never more than three of a category in ten places")
    func diversity() {
        let items = Fixture.items(60) { $0.categories = $0.id.string.count == 2 ? ["same"] : ["other-\($0.id.string)"] }
        let slate = self.slate(Fixture.state(items: items), Fixture.pool(60), limit: 20)
        let same = slate.items.map { $0.item.string.count == 2 }
        for start in 0...(same.count - 10) { #expect(same[start..<start + 10].count { $0 } <= 3) }
        #expect(slate.filtered.diversity > 0)
    }

    @Test("the reason names a seed, and a denied seed is not named")
    func seeds() {
        let items = Fixture.items(10)
        let named = self.slate(Fixture.state(items: items), Fixture.pool(5, seeds: [9]))
        #expect(named.items[0].reason == .becauseYouLiked)
        #expect(named.items[0].seed?.title == "Item 9")
        let denied = Fixture.state(items: items, tombstones: [Fixture.tombstone(.item, "i9")])
        let unnamed = self.slate(denied, Fixture.pool(5, seeds: [9]))
        #expect(unnamed.items[0].reason == .similarToHistory)
        #expect(unnamed.items[0].seed == nil)
    }

    @Test("the static list obeys tombstones and availability")
    func staticList() {
        var policy = Policy.builtIn
        policy.staticItems = ["i4", "i1", "nothing", "i2"].map { Item.ID(trusted: $0) }
        let state = Fixture.state(items: Fixture.items(5), tombstones: [Fixture.tombstone(.item, "i1")], policy: policy)
        let slate = SlateBuilder(state: state, signer: TokenSigner(Fixture.keys), now: Fixture.now)
            .slate(
                of: ListCandidates(state: state).curated,
                limit: 5,
                reason: .curated,
                id: self.id,
                origin: SlateOrigin(user: self.user, model: 0)
            )
        #expect(self.ids(slate) == ["i4", "i2"])
        #expect(slate.items.allSatisfy { $0.reason == .curated })
    }
}

@Suite("Catalogue")
struct CatalogTests {
    @Test("an item that comes again unchanged is held already; a change replaces it")
    func update() {
        var catalog = Catalog()
        let items = Fixture.items(5)
        catalog.update(items)
        #expect(items.allSatisfy { catalog.holds($0) })
        var changed = items[2].item
        changed.hidden = true
        #expect(!catalog.holds(NumberedItem(number: 2, item: changed)))
        catalog.update([NumberedItem(number: 2, item: changed)])
        #expect(!catalog.isAvailable(2, at: Fixture.now))
        #expect(catalog.count == 5)
    }

    @Test("numbers without an item are withheld")
    func holes() {
        var catalog = Catalog()
        catalog.update([NumberedItem(number: 3, item: Item(id: Item.ID(trusted: "x"), title: "X"))])
        #expect(catalog.count == 4)
        for number in 0..<3 { #expect(!catalog.isAvailable(UInt32(number), at: Fixture.now)) }
        #expect(catalog.isAvailable(3, at: Fixture.now))
        #expect(!catalog.isAvailable(4, at: Fixture.now))
        #expect(catalog.firstCategory(3) == nil)
    }

    @Test("a generation is the highest purge that matches")
    func generations() {
        var generations = Generations(tenant: 5, surfaces: ["home": 9], models: ["m2": 7], policies: [:])
        #expect(generations.generation(surface: "home", model: "m2", policy: "p0") == 9)
        #expect(generations.generation(surface: "detail", model: "m2", policy: "p0") == 7)
        #expect(generations.generation(surface: "detail", model: "m3", policy: "p0") == 5)
        generations.policies["p0"] = 11
        #expect(generations.generation(surface: "home", model: "m2", policy: "p0") == 11)
    }
}

import RecommendationCore
import RecommendationEngine
import Testing

@testable import Serving

@Suite("Filters")
struct FilterTests {
    private static let categories = ["c0", "c1", "c2", "a,b", "caf\u{E9}", "cafe\u{301}"]
    private static let regions = ["eu", "us", "e|u"]
    private static let tags = ["de", "de-AT", "de-CH", "en", "EN_us", "not a tag"]

    /// Items whose categories, regions and languages are drawn at random.
    private func items(_ count: Int, using generator: inout SeededGenerator) -> [NumberedItem] {
        (0..<count).map { number in
            var item = Item(id: Item.ID(trusted: "i\(number)"), title: "Item \(number)")
            item.categories = Self.categories.filter { _ in Int.random(in: 0..<4, using: &generator) == 0 }
            item.regions = Self.regions.filter { _ in Int.random(in: 0..<3, using: &generator) == 0 }
            if Bool.random(using: &generator) { item.labels["lang"] = Self.tags.randomElement(using: &generator) }
            if Bool.random(using: &generator) { item.labels["locale"] = Self.tags.randomElement(using: &generator) }
            return NumberedItem(number: UInt32(number), item: item)
        }
    }

    private func filters(using generator: inout SeededGenerator) -> RequestFilters {
        var filters = RequestFilters()
        func some<Entity>(_ names: [String]) -> [Identifier<Entity>] {
            guard Int.random(in: 0..<3, using: &generator) == 0 else { return [] }
            return names.filter { _ in Int.random(in: 0..<3, using: &generator) == 0 }.map { Identifier(trusted: $0) }
        }
        filters.categories = some(Self.categories)
        filters.excludedCategories = some(Self.categories)
        filters.excludedItems = some((0..<120).map { "i\($0)" })
        let regions: [Identifier<ItemRegion>] = some(Self.regions)
        filters.region = regions.first
        if Bool.random(using: &generator) {
            filters.locale = LanguageTag(Self.tags[0...4].randomElement(using: &generator)!)
        }
        filters.excludesSeen = [nil, true, false].randomElement(using: &generator)!
        return filters
    }

    /// What the contract says of one item, in plain words.
    private func isAsked(_ item: Item, _ filters: RequestFilters) -> Bool {
        func has(_ names: [String], _ asked: [ItemCategory.ID]) -> Bool {
            names.contains { name in asked.contains { $0.string.utf8.elementsEqual(name.utf8) } }
        }
        if !filters.categories.isEmpty, !has(item.categories, filters.categories) { return false }
        if has(item.categories, filters.excludedCategories) { return false }
        if filters.excludedItems.contains(item.id) { return false }
        if let region = filters.region, !item.regions.isEmpty, !item.regions.contains(region.string) { return false }
        guard let locale = filters.locale else { return true }
        for label in ["lang", "locale"] {
            guard let text = item.labels[label] else { continue }
            guard let tag = LanguageTag(text), tag.goes(with: locale) else { return false }
        }
        return true
    }

    @Test(
        "no slate holds what was filtered, and every slate is in order of score",
        arguments: 1...20 as ClosedRange<UInt64>
    )
    func never(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let items = self.items(120, using: &generator)
        let state = Fixture.state(items: items, tombstones: [Fixture.tombstone(.item, "i5")])
        var pool = Fixture.pool(100)
        pool.seen = (100..<120).map {
            CandidatePool.Candidate(
                item: UInt32($0),
                collaborative: UInt8(360 - 2 * $0),
                content: 0,
                popularity: 0,
                seed: CandidatePool.noSeed
            )
        }
        for _ in 0..<50 {
            let filters = self.filters(using: &generator)
            let limit = Int.random(in: 1...100, using: &generator)
            let includesSeen = filters.excludesSeen == false
            let slate = SlateBuilder(state: state, signer: TokenSigner(Fixture.keys), now: Fixture.now).slate(
                of: pool,
                limit: limit,
                filter: SlateFilter(filters, catalog: state.catalog),
                id: RecommendationID(high: 1, low: 1),
                origin: SlateOrigin(user: User.ID(trusted: "u"), model: 1)
            )
            let numbers = slate.items.map { Int($0.item.string.dropFirst())! }
            #expect(Set(numbers).count == numbers.count)
            #expect(numbers.allSatisfy { self.isAsked(items[$0].item, filters) })
            #expect(!numbers.contains(5))
            if !includesSeen { #expect(numbers.allSatisfy { $0 < 100 }) }
            #expect(slate.items.map(\.rank) == Array(1...max(1, numbers.count)).prefix(numbers.count).map(\.self))
            #expect(slate.items.allSatisfy { $0.score == $0.collaborative + $0.content + $0.popularity })
            // Diversity puts a candidate further down, never up: the scores of one first category descend.
            for category in Self.categories {
                let scores = slate.items.filter { place in
                    items[Int(place.item.string.dropFirst())!].item.categories.first?.utf8.elementsEqual(category.utf8)
                        ?? false
                }
                .map(\.score)
                #expect(zip(scores, scores.dropFirst()).allSatisfy { $0 >= $1 })
            }
            #expect(slate.filtered.poolExhausted == (numbers.count < limit))
            // Nobody is left out without a reason.
            let counted = slate.filtered
            let candidates = includesSeen ? 120 : 100
            let sum = counted.tombstone + counted.unavailable + counted.policy + counted.diversity + numbers.count
            #expect(counted.poolExhausted ? sum == candidates : sum <= candidates)
            #expect(counted.seen == (includesSeen ? 0 : 20))
        }
    }

    @Test("seen candidates take their places by score where they are asked for")
    func merged() {
        let state = Fixture.state(items: Fixture.items(30) { $0.categories = [] })
        var pool = Fixture.pool(20)
        pool.seen = [25, 26].map {
            CandidatePool.Candidate(
                item: $0,
                collaborative: $0 == 25 ? 255 : 250,
                content: 0,
                popularity: 0,
                seed: CandidatePool.noSeed
            )
        }
        func ids(includesSeen: Bool) -> [String] {
            var filters = RequestFilters()
            filters.excludesSeen = !includesSeen
            return SlateBuilder(state: state, signer: TokenSigner(Fixture.keys), now: Fixture.now).slate(
                of: pool,
                limit: 8,
                filter: SlateFilter(filters, catalog: state.catalog),
                id: RecommendationID(high: 1, low: 1),
                origin: SlateOrigin(user: User.ID(trusted: "u"), model: 1)
            )
            .items.map(\.item.string)
        }
        #expect(ids(includesSeen: true) == ["i0", "i25", "i1", "i2", "i3", "i4", "i5", "i26"])
        #expect(ids(includesSeen: false) == (0..<8).map { "i\($0)" })
    }

    @Test("a category that is asked for fills the slate, the others keep their cap")
    func diversity() {
        let items = Fixture.items(80) { $0.categories = $0.id.string.count == 2 ? ["rare", "x"] : ["rare"] }
        let state = Fixture.state(items: items)
        var filters = RequestFilters()
        func count() -> Int {
            SlateBuilder(state: state, signer: TokenSigner(Fixture.keys), now: Fixture.now).slate(
                of: Fixture.pool(80),
                limit: 20,
                filter: SlateFilter(filters, catalog: state.catalog),
                id: RecommendationID(high: 1, low: 1),
                origin: SlateOrigin(user: User.ID(trusted: "u"), model: 1)
            )
            .items.count
        }
        filters.region = ItemRegion.ID(trusted: "eu")
        #expect(count() == 3)
        filters.categories = [ItemCategory.ID(trusted: "rare")]
        #expect(count() == 20)
        filters.categories = [ItemCategory.ID(trusted: "x")]
        #expect(count() == 3, "their first category was not asked for")
    }

    @Test("a pool by category draws from the category alone", arguments: 1...10 as ClosedRange<UInt64>)
    func pools(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let items = self.items(200, using: &generator)
        let state = Fixture.state(items: items, tombstones: [Fixture.tombstone(.item, "i7")])
        for _ in 0..<20 {
            var filters = self.filters(using: &generator)
            filters.excludedItems = []
            filters.region = nil
            filters.locale = nil
            let excluded = state.catalog.excluded(by: filters, of: state.excluded, itemCount: 210)
            for number in 0..<210 {
                let isWanted = number < 200 && self.isAsked(items[number].item, filters)
                let isOut = number == 7 || (number < 200 && !isWanted) || (number >= 200 && !filters.categories.isEmpty)
                #expect(excluded[number] == isOut, "\(number)")
            }
        }
    }

    @Test("the digest names what is asked for, whatever the order, and nothing else")
    func digest() {
        func digest(_ categories: [String], _ excluded: [String] = []) -> String {
            var filters = RequestFilters()
            filters.categories = categories.map { ItemCategory.ID(trusted: $0) }
            filters.excludedCategories = excluded.map { ItemCategory.ID(trusted: $0) }
            filters.region = ItemRegion.ID(trusted: "eu")
            return filters.poolDigest(in: Catalog(), policy: .builtIn)
        }
        #expect(digest([]) == "")
        #expect(digest(["a", "b"]) == digest(["b", "a", "a"]))
        let others = [
            digest(["a", "b"]), digest(["ab"]), digest(["a"], ["b"]), digest([], ["a", "b"]), digest(["a,b"]),
            digest(["caf\u{E9}"]), digest(["cafe\u{301}"]),
        ]
        #expect(Set(others).count == others.count)
    }

    @Test("languages go together where one is the beginning of the other")
    func languages() throws {
        func goes(_ left: String, _ right: String) -> Bool { LanguageTag(left)!.goes(with: LanguageTag(right)!) }
        #expect(goes("de", "de-AT") && goes("de-AT", "de") && goes("DE_at", "de-AT") && goes("zh-Hant", "zh-hant-TW"))
        #expect(!goes("de", "en") && !goes("de-AT", "de-CH") && !goes("de", "deu"))
        for text in [
            "", "-", "de-", "-de", "de--AT", "a b", "abcdefghi", "d\u{E9}", String(repeating: "a-", count: 18),
        ] {
            #expect(LanguageTag(text) == nil, "\(text)")
        }
    }

    @Test("a pool drawn by category has another name as soon as an item comes into the category, or leaves it")
    func poolDigestFollowsTheCategory() {
        var filters = RequestFilters()
        filters.categories = [Identifier(trusted: "rare")]
        var catalog = Catalog()
        catalog.update(Fixture.items(3))
        let without = filters.poolDigest(in: catalog, policy: .builtIn)
        catalog.update(Fixture.items(3) { $0.categories = ["rare"] })
        let with = filters.poolDigest(in: catalog, policy: .builtIn)
        #expect(with != without)
        catalog.remove([1])
        #expect(filters.poolDigest(in: catalog, policy: .builtIn) != with)
        catalog.update(Fixture.items(3))
        #expect(filters.poolDigest(in: catalog, policy: .builtIn) == without)
        #expect(RequestFilters.none.poolDigest(in: catalog, policy: .builtIn) == "")
    }
}

import RecommendationCore
import Testing

@testable import Serving

@Suite("Changes of the catalogue in memory")
struct CatalogChangeTests {
    private static func item(_ number: Int, _ generator: inout SeededGenerator, revision: Int64) -> NumberedItem {
        func some(_ prefix: String, _ kinds: Int, upTo count: Int) -> [String] {
            (0..<Int.random(in: 0...count, using: &generator)).map { _ in
                "\(prefix)\(Int.random(in: 0..<kinds, using: &generator))"
            }
        }
        let item = Item(
            id: Item.ID(trusted: "i\(number)"),
            title: "Item \(number)",
            categories: some("c", 6, upTo: 3),
            creator: some("m", 4, upTo: 1).first,
            campaigns: some("k", 3, upTo: 2),
            availableFrom: Bool.random(using: &generator) ? nil : Timestamp(seconds: 1_780_000_100),
            inStock: Int.random(in: 0..<5, using: &generator) > 0,
            hidden: Int.random(in: 0..<9, using: &generator) == 0
        )
        return NumberedItem(number: UInt32(number), item: item, revision: revision)
    }

    private static let suppressions = [
        Suppression(kind: .category, key: Identifier(trusted: "c2")),
        Suppression(kind: .creator, key: Identifier(trusted: "m1")),
        Suppression(kind: .item, key: Identifier(trusted: "i3")),
        Suppression(kind: .item, key: Identifier(trusted: "nothing")),
    ]

    private static let tombstones = [
        Fixture.tombstone(.item, "i5"), Fixture.tombstone(.category, "c0"), Fixture.tombstone(.creator, "m0"),
        Fixture.tombstone(.campaign, "k2"), Fixture.tombstone(.item, "i700"),
    ]

    /// Numbers that have a bit.
    private static func numbers(_ bitmap: Bitmap, upTo count: Int) -> [Int] { (0..<count).filter { bitmap[$0] } }

    @Test("a state after any run of changes and deletions is the state of what is left, made anew")
    func incremental() {
        var generator = SeededGenerator(seed: 3)
        var items: [Int: NumberedItem] = [:]
        for number in 0..<1_200 where number % 11 != 0 {
            items[number] = Self.item(number, &generator, revision: Int64(number) + 1)
        }
        var state = Fixture.state(items: items.values.sorted { $0.number < $1.number }, tombstones: Self.tombstones)
        for round in 1...60 {
            var catalog = state.catalog
            let before = state
            let changed = (0..<Int.random(in: 0...4, using: &generator)).map { _ in
                // Some are new, and beyond the end.
                Self.item(.random(in: 0..<1_300, using: &generator), &generator, revision: Int64(10_000 + round))
            }
            let gone = (0..<Int.random(in: 0...3, using: &generator)).map { _ in
                UInt32.random(in: 0..<1_300, using: &generator)
            }
            for item in changed { items[Int(item.number)] = item }
            for number in gone { items[Int(number)] = nil }
            catalog.update(changed)
            catalog.remove(gone)
            state = TenantState(state, epoch: 2, catalog: catalog, changed: changed.map(\.number) + gone)
            let fresh = Fixture.state(items: items.values.sorted { $0.number < $1.number }, tombstones: Self.tombstones)
            #expect(Self.numbers(state.blocked, upTo: 1_400) == Self.numbers(fresh.blocked, upTo: 1_400))
            for number in 0..<1_300 {
                let item = UInt32(number)
                #expect(state.catalog[item] == fresh.catalog[item])
                for moment in [Fixture.now, Timestamp(seconds: 1_780_000_200)] {
                    #expect(
                        state.catalog.isAvailable(item, at: moment) == fresh.catalog.isAvailable(item, at: moment)
                    )
                }
                #expect(state.catalog.number(of: Item.ID(trusted: "i\(number)")) == items[number]?.number)
                // The index is another where categories came in another order; whether there is one is the same.
                #expect((state.catalog.firstCategory(item) == nil) == (fresh.catalog.firstCategory(item) == nil))
            }
            #expect(
                Self.numbers(state.catalog.suppressed(by: Self.suppressions), upTo: 1_400)
                    == items.values.filter { Self.isSuppressed($0.item) }.map { Int($0.number) }.sorted()
            )
            #expect(state.catalog.digest == fresh.catalog.digest)
            #expect((state.stamp == before.stamp) == (state.catalog.digest == before.catalog.digest && round > 1))
        }
    }

    private static func isSuppressed(_ item: Item) -> Bool {
        item.categories.contains("c2") || item.creator == "m1" || item.id.string == "i3"
    }

    @Test("an id that is made again has its new number, in whatever order its end and its beginning are heard")
    func madeAgain() {
        var catalog = Catalog()
        catalog.update(Fixture.items(3))
        catalog.update([NumberedItem(number: 3, item: Item(id: Item.ID(trusted: "i1"), title: "again"))])
        catalog.remove([1])
        #expect(catalog.number(of: Item.ID(trusted: "i1")) == 3)
        #expect(catalog[1] == nil)
        #expect(!catalog.isAvailable(1, at: Fixture.now))
        #expect(catalog[3]?.title == "again")
        catalog.remove([7])
        #expect(catalog.count == 4)
    }

    @Test("groups are known by bytes, and an item that names one twice is in it once")
    func groups() {
        var groups = ItemGroups()
        groups.move(7, from: [], to: ["caf\u{E9}", "a", "a"])
        groups.move(3, from: [], to: ["cafe\u{301}", "a"])
        groups.move(5, from: [], to: ["a"])
        #expect(groups.members(of: "caf\u{E9}") == [7])
        #expect(groups.members(of: "cafe\u{301}") == [3])
        #expect(groups.members(of: "a") == [3, 5, 7])
        groups.move(7, from: ["caf\u{E9}", "a", "a"], to: ["b"])
        #expect(groups.members(of: "a") == [3, 5])
        #expect(groups.members(of: "b") == [7])
        #expect(groups.members(of: "unknown").isEmpty)
    }

    @Test("composed and decomposed text are two states of an item")
    func bytes() {
        var catalog = Catalog()
        let composed = NumberedItem(number: 0, item: Item(id: .i0, title: "t", categories: ["caf\u{E9}"]))
        let decomposed = NumberedItem(number: 0, item: Item(id: .i0, title: "t", categories: ["cafe\u{301}"]))
        catalog.update([composed])
        #expect(catalog.holds(composed))
        #expect(!catalog.holds(decomposed))
        #expect(!catalog.holds(NumberedItem(number: 0, item: composed.item, revision: 1)))
        catalog.update([NumberedItem(number: 0, item: composed.item, revision: 1)])
        #expect(catalog.holds(NumberedItem(number: 0, item: composed.item, revision: 1)))
    }

    @Test("a copy of a chunked array keeps its elements")
    func chunked() {
        var array = Chunked<Int>()
        for element in 0..<2_000 { array.append(element) }
        let copy = array
        array[511] = -1
        array[512] = -2
        array.append(2_000)
        #expect(copy[511] == 511)
        #expect(copy.count == 2_000)
        var sum = 0
        array.forEach { index, element in sum += element == index ? 1 : 0 }
        #expect(sum == 1_999)
        #expect(array[512] == -2)
    }
}

extension Identifier where Entity == Item {
    fileprivate static var i0: Self { Self(trusted: "i0") }
}

import RecommendationCore
import Testing

@testable import Serving

private typealias Text = ItemExpression.Text

private func texts(_ names: String...) -> [Text] { names.map(text) }

private func text(_ name: String) -> Text { Text(trusted: name) }

@Suite("Rules over items")
struct ItemRuleTests {
    private static let item = Item(
        id: Item.ID(trusted: "i1"),
        title: "Alien",
        categories: ["horror", "caf\u{E9}"],
        creator: "c9",
        labels: ["lang": "de-AT", "age": "adult"],
        price: 9.99,
        regions: ["DE", "AT"]
    )

    private static func holds(
        _ expression: ItemExpression,
        _ item: Item = Self.item,
        _ context: RuleContext = RuleContext()
    ) -> Bool {
        ItemRule(expression).holds(Catalog.Record(NumberedItem(number: 0, item: item)), in: context)
    }

    @Test(
        "each term says what its name says of an item",
        arguments: [
            (.categories(texts("x", "horror")), true), (.categories(texts("x")), false),
            // Names are bytes: the same text decomposed is another category.
            (.categories(texts("caf\u{E9}")), true), (.categories(texts("cafe\u{301}")), false),
            (.creators(texts("c9")), true), (.creators(texts("c8")), false),
            (.label(text("age"), texts("child", "adult")), true), (.label(text("age"), texts("child")), false),
            (.label(text("age"), []), true), (.label(text("brand"), []), false),
            (.regions(texts("AT")), true), (.regions(texts("CH")), false),
            (.locales(texts("de")), true), (.locales(texts("de-AT")), true), (.locales(texts("de-CH", "en")), false),
            (.price(minimum: 9.99, maximum: 9.99), true), (.price(minimum: 10, maximum: nil), false),
            (.price(minimum: nil, maximum: 9.98), false), (.price(minimum: nil, maximum: 10), true),
            (.not(.categories(texts("horror"))), false),
            (.all([.creators(texts("c9")), .price(minimum: nil, maximum: 5)]), false),
            (.any([.creators(texts("c8")), .price(minimum: 5, maximum: nil)]), true),
            // Nobody asks, and nothing is known of anybody.
            (.requestRegions(texts("DE")), false), (.requestLocales(texts("de")), false),
            (.userLabel(text("age"), []), false), (.sameLabel(item: text("age"), user: text("age")), false),
        ] as [(ItemExpression, Bool)]
    )
    func terms(_ expression: ItemExpression, _ expected: Bool) {
        #expect(Self.holds(expression) == expected)
    }

    @Test(
        "terms of the request and of the user",
        arguments: [
            (.requestRegions(texts("AT", "DE")), true), (.requestRegions(texts("CH")), false),
            (.requestLocales(texts("de")), true), (.requestLocales(texts("en")), false),
            (.userLabel(text("country"), texts("DE")), true), (.userLabel(text("country"), texts("AT")), false),
            (.userLabel(text("country"), []), true), (.userLabel(text("age"), []), false),
            (.sameLabel(item: text("age"), user: text("group")), true),
            (.sameLabel(item: text("age"), user: text("country")), false),
            (.sameLabel(item: text("brand"), user: text("group")), false),
        ] as [(ItemExpression, Bool)]
    )
    func context(_ expression: ItemExpression, _ expected: Bool) {
        let context = RuleContext(
            region: ItemRegion.ID(trusted: "DE"),
            locale: LanguageTag("de-DE"),
            labels: [UserLabel(name: "country", value: "DE"), UserLabel(name: "group", value: "adult")]
        )
        #expect(Self.holds(expression, Self.item, context) == expected)
    }

    @Test("an item without regions or languages goes everywhere; one without a price has none that is cheap")
    func missing() {
        let bare = Item(id: Item.ID(trusted: "i2"), title: "")
        #expect(Self.holds(.regions(texts("CH")), bare))
        #expect(Self.holds(.locales(texts("en")), bare))
        #expect(!Self.holds(.price(minimum: 0, maximum: nil), bare))
        #expect(!Self.holds(.categories(texts("x")), bare) && !Self.holds(.creators(texts("x")), bare))
    }

    // MARK: At random

    /// What an expression means, told without rule, record or bitmap.
    private static func meaning(_ expression: ItemExpression, _ item: Item, _ context: RuleContext) -> Bool {
        func has(_ names: [Text], _ name: String) -> Bool {
            names.map(\.string).contains { Array($0.utf8) == Array(name.utf8) }
        }
        let user = Dictionary(uniqueKeysWithValues: context.labels.map { ($0.name.string, $0.value.string) })
        switch expression {
        case .all(let parts): return parts.map { meaning($0, item, context) }.allSatisfy { $0 }
        case .any(let parts): return parts.map { meaning($0, item, context) }.contains(true)
        case .not(let part): return !meaning(part, item, context)
        case .categories(let names): return item.categories.contains { has(names, $0) }
        case .creators(let names): return item.creator.map { has(names, $0) } == true
        case .label(let name, let values):
            return item.labels[name.string].map { values.isEmpty || has(values, $0) } == true
        case .regions(let names): return item.regions.isEmpty || item.regions.contains { has(names, $0) }
        case .locales(let tags): return item.labels["lang"].map { has(tags, $0) } ?? true
        case .price(let minimum, let maximum):
            return item.price.map { $0 >= minimum ?? 0 && $0 <= maximum ?? .infinity } == true
        case .requestRegions(let names): return context.region.map { has(names, $0.string) } == true
        case .requestLocales(let tags): return tags.contains { LanguageTag($0.string) == context.locale }
        case .userLabel(let name, let values):
            return user[name.string].map { values.isEmpty || has(values, $0) } == true
        case .sameLabel(let own, let theirs):
            return item.labels[own.string] != nil && item.labels[own.string] == user[theirs.string]
        }
    }

    private static func names(_ kind: String, _ generator: inout SeededGenerator, atLeast least: Int = 1) -> [Text] {
        let count = Int.random(in: least...2, using: &generator)
        return Set((0..<count).map { _ in "\(kind)\(Int.random(in: 0..<3, using: &generator))" }).sorted().map(text)
    }

    private static func expression(_ depth: Int, _ generator: inout SeededGenerator) -> ItemExpression {
        let kind = Int.random(in: depth > 1 ? 0..<13 : 3..<13, using: &generator)
        func parts(_ generator: inout SeededGenerator) -> [ItemExpression] {
            (0..<Int.random(in: 1...3, using: &generator)).map { _ in self.expression(depth - 1, &generator) }
        }
        switch kind {
        case 0: return .all(parts(&generator))
        case 1: return .any(parts(&generator))
        case 2: return .not(self.expression(depth - 1, &generator))
        case 3: return .categories(self.names("c", &generator))
        case 4: return .creators(self.names("m", &generator))
        case 5: return .label(self.names("l", &generator)[0], self.names("v", &generator, atLeast: 0))
        case 6: return .regions(self.names("r", &generator))
        case 7: return .locales(self.names("t", &generator))
        case 8:
            let minimum = Double(Int.random(in: 0..<10, using: &generator))
            return .price(minimum: minimum, maximum: Bool.random(using: &generator) ? minimum + 3 : nil)
        case 9: return .requestRegions(self.names("r", &generator))
        case 10: return .requestLocales(self.names("t", &generator))
        case 11: return .userLabel(self.names("u", &generator)[0], self.names("v", &generator, atLeast: 0))
        default: return .sameLabel(item: self.names("l", &generator)[0], user: self.names("u", &generator)[0])
        }
    }

    private static func item(_ number: Int, _ generator: inout SeededGenerator) -> Item {
        func some(_ kind: String, _ generator: inout SeededGenerator) -> [String] {
            Bool.random(using: &generator) ? self.names(kind, &generator).map(\.string) : []
        }
        var labels: [String: String] = [:]
        for name in some("l", &generator) { labels[name] = self.names("v", &generator)[0].string }
        if Bool.random(using: &generator) { labels["lang"] = self.names("t", &generator)[0].string }
        return Item(
            id: Item.ID(trusted: "i\(number)"),
            title: "",
            categories: some("c", &generator),
            creator: some("m", &generator).first,
            labels: labels,
            price: Bool.random(using: &generator) ? Double(Int.random(in: 0..<12, using: &generator)) : nil,
            regions: some("r", &generator)
        )
    }

    private static func context(_ generator: inout SeededGenerator) -> RuleContext {
        var context = RuleContext()
        if Bool.random(using: &generator) { context.region = .init(trusted: self.names("r", &generator)[0].string) }
        if Bool.random(using: &generator) { context.locale = LanguageTag(self.names("t", &generator)[0].string) }
        for name in 0..<3 where Bool.random(using: &generator) {
            context.labels.append(UserLabel(name: "u\(name)", value: self.names("v", &generator)[0].string))
        }
        return context
    }

    @Test("a rule over a catalogue says what its expression means, also after items have changed", arguments: 0..<150)
    func property(_ seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let expression = Self.expression(ItemExpression.maximumDepth, &generator)
        var items = (0..<40).map { Self.item($0, &generator) }
        var catalog = Catalog()
        catalog.update(items.enumerated().map { NumberedItem(number: UInt32($0), item: $1, revision: 1) })
        let rule = ItemRule(expression)
        var matched = MatchedRule(rule, catalog)
        for round in 0..<3 {
            for _ in 0..<8 {
                let context = Self.context(&generator)
                for (number, item) in items.enumerated() {
                    let expected = Self.meaning(expression, item, context)
                    #expect(
                        matched.holds(UInt32(number), catalog, in: context) == expected,
                        "\(expression) \(item) \(context)"
                    )
                    #expect(!expected || !matched.never[number])
                }
            }
            let changed = (0..<10).map { _ in Int.random(in: 0..<40, using: &generator) }
            for number in Set(changed) {
                items[number] = Self.item(number, &generator)
                catalog.update([NumberedItem(number: UInt32(number), item: items[number], revision: Int64(round) + 2)])
                matched.update(UInt32(number), catalog)
            }
        }
    }
}

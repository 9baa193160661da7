import RecommendationCore

/// What a rule is asked with besides an item: what the request names, and what is known of its user.
struct RuleContext {
    var region: ItemRegion.ID?
    var locale: LanguageTag?
    var labels: [UserLabel] = []

    /// The value of a user's label.
    func label(_ name: ItemExpression.Text) -> ItemExpression.Text? {
        self.labels.first { $0.name == name }?.value
    }
}

/// An ``ItemExpression`` made ready to be asked of many items: once for a version of a policy.
///
/// Asked without a context it says what is so whatever the request and the user: Kleene's logic of three values (1938), where
/// what depends on them is unknown.
final class ItemRule: Sendable {
    enum Truth {
        case no, unknown, yes

        init(_ isSo: Bool) { self = isSo ? .yes : .no }

        var negated: Truth {
            switch self {
            case .no: .yes
            case .unknown: .unknown
            case .yes: .no
            }
        }
    }

    private indirect enum Node: Sendable {
        case all([Node])
        case any([Node])
        case not(Node)
        case categories(Set<ItemExpression.Text>)
        case creators(Set<ItemExpression.Text>)
        case label(String, Set<ItemExpression.Text>)
        case regions(Set<ItemExpression.Text>)
        case locales([LanguageTag])
        case price(ClosedRange<Double>)
        case requestRegions(Set<ItemExpression.Text>)
        case requestLocales([LanguageTag])
        case userLabel(ItemExpression.Text, Set<ItemExpression.Text>)
        case sameLabel(item: String, user: ItemExpression.Text)
    }

    private let root: Node
    /// Whether it says the same of an item to everybody.
    let isOfItemAlone: Bool

    init(_ expression: ItemExpression) {
        self.root = Self.node(expression)
        self.isOfItemAlone = Self.isOfItemAlone(self.root)
    }

    /// Whether it holds for an item in an answer.
    func holds(_ record: Catalog.Record, in context: RuleContext) -> Bool {
        Self.truth(self.root, record, context) == .yes
    }

    /// Whether it holds for an item in every answer, in none, or in some.
    func truth(_ record: Catalog.Record) -> Truth { Self.truth(self.root, record, nil) }

    private static func node(_ expression: ItemExpression) -> Node {
        switch expression {
        case .all(let parts): .all(parts.map(Self.node))
        case .any(let parts): .any(parts.map(Self.node))
        case .not(let part): .not(Self.node(part))
        case .categories(let names): .categories(Set(names))
        case .creators(let names): .creators(Set(names))
        case .label(let name, let values): .label(name.string, Set(values))
        case .regions(let names): .regions(Set(names))
        case .locales(let tags): .locales(tags.map { LanguageTag(label: $0.string) })
        case .price(let minimum, let maximum): .price((minimum ?? -.infinity)...(maximum ?? .infinity))
        case .requestRegions(let names): .requestRegions(Set(names))
        case .requestLocales(let tags): .requestLocales(tags.map { LanguageTag(label: $0.string) })
        case .userLabel(let name, let values): .userLabel(name, Set(values))
        case .sameLabel(let item, let user): .sameLabel(item: item.string, user: user)
        }
    }

    private static func isOfItemAlone(_ node: Node) -> Bool {
        switch node {
        case .all(let parts), .any(let parts): parts.allSatisfy(Self.isOfItemAlone)
        case .not(let part): Self.isOfItemAlone(part)
        case .requestRegions, .requestLocales, .userLabel, .sameLabel: false
        default: true
        }
    }

    private static func truth(_ node: Node, _ record: Catalog.Record, _ context: RuleContext?) -> Truth {
        switch node {
        case .all(let parts):
            var truth = Truth.yes
            for part in parts {
                switch Self.truth(part, record, context) {
                case .no: return .no
                case .unknown: truth = .unknown
                case .yes: break
                }
            }
            return truth
        case .any(let parts):
            var truth = Truth.no
            for part in parts {
                switch Self.truth(part, record, context) {
                case .yes: return .yes
                case .unknown: truth = .unknown
                case .no: break
                }
            }
            return truth
        case .not(let part): return Self.truth(part, record, context).negated
        case .categories(let names): return Truth(Self.has(record.categories, anyOf: names))
        case .creators(let names): return Truth(record.creator.map { names.contains(.init(trusted: $0)) } ?? false)
        case .label(let name, let values):
            guard let value = record.label(name) else { return .no }
            return Truth(values.isEmpty || values.contains(.init(trusted: value)))
        case .regions(let names): return Truth(record.regions.isEmpty || Self.has(record.regions, anyOf: names))
        case .locales(let tags):
            // As of a request: all of the item's languages go with it.
            return Truth(tags.contains { tag in record.languages.allSatisfy { $0.goes(with: tag) } })
        case .price(let range): return Truth(record.price.map(range.contains) ?? false)
        case .requestRegions(let names):
            guard let context else { return .unknown }
            return Truth(context.region.map { names.contains(.init(trusted: $0.string)) } ?? false)
        case .requestLocales(let tags):
            guard let context else { return .unknown }
            return Truth(context.locale.map { locale in tags.contains { locale.goes(with: $0) } } ?? false)
        case .userLabel(let name, let values):
            guard let context else { return .unknown }
            return Truth(context.label(name).map { values.isEmpty || values.contains($0) } ?? false)
        case .sameLabel(let item, let user):
            guard let own = record.label(item) else { return .no }
            guard let context else { return .unknown }
            return Truth(context.label(user).map { $0.string.utf8.elementsEqual(own.utf8) } ?? false)
        }
    }

    private static func has(_ names: [String], anyOf wanted: Set<ItemExpression.Text>) -> Bool {
        names.contains { wanted.contains(.init(trusted: $0)) }
    }
}

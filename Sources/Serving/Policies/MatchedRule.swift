import RecommendationCore

/// A rule with what it says of each item of a catalogue whatever is asked: most candidates are looked up in a bitmap.
struct MatchedRule: Sendable {
    let rule: ItemRule
    /// Items of which it holds in every answer.
    private var always = Bitmap()
    /// Items of which it holds in some answers.
    private var sometimes = Bitmap()
    /// Items of which it holds in no answer.
    private(set) var never = Bitmap()

    init(_ rule: ItemRule, _ catalog: Catalog) {
        self.rule = rule
        for number in 0..<catalog.count { self.update(Item.Number(number), catalog) }
    }

    /// Whether it holds for an item.
    func holds(_ item: Item.Number, _ catalog: Catalog, in context: RuleContext) -> Bool {
        if self.always[Int(item)] { return true }
        guard self.sometimes[Int(item)], let record = catalog[item] else { return false }
        return self.rule.holds(record, in: context)
    }

    /// Asks it again of an item.
    mutating func update(_ item: Item.Number, _ catalog: Catalog) {
        // Of what is not there nothing holds, and nothing else shows it.
        let truth = catalog[item].map { self.rule.truth($0) }
        self.always[Int(item)] = truth == .yes
        self.sometimes[Int(item)] = truth == .unknown
        self.never[Int(item)] = truth == .no
    }
}

import RecommendationCore

/// The rules of a policy over one catalogue: which items may be shown, which count for more, which have a place.
struct PolicyRules: Sendable {
    static let none = PolicyRules(.builtIn, Catalog())

    private struct Boost: Sendable {
        let factor: Float
        var rule: MatchedRule
    }

    let compiled: CompiledPolicy
    private var eligibility: MatchedRule?
    private var boosts: [Boost]
    /// Of all surfaces.
    private(set) var frequencyCaps: [(cap: Policy.FrequencyCap, rule: MatchedRule?)]
    /// Whether who may be shown an item depends on what is asked, and by whom.
    let isEligibilityAsked: Bool

    init(_ compiled: CompiledPolicy, _ catalog: Catalog) {
        self.compiled = compiled
        self.eligibility = compiled.eligibility.map { MatchedRule($0, catalog) }
        self.boosts = compiled.boosts.map { Boost(factor: $0.factor, rule: MatchedRule($0.rule, catalog)) }
        self.frequencyCaps = compiled.frequencyCaps.map { cap, rule in (cap, rule.map { MatchedRule($0, catalog) }) }
        self.isEligibilityAsked = compiled.eligibility.map { !$0.isOfItemAlone } ?? false
    }

    /// The rules over a catalogue that differs in some items.
    func updated(_ changed: some Collection<Item.Number>, _ catalog: Catalog) -> PolicyRules {
        guard !self.isNone, !changed.isEmpty else { return self }
        var updated = self
        for item in changed {
            updated.eligibility?.update(item, catalog)
            for index in updated.boosts.indices { updated.boosts[index].rule.update(item, catalog) }
            for index in updated.frequencyCaps.indices { updated.frequencyCaps[index].rule?.update(item, catalog) }
        }
        return updated
    }

    /// Whether nothing but pins has to be looked at.
    private var isNone: Bool { self.eligibility == nil && self.boosts.isEmpty && self.frequencyCaps.isEmpty }

    var hasBoosts: Bool { !self.boosts.isEmpty }

    /// Items that may be shown in no answer.
    var ineligible: Bitmap { self.eligibility?.never ?? Bitmap() }

    /// Whether an item may be shown in no answer.
    func isIneligible(_ item: Item.Number) -> Bool { self.eligibility?.never[Int(item)] ?? false }

    /// Whether an item may be shown in an answer.
    func isEligible(_ item: Item.Number, _ catalog: Catalog, in context: RuleContext) -> Bool {
        self.eligibility?.holds(item, catalog, in: context) ?? true
    }

    /// What the score of an item is multiplied by.
    func factor(_ item: Item.Number, _ catalog: Catalog, in context: RuleContext) -> Float {
        var factor: Float = 1
        for boost in self.boosts where boost.rule.holds(item, catalog, in: context) { factor *= boost.factor }
        return factor
    }

    /// The items that have a place among so many, in order of their places, with these.
    func pins(within limit: Int, _ catalog: Catalog, in context: RuleContext) -> [(item: Item.Number, place: Int)] {
        guard !self.compiled.pins.isEmpty else { return [] }
        return self.compiled.pins.compactMap { pin, rule in
            guard pin.position <= limit, let item = catalog.number(of: pin.item), let record = catalog[item],
                rule?.holds(record, in: context) ?? true
            else { return nil }
            return (item, pin.position - 1)
        }
    }

    /// What a pool has to say of a user for these rules.
    ///
    /// - Parameter suppressed: What the user's suppressions take out.
    func facts(of user: UserState, suppressed: Bitmap, _ catalog: Catalog) -> CandidatePool.RuleFacts? {
        var facts = CandidatePool.RuleFacts()
        facts.labels = self.compiled.asked(of: user.labels)
        for pin in self.compiled.pins {
            guard let item = catalog.number(of: pin.pin.item) else { continue }
            let types = user.history.lazy.filter { $0.item == item }.map(\.type)
            if suppressed[Int(item)] || types.contains(where: { [.hide, .dislike].contains($0) }) {
                facts.unwantedPins.append(item)
            } else if types.contains(where: { $0 != .view }) {
                facts.hadPins.append(item)
            }
        }
        return facts == CandidatePool.RuleFacts() ? nil : facts
    }
}

import RecommendationCore

/// A list of a user that falls under frequency caps.
struct CapSubject: Sendable {
    let state: TenantState
    let caps: SurfaceCaps
    let user: User.ID
    let surface: String
    /// Of the recommendation.
    let id: RecommendationID
}

/// A slate, and what could stand in it instead.
struct SlateDraft {
    let slate: SlateBuilder.Slate
    /// Items that it was chosen from, in some order; none where there are no caps.
    var candidates: [Item.Number] = []
    /// Of the user, as far as rules ask for them.
    var labels: [UserLabel] = []
}

extension TenantState {
    /// What caps a list; nil: nothing does.
    ///
    /// - Parameter user: nil: nobody is named, and who is nobody has no caps.
    func capSubject(of user: User.ID?, on surface: String, id: @autoclosure () -> RecommendationID) -> CapSubject? {
        guard let user, let caps = self.rules.caps(on: surface) else { return nil }
        return CapSubject(state: self, caps: caps, user: user, surface: surface, id: id())
    }
}

extension Asked {
    var capSubject: CapSubject? {
        self.state.capSubject(of: self.request.named, on: self.request.surface, id: self.id)
    }
}

extension CapSubject {
    /// The items of a draft that are under caps, those that are chosen and those that are not.
    func capped(_ draft: SlateDraft, _ filter: SlateFilter) -> (chosen: [CappedItem], others: [CappedItem]) {
        let context = RuleContext(region: filter.region, locale: filter.locale, labels: draft.labels)
        func capped(_ item: Item.Number) -> CappedItem? {
            let bits = self.caps.bits(of: item, self.state.catalog, in: context)
            return bits == 0 ? nil : CappedItem(number: item, caps: bits)
        }
        let chosen = draft.slate.items.compactMap { self.state.catalog.number(of: $0.item) }
        let known = Set(chosen)
        return (chosen.compactMap(capped), draft.candidates.filter { !known.contains($0) }.compactMap(capped))
    }
}

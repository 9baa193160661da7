import RecommendationCore
import RecommendationEngine

/// A decision as the final stage leaves it; names are put to it when it is stored.
struct DecisionDraft: Sendable {
    let list: DecisionRecord.List
    /// Without its items.
    let answer: Recommendation
    let filters: RequestFilters
    let state: TenantState
    let trace: SlateTrace

    init(
        _ list: DecisionRecord.List,
        _ answer: Recommendation,
        _ filters: RequestFilters,
        _ state: TenantState,
        _ trace: SlateTrace
    ) {
        var answer = answer
        answer.items = []
        answer.trace = nil
        // Whom the store knows nothing of is not made known by what they were shown.
        if answer.userVersion == 0 { answer.user = nil }
        self.list = list
        self.answer = answer
        self.filters = filters
        self.state = state
        self.trace = trace
    }

    /// The record of it. What the catalogue does not name any more is in none, and was in no answer.
    var record: DecisionRecord {
        let decision = Decision(
            rules: self.trace.rules,
            earlier: self.trace.earlier.map { item, category in
                Decision.Earlier(category: self.category(of: item, category), creator: self.creator(of: item))
            },
            candidates: self.trace.candidates.compactMap(self.candidate),
            order: self.trace.places.compactMap { place in
                self.state.catalog[place.item].map { Decision.Place(item: $0.id, score: place.score) }
            }
        )
        return DecisionRecord(
            list: self.list,
            answer: self.answer,
            epoch: self.state.epoch,
            filters: self.filters,
            decision: decision
        )
    }

    private func candidate(_ traced: SlateTrace.Candidate) -> Decision.Candidate? {
        let catalog = self.state.catalog
        guard let record = catalog[traced.item] else { return nil }
        var candidate = Decision.Candidate(
            item: record.id,
            standing: traced.standing,
            score: traced.score,
            collaborative: traced.components.collaborative,
            content: traced.components.content,
            popularity: traced.components.popularity
        )
        candidate.factor = traced.factor
        // What a session brings is not stored.
        candidate.seed = self.list == .session ? nil : traced.seed.flatMap { catalog[$0]?.id }
        candidate.removedBy = traced.removedBy
        guard !traced.isFree else { return candidate }
        candidate.category = self.category(of: traced.item, traced.category)
        candidate.creator = self.creator(of: traced.item)
        if self.trace.rules.marginalRelevance != nil { candidate.features = catalog.features(of: traced.item) }
        return candidate
    }

    /// The name of a category that diversity counts an item under.
    private func category(of item: Item.Number, _ number: UInt32) -> ItemCategory.ID? {
        guard number != Diversity.noCategory else { return nil }
        return self.state.catalog[item]?.categories.first.map { ItemCategory.ID(trusted: $0) }
    }

    private func creator(of item: Item.Number) -> String? {
        guard self.state.catalog.creator(of: item) != Diversity.noCategory else { return nil }
        return self.state.catalog[item]?.creator
    }
}

extension TenantState {
    /// Whether its policy has a recommendation recorded: as large a part of them as it says, drawn by their ids.
    func records(_ id: RecommendationID) -> Bool {
        UInt64(UInt32(truncatingIfNeeded: id.low)) < self.rules.compiled.recorded
    }
}

extension ServingContext {
    func records(_ id: RecommendationID, of state: TenantState) -> Bool {
        guard let decisions, state.records(id) else { return false }
        return decisions.takesOne()
    }

    /// Has an answer recorded whose final stage was traced.
    func record(
        _ answer: Recommendation,
        as list: DecisionRecord.List,
        _ asked: Asked,
        _ filters: RequestFilters? = nil
    ) {
        guard let decisions, let traced = answer.trace else { return }
        decisions.note(DecisionDraft(list, answer, filters ?? asked.request.filters, asked.state, traced.trace))
    }
}

/// A trace on its way to the place where the answer is whole.
package final class TracedSlate: Sendable {
    let trace: SlateTrace

    init(_ trace: SlateTrace) {
        self.trace = trace
    }
}

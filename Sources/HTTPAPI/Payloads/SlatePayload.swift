import RecommendationCore
import Serving

/// What recommendations and lists have in common: all that stands around their items.
protocol SlateAnswer {
    var surface: String { get }
    var generatedAt: Timestamp { get }
    var modelVersion: String { get }
    var policyVersion: String { get }
    var experiments: [ExperimentVariant] { get }
    var tier: Tier { get }
    var ageMilliseconds: Int64 { get }
    var fallback: Fallback? { get }
    var fallbackReason: String? { get }
    var degraded: [Degradation] { get }
    var filtered: FilteredCounts { get }
    var userVersion: User.Version { get }
    var nextCursor: String? { get }
}

extension Recommendation: SlateAnswer {}

extension SlateAnswer {
    fileprivate var isStale: Bool { self.tier == .stale || self.fallback == .stale }
}

extension JSONWriter {
    /// What stands before the items, after the names of whom they are for.
    mutating func beginItems(_ answer: some SlateAnswer) {
        self.raw(#""surface":"#)
        self.string(answer.surface)
        self.raw(#","generated_at":"#)
        self.string(answer.generatedAt.rfc3339)
        self.raw(#","items":["#)
    }

    /// What stands after the items, to the document's end.
    mutating func endItems(_ answer: some SlateAnswer) {
        self.raw(#"],"next_cursor":"#)
        self.string(answer.nextCursor)
        self.raw(#","model_version":"#)
        self.string(answer.modelVersion)
        self.raw(#","policy_version":"#)
        self.string(answer.policyVersion)
        self.experiments(answer.experiments)
        self.standing(of: answer)
        self.raw("}")
    }

    mutating func experiments(_ variants: [ExperimentVariant]) {
        self.raw(#","experiments":"#)
        self.list(variants) { json, experiment in
            json.raw(#"{"id":"#)
            json.string(experiment.id)
            json.raw(#","variant":"#)
            json.string(experiment.variant)
            json.raw("}")
        }
    }

    /// Where a list comes from, what it does without and what was left out of it: the members that every such document ends with.
    mutating func standing(of answer: some SlateAnswer) {
        self.raw(#","served_from":{"tier":"#)
        self.string(answer.tier.rawValue)
        self.raw(#","age_ms":"#)
        self.integer(answer.ageMilliseconds)
        self.raw(#","stale":"#)
        self.bool(answer.isStale)
        self.raw(#"},"fallback":"#)
        self.string(answer.fallback?.rawValue)
        self.raw(#","fallback_reason":"#)
        self.string(answer.fallbackReason)
        self.raw(#","degraded":"#)
        self.list(answer.degraded) { json, part in json.string(part.rawValue) }
        self.raw(#","filtered":"#)
        self.filtered(answer.filtered)
        self.raw(#","user_version":"#)
        self.integer(answer.userVersion)
    }

    private mutating func filtered(_ counts: FilteredCounts) {
        self.raw(#"{"tombstone":"#)
        self.integer(counts.tombstone)
        self.raw(#","unavailable":"#)
        self.integer(counts.unavailable)
        self.raw(#","seen":"#)
        self.integer(counts.seen)
        self.raw(#","suppressed":"#)
        self.integer(counts.suppressed)
        self.raw(#","policy":"#)
        self.integer(counts.policy)
        self.raw(#","frequency_cap":"#)
        self.integer(counts.frequencyCap)
        self.raw(#","diversity":"#)
        self.integer(counts.diversity)
        self.raw(#","pool_exhausted":"#)
        self.bool(counts.poolExhausted)
        self.raw("}")
    }
}

import NIOCore
import RecommendationCore
import Serving

/// How much is said about why an item is in a list.
enum Explanation: String, CaseIterable, Sendable {
    case none, reason, full
}

extension JSONWriter {
    /// A recommendation as the contract has it, names in its order.
    static func document(_ recommendation: Recommendation, explain: Explanation) -> ByteBuffer {
        var json = JSONWriter(capacity: 512 + 256 * recommendation.items.count)
        json.raw(#"{"recommendation_id":"#)
        json.string(recommendation.id.string)
        json.raw(#","user_id":"#)
        json.string(recommendation.user.string)
        json.raw(#","surface":"#)
        json.string(recommendation.surface)
        json.raw(#","generated_at":"#)
        json.string(recommendation.generatedAt.rfc3339)
        json.raw(#","items":"#)
        json.list(recommendation.items) { json, item in json.item(item, explain: explain) }
        json.raw(#","next_cursor":null,"model_version":"#)
        json.string(recommendation.modelVersion)
        json.raw(#","policy_version":"#)
        json.string(recommendation.policyVersion)
        json.raw(#","experiments":[],"served_from":{"tier":"#)
        json.string(recommendation.tier.rawValue)
        json.raw(#","age_ms":"#)
        json.integer(recommendation.ageMilliseconds)
        json.raw(#","stale":"#)
        json.bool(recommendation.isStale)
        json.raw(#"},"fallback":"#)
        json.string(recommendation.fallback?.rawValue)
        json.raw(#","fallback_reason":"#)
        json.string(recommendation.fallbackReason)
        json.raw(#","degraded":"#)
        json.list(recommendation.degraded) { json, part in json.string(part.rawValue) }
        json.raw(#","filtered":"#)
        json.filtered(recommendation.filtered)
        json.raw(#","user_version":"#)
        json.integer(recommendation.userVersion)
        json.raw("}")
        return json.buffer
    }

    mutating func item(_ item: RecommendedItem, explain: Explanation) {
        self.raw(#"{"item_id":"#)
        self.string(item.item.string)
        self.raw(#","rank":"#)
        self.integer(item.rank)
        self.raw(#","score":"#)
        self.fixed(item.score)
        if !item.trackingToken.isEmpty {
            self.raw(#","tracking_token":"#)
            self.string(item.trackingToken)
        }
        self.raw(#","sources":"#)
        self.sources(of: item)
        if explain != .none { self.explanation(of: item, explain: explain) }
        self.raw("}")
    }

    /// The components that add to the score, the largest first.
    private mutating func sources(of item: RecommendedItem) {
        var components: [(name: StaticString, value: Float)] = [
            ("\"collaborative\"", item.collaborative), ("\"content\"", item.content),
            ("\"popularity\"", item.popularity),
        ]
        // An insertion sort of three, by hand; equal ones stay in order.
        if components[1].value > components[0].value { components.swapAt(0, 1) }
        if components[2].value > components[1].value { components.swapAt(1, 2) }
        if components[1].value > components[0].value { components.swapAt(0, 1) }
        self.list(components.lazy.filter { $0.value > 0 }) { json, component in json.raw(component.name) }
    }

    private mutating func explanation(of item: RecommendedItem, explain: Explanation) {
        self.raw(#","explanation":{"code":"#)
        self.string(item.reason.rawValue)
        self.raw(#","text":"#)
        switch (item.reason, item.seed) {
        case (.becauseYouLiked, let seed?): self.string("Because you liked " + seed.title)
        case (.becauseYouLiked, nil): self.raw("\"Because of what you liked\"")
        case (.similarToHistory, let seed?): self.string("Similar to " + seed.title)
        case (.similarToHistory, nil): self.raw("\"Similar to what you have seen\"")
        case (.popular, _): self.raw("\"Popular right now\"")
        case (.curated, _): self.raw("\"Selected for you\"")
        case (.trending, _): self.raw("\"Trending now\"")
        case (.latest, _): self.raw("\"New\"")
        case (.similarToItem, let seed?): self.string("Similar to " + seed.title)
        case (.similarToItem, nil): self.raw("\"Similar\"")
        }
        self.raw(#","seed_items":["#)
        if let seed = item.seed { self.string(seed.item.string) }
        self.raw("]")
        if explain == .full {
            self.raw(#","components":{"collaborative":"#)
            self.fixed(item.collaborative)
            self.raw(#","content":"#)
            self.fixed(item.content)
            self.raw(#","popularity":"#)
            self.fixed(item.popularity)
            self.raw("}")
        }
        self.raw("}")
    }

    mutating func filtered(_ counts: FilteredCounts) {
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

extension Recommendation {
    var isStale: Bool { self.tier == .stale || self.fallback == .stale }
}

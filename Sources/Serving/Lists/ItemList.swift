package import RecommendationCore
import RecommendationEngine

/// Lists that belong to no user.
package enum ListKind: String, CaseIterable, Sendable {
    /// What is used most, over the whole of the data.
    case popular
    /// What is used most of late.
    case trending
    /// What came into the catalogue last.
    case latest
}

/// How far back a trending list looks.
package enum ListWindow: String, CaseIterable, Sendable {
    case hour = "1h"
    case day = "24h"
    case week = "7d"

    var trend: TrendWindow {
        switch self {
        case .hour: .hour
        case .day: .day
        case .week: .week
        }
    }
}

/// What is asked of a list.
package struct ListRequest: Sendable {
    package var tenant: Tenant.ID
    package var kind: ListKind
    /// Of a trending list.
    package var window: ListWindow
    /// Items of any of these; empty: of all.
    package var categories: [ItemCategory.ID]
    /// What this user has had or does not want is left out.
    package var user: User.ID?
    /// 1 to 100.
    package var limit: Int
    /// Whether places carry tokens, and the answer an id.
    package var isTracked: Bool

    package init(
        tenant: Tenant.ID,
        kind: ListKind,
        window: ListWindow = .day,
        categories: [ItemCategory.ID] = [],
        user: User.ID? = nil,
        limit: Int = 10,
        isTracked: Bool = true
    ) {
        self.tenant = tenant
        self.kind = kind
        self.window = window
        self.categories = categories
        self.user = user
        self.limit = limit
        self.isTracked = isTracked
    }

    /// Whether the answer is the same for all who may read the tenant's lists.
    package var isPublic: Bool { self.user == nil && !self.isTracked }
}

/// What is asked about one item.
package struct SimilarRequest: Sendable {
    package var tenant: Tenant.ID
    package var item: Item.ID
    package var surface: String
    /// What this user has had or does not want is left out.
    package var user: User.ID?
    /// 1 to 100.
    package var limit: Int

    package init(tenant: Tenant.ID, item: Item.ID, surface: String, user: User.ID? = nil, limit: Int = 10) {
        self.tenant = tenant
        self.item = item
        self.surface = surface
        self.user = user
        self.limit = limit
    }
}

/// A slate that is not a user's own.
package struct ItemList: Sendable {
    /// Nil where the places carry no tokens.
    package var id: RecommendationID?
    /// Where it is shown: a surface, or the list's own name.
    package var surface: String
    package var generatedAt: Timestamp
    package var items: [RecommendedItem]
    package var modelVersion: String
    package var policyVersion: String
    package var experiments: [ExperimentVariant] = []
    package var fallback: Fallback?
    package var fallbackReason: String?
    package var degraded: [Degradation]
    package var filtered: FilteredCounts
    /// Of the user whose items are left out; 0 without one.
    package var userVersion: User.Version
    /// The name of this list as it is now, `EPOCH.MODEL.POLICY.DIGEST`: another wherever the list is another.
    package var tag: String
    /// Stage durations, for `Server-Timing`.
    package var stages: [Recommendation.Stage]

    package init(
        id: RecommendationID?,
        surface: String,
        generatedAt: Timestamp,
        items: [RecommendedItem],
        modelVersion: String,
        policyVersion: String,
        fallback: Fallback? = nil,
        fallbackReason: String? = nil,
        degraded: [Degradation] = [],
        filtered: FilteredCounts,
        userVersion: User.Version,
        tag: String = "",
        stages: [Recommendation.Stage] = []
    ) {
        self.id = id
        self.surface = surface
        self.generatedAt = generatedAt
        self.items = items
        self.modelVersion = modelVersion
        self.policyVersion = policyVersion
        self.fallback = fallback
        self.fallbackReason = fallbackReason
        self.degraded = degraded
        self.filtered = filtered
        self.userVersion = userVersion
        self.tag = tag
        self.stages = stages
    }
}

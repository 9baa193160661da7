package import RecommendationCore

/// What is asked for one user.
package struct RecommendationRequest: Sendable {
    package var tenant: Tenant.ID
    /// ``TokenSigner/nobody``: it is nobody's.
    package var user: User.ID
    package var surface: String
    /// 1 to 100.
    package var limit: Int
    /// What the answer shall hold, beyond the rules of every answer.
    package var filters = RequestFilters.none
    /// An answer from before this version of the user will not do; 0: any.
    package var minimumVersion: User.Version = 0
    /// Which part of a list is asked for.
    package var page = Page.whole

    /// A part of a list.
    package enum Page: Sendable, Equatable {
        /// A list by itself, which nothing comes after.
        case whole
        /// The beginning of one that is gone on with.
        case first
        /// What comes next, by the cursor of the page before. Surface and filters of the request count for nothing: the first
        /// page's do.
        case next(String)
    }

    package init(tenant: Tenant.ID, user: User.ID, surface: String, limit: Int) {
        self.tenant = tenant
        self.user = user
        self.surface = surface
        self.limit = limit
    }

    /// Whose it is, where somebody is named.
    var named: User.ID? { self.user == TokenSigner.nobody ? nil : self.user }
}

/// Where the pool of an answer came from.
package enum Tier: String, CaseIterable, Sendable {
    case l1, l2, stale, precomputed, computed, fallback
}

/// Why an answer is not the user's own fresh list.
package enum Fallback: String, CaseIterable, Sendable {
    case coldStart = "cold_start"
    case stale, precomputed, popular
    case staticList = "static"
}

/// A part of the system an answer had to do without.
package enum Degradation: String, CaseIterable, Sendable {
    case redis, postgres, overloaded
    /// What the user has seen or does not want could not be known.
    case unverified
    /// Whether the control state (tombstones, stock, policy, model) is current could not be known.
    case controlUnverified = "control_unverified"
    /// What was shown to the user before could not be known: what is under a frequency cap is left out.
    case frequencyCap = "frequency_cap"
    /// The active policy cannot be read by this node; it serves by the one before.
    case policy
    /// There was no time for the user's own list.
    case deadline
    /// There was no time for a pool of the policy's size.
    case candidates
    /// There was no time to replace what frequency caps refuse a second time: the list may be shorter.
    case replacement
    /// There was no time to give places to what nothing is known of yet.
    case exploration
    /// There was no time for maximal marginal relevance.
    case reranking
}

/// A slate: the answer to one request.
package struct Recommendation: Sendable {
    package var id: RecommendationID
    /// nil: it is nobody's.
    package var user: User.ID?
    package var surface: String
    package var generatedAt: Timestamp
    package var items: [RecommendedItem]
    /// What the next page is asked for by; nil: there is none, or it was not asked for.
    package var nextCursor: String?
    package var modelVersion: String
    package var policyVersion: String
    package var experiments: [ExperimentVariant] = []
    package var tier: Tier
    /// Milliseconds since the pool was computed.
    package var ageMilliseconds: Int64
    package var fallback: Fallback?
    /// One snake_case word, for example `no_history`, `store_unavailable`.
    package var fallbackReason: String?
    package var degraded: [Degradation]
    package var filtered: FilteredCounts
    package var userVersion: User.Version
    /// What it was chosen from, where that is recorded.
    var trace: TracedSlate?
    /// Stage durations, for `Server-Timing`.
    package var stages: [Stage]

    package struct Stage: Sendable {
        package let name: StaticString
        package let duration: Duration

        package init(name: StaticString, duration: Duration) {
            self.name = name
            self.duration = duration
        }
    }
}

/// One place of a slate.
package struct RecommendedItem: Sendable {
    package var item: Item.ID
    package var rank: Int
    package var score: Float
    package var trackingToken: String
    /// Weighted components; they sum to the score.
    package var collaborative: Float
    package var content: Float
    package var popularity: Float
    package var reason: Reason
    /// Whether it is there to be tried out, not by its score.
    package var isTried = false
    /// The history item that explains the place, with its title.
    package var seed: Seed?

    package struct Seed: Sendable {
        package let item: Item.ID
        package let title: String
    }
}

/// Why an item is in a slate; the code is part of the API.
package enum Reason: String, CaseIterable, Sendable {
    case becauseYouLiked = "because_you_liked"
    case similarToHistory = "similar_to_your_history"
    case popular = "popular"
    case curated = "curated"
    case trending = "trending"
    case latest = "latest"
    case similarToItem = "similar_to_item"
}

/// How many candidates each rule of the final stage removed.
package struct FilteredCounts: Sendable, Equatable {
    package var tombstone = 0
    package var unavailable = 0
    package var seen = 0
    package var suppressed = 0
    package var policy = 0
    package var frequencyCap = 0
    package var diversity = 0
    package var poolExhausted = false

    package init() {}
}

/// Why a list that is paged through has no next page any more.
package enum CursorEnd: String, Sendable, Equatable {
    /// Its first page is too long ago.
    case expired
    /// It is not of this user, or of other data, or of nobody.
    case foreign
    /// Consent, a suppression, a reset, an erasure or a purge of the user came after it.
    case user
    /// A purge of its tenant, surface, model or policy came after it.
    case purged
    /// A model or a policy was rolled back, or a model retired, or its surface is no more.
    case withdrawn
}

/// Why a use case could not answer.
package enum ServingError: Error, Sendable, Equatable {
    /// No model and no list of last resort yet.
    case notReady
    /// The surface is not one of the policy's.
    case unknownSurface(allowed: [String])
    /// The control state cannot be verified and the policy refuses to serve without.
    case unverified
    /// There is no such item, or it is denied.
    case unknownItem
    /// The user's version is below the one that was asked for.
    case versionUnknown
    /// A list cannot be gone on with.
    case cursorGone(CursorEnd)
    /// What was asked for can be told from the store alone, and that cannot be read.
    case storeUnavailable
    /// There is not enough time for anything that may be served.
    case deadline
    /// There is no list now that the policy lets serve; try again.
    case nothingToServe
    /// A write could not be made durable; try again.
    case notDurable
    /// What was to be changed is not any more as the caller knows it.
    case changed
    /// What was asked contradicts what is stored.
    case conflict(String)
    /// A model falls too far below the active one to be put into service unforced.
    case modelRefused(ModelShortfall)
    /// A defect, logged with the request id.
    case failed(String)
}

package import RecommendationCore

/// What a client tells of one recommendation that it has shown.
package struct ImpressionRequest: Sendable, Equatable {
    /// The most items of a request.
    package static let maximumItems = 100

    package struct Shown: Sendable, Equatable {
        package let item: Item.ID
        package let trackingToken: String

        package init(item: Item.ID, trackingToken: String) {
            self.item = item
            self.trackingToken = trackingToken
        }
    }

    package var id: RecommendationID
    package var items: [Shown]

    package init(id: RecommendationID, items: [Shown]) {
        self.id = id
        self.items = items
    }
}

/// What became of the impressions of one call.
package struct ImpressionAnswer: Sendable, Equatable {
    package var accepted = 0
    package var duplicates = 0
    package var rejected: [FeedbackRejection] = []
    /// Whether frequency caps count them already, if the policy has any; false: once the counters are made anew.
    package var isCounted = true

    package init(
        accepted: Int = 0,
        duplicates: Int = 0,
        rejected: [FeedbackRejection] = [],
        isCounted: Bool = true
    ) {
        self.accepted = accepted
        self.duplicates = duplicates
        self.rejected = rejected
        self.isCounted = isCounted
    }
}

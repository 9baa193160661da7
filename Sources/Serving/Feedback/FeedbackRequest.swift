package import RecommendationCore

/// One event as it arrives, its ids already validated; what is wrong with it becomes a rejection.
package struct FeedbackRequest: Sendable {
    package var eventID: String?
    package var user: User.ID
    package var item: Item.ID
    package var type: String
    package var value: Double?
    package var occurredAt: Timestamp?
    package var trackingToken: String?
    /// The session it belongs to.
    package var session: Session.ID?
    /// When it was added to a stream, in milliseconds of Redis time; nil: it did not come over one.
    package var queuedAt: Int64?

    package init(
        eventID: String?,
        user: User.ID,
        item: Item.ID,
        type: String,
        value: Double?,
        occurredAt: Timestamp?,
        trackingToken: String?,
        session: Session.ID?,
        queuedAt: Int64? = nil
    ) {
        self.eventID = eventID
        self.user = user
        self.item = item
        self.type = type
        self.value = value
        self.occurredAt = occurredAt
        self.trackingToken = trackingToken
        self.session = session
        self.queuedAt = queuedAt
    }
}

/// Why an event was not stored.
package struct FeedbackRejection: Sendable, Equatable {
    package let index: Int
    /// `unknown_type`, `unknown_item`, `out_of_range`, `invalid_token`, `unknown_key`, `expired_token`.
    package let code: String
    /// The field of the event, without a leading `#/`.
    package let field: String
    package let allowed: String?

    package init(index: Int, code: String, field: String, allowed: String?) {
        self.index = index
        self.code = code
        self.field = field
        self.allowed = allowed
    }
}

/// What became of the events of one call.
package struct FeedbackAnswer: Sendable, Equatable {
    package var accepted: Int
    package var duplicates: Int
    package var rejected: [FeedbackRejection]
    /// The version of each user after the call, in order of first mention.
    package var userVersions: [(user: User.ID, version: User.Version)]
    /// False: durable, but the invalidation goes out with the relay's next pass.
    package var propagated: Bool

    package init(
        accepted: Int,
        duplicates: Int,
        rejected: [FeedbackRejection],
        userVersions: [(user: User.ID, version: User.Version)],
        propagated: Bool
    ) {
        self.accepted = accepted
        self.duplicates = duplicates
        self.rejected = rejected
        self.userVersions = userVersions
        self.propagated = propagated
    }

    package static func == (lhs: Self, rhs: Self) -> Bool {
        lhs.accepted == rhs.accepted && lhs.duplicates == rhs.duplicates && lhs.rejected == rhs.rejected
            && lhs.propagated == rhs.propagated
            && lhs.userVersions.elementsEqual(rhs.userVersions) { $0.user == $1.user && $0.version == $1.version }
    }
}

package import RecommendationCore

/// What is asked for one session.
package struct SessionRequest: Sendable {
    /// The most events a request may bring.
    package static let maximumEvents = 100

    /// What somebody has done, as the caller tells it. It is not stored.
    package struct Event: Sendable, Equatable {
        package let item: Item.ID
        package let type: EventType
        package let value: Float
        /// nil: just now, or where the session is known to hold such an event, that one.
        package let occurredAt: Timestamp?

        package init(item: Item.ID, type: EventType, value: Float, occurredAt: Timestamp?) {
            self.item = item
            self.type = type
            self.value = value
            self.occurredAt = occurredAt
        }
    }

    /// Of ``TokenSigner/nobody`` where nobody is named.
    package var recommendation: RecommendationRequest
    /// Whose kept events count, too; nil: there are none.
    package var session: Session.ID?
    package var events: [Event]

    package init(_ recommendation: RecommendationRequest, session: Session.ID?, events: [Event]) {
        self.recommendation = recommendation
        self.session = session
        self.events = events
    }
}

/// One visit, in which somebody does several things.
public enum Session {
    /// The client's name of a session.
    public typealias ID = Identifier<Session>

    /// Events of a session that are kept: the newest.
    public static let maximumEvents = 50
}

/// What is kept of an event of a session: enough to score by it, and to find the event itself in the store.
public struct SessionEvent: Sendable, Hashable {
    /// Who.
    public let user: User.ID
    /// What.
    public let item: Item.ID
    /// What happened.
    public let type: EventType
    /// The value of a rating; 1 otherwise.
    public let value: Float
    /// When it happened.
    public let occurredAt: Timestamp

    /// An event of these parts.
    public init(user: User.ID, item: Item.ID, type: EventType, value: Float, occurredAt: Timestamp) {
        self.user = user
        self.item = item
        self.type = type
        self.value = value
        self.occurredAt = occurredAt
    }
}

/// The newest events of sessions, kept for a while after the last one. What is lost of it loses only likeness to what somebody
/// has just done: whether an event counts is for the ``InteractionRepository`` to say.
public protocol SessionRepository: Sendable {
    /// Adds events to sessions of one tenant. Adding one again changes nothing.
    ///
    /// - Parameter end: Milliseconds of Redis time from which on nothing is added, however late a call arrives: whoever has
    ///   taken away by then what was there finds nothing more.
    func append(
        _ events: [Session.ID: [SessionEvent]],
        tenant: Tenant.ID,
        until end: Int64
    ) async throws(RepositoryError)
    /// The newest events of a session, in no order; none where it is not known.
    func events(of session: Session.ID, tenant: Tenant.ID) async throws(RepositoryError) -> [SessionEvent]
}

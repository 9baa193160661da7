/// Someone who is recommended to.
public enum User {
    /// The client's name of a user.
    public typealias ID = Identifier<User>
    /// What PostgreSQL hands out at every invalidating write; of two states of a user the one with the higher version
    /// is the later. 0: the user has no row.
    public typealias Version = Int64
}

/// One event of a user's history, as scoring needs it.
public struct HistoryEvent: Sendable, Equatable {
    /// The item.
    public let item: Item.Number
    /// What happened.
    public let type: EventType
    /// The value of a rating; 1 where an event carries none.
    public let value: Float
    /// When.
    public let occurredAt: Timestamp

    /// An event of these parts.
    public init(item: Item.Number, type: EventType, value: Float, occurredAt: Timestamp) {
        self.item = item
        self.type = type
        self.value = value
        self.occurredAt = occurredAt
    }
}

/// One thing that clients tell of a user; both parts are compared by their bytes.
public struct UserLabel: Sendable, Hashable {
    /// What it is called.
    public let name: Identifier<ItemExpression>
    /// What it says; as an id, but for its length.
    public let value: Identifier<ItemExpression>

    /// A label that was validated before it was stored.
    public init(name: String, value: String) {
        self.name = Identifier(trusted: name)
        self.value = Identifier(trusted: value)
    }
}

/// What a computation reads of a user: version, consent, history, suppressions and labels, all of one snapshot of the store.
public struct UserState: Sendable, Equatable {
    /// The version the rest was read at; 0 where the user has no row.
    public let version: User.Version
    /// Whether the user allows personalisation.
    public let consent: Bool
    /// The newest events, newest first; none where the user does not allow personalisation.
    public let history: [HistoryEvent]
    /// What must not be shown, in no order. It holds whatever the consent is.
    public let suppressions: [Suppression]
    /// What clients tell of the user, in order of name; none where the user does not allow personalisation.
    public let labels: [UserLabel]

    /// A state of these parts.
    public init(
        version: User.Version,
        consent: Bool,
        history: [HistoryEvent],
        suppressions: [Suppression] = [],
        labels: [UserLabel] = []
    ) {
        self.version = version
        self.consent = consent
        self.history = history
        self.suppressions = suppressions
        self.labels = labels
    }

    /// A user nobody has heard of.
    public static let unknown = UserState(version: 0, consent: true, history: [])
}

/// What a list that was made earlier is held against.
public struct UserStanding: Sendable, Equatable {
    /// The store's own name of the row: another one is another life of the user. 0: there is no row.
    public var number: Int64
    /// The version of the last change of consent or of what is suppressed, of the last reset or purge; 0: there was none.
    public var changed: User.Version
    /// What must not be shown, in no order.
    public var suppressions: [Suppression]
    /// What clients tell of the user, in order of name; none where the user does not allow personalisation.
    public var labels: [UserLabel]

    /// A standing of these parts.
    public init(
        number: Int64,
        changed: User.Version,
        suppressions: [Suppression] = [],
        labels: [UserLabel] = []
    ) {
        self.number = number
        self.changed = changed
        self.suppressions = suppressions
        self.labels = labels
    }

    /// Of a user nobody has heard of.
    public static let unknown = UserStanding(number: 0, changed: 0)
}

/// Reads of single users.
public protocol UserRepository: Sendable {
    /// Version, consent, history, suppressions and labels in one statement; without consent neither history nor labels are
    /// read.
    func state(of user: User.ID, tenant: Tenant.ID) async throws(RepositoryError) -> UserState
    /// The states of many users, in their order, in one statement.
    func states(of users: [User.ID], tenant: Tenant.ID) async throws(RepositoryError) -> [UserState]
    /// The version alone, on the primary; 0 where the user has no row.
    func version(of user: User.ID, tenant: Tenant.ID) async throws(RepositoryError) -> User.Version
    /// What a list of the user that was made earlier is held against, on the primary.
    func standing(of user: User.ID, tenant: Tenant.ID) async throws(RepositoryError) -> UserStanding
    /// Raises the version without an event (a purge) and appends to the journal; the new version and the transaction that
    /// wrote it, nil where the user has no row.
    func raiseVersion(
        of user: User.ID,
        tenant: Tenant.ID
    ) async throws(RepositoryError) -> (version: User.Version, transaction: UInt64)?
}

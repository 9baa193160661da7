/// An item of a recommendation that was really shown.
public struct Impression: Sendable, Equatable {
    /// What the client calls the item.
    public var item: Item.ID
    /// What the recommendation called it.
    public var number: Item.Number
    /// The recommendation, the place in it, and what it was made of.
    public var attribution: Attribution
    /// Whom it was shown to; nil: it was nobody's list.
    public var user: User.ID?

    /// An impression of these parts.
    public init(item: Item.ID, number: Item.Number, attribution: Attribution, user: User.ID?) {
        self.item = item
        self.number = number
        self.attribution = attribution
        self.user = user
    }
}

/// What became of one impression.
public enum ImpressionOutcome: Sendable, Equatable {
    /// Stored now.
    case stored
    /// The same item of the same recommendation was stored before.
    case duplicate
    /// Not stored: there is no item of that number and name.
    case unknownItem
    /// Not stored: its user was erased since it was recommended.
    case erased
}

/// Keeps what was shown, an item of a recommendation once.
public protocol ImpressionRepository: Sendable {
    /// Stores impressions of different items of one recommendation; an outcome for each, in order.
    func record(_ impressions: [Impression], tenant: Tenant.ID) async throws(RepositoryError) -> [ImpressionOutcome]
    /// What was shown to a user of what was recommended since a time, the newest of it.
    func shown(to user: User.ID, since time: Timestamp, tenant: Tenant.ID) async throws(RepositoryError) -> [ShownItem]
    /// Removes some of what was recommended before a time, of all tenants; whether there may be more.
    func prune(before time: Timestamp) async throws(RepositoryError) -> Bool
}

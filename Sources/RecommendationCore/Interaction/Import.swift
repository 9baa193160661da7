/// An interaction from a file.
public struct ImportedInteraction: Sendable, Equatable {
    /// Where it stands in the file, from 1.
    public var line: Int
    /// Who.
    public var user: User.ID
    /// What.
    public var item: Item.ID
    /// What happened.
    public var type: EventType
    /// The value of a rating; 1 otherwise.
    public var value: Float
    /// When.
    public var occurredAt: Timestamp
    /// The file's id of the event; without one, an event is known again by all its fields.
    public var eventID: String?

    /// An interaction of these parts.
    public init(
        line: Int,
        user: User.ID,
        item: Item.ID,
        type: EventType,
        value: Float,
        occurredAt: Timestamp,
        eventID: String? = nil
    ) {
        self.line = line
        self.user = user
        self.item = item
        self.type = type
        self.value = value
        self.occurredAt = occurredAt
        self.eventID = eventID
    }
}

/// What became of a chunk of a file.
public struct ImportedChunk: Sendable, Equatable {
    /// Rows that are new.
    public var stored: Int
    /// Rows that were there.
    public var unchanged: Int
    /// Lines that name an item which is not in the catalogue.
    public var unknownItems: [Int]
    /// Users whose version was raised.
    public var raised: [User.ID]

    /// A chunk's outcome.
    public init(stored: Int, unchanged: Int, unknownItems: [Int], raised: [User.ID]) {
        self.stored = stored
        self.unchanged = unchanged
        self.unknownItems = unknownItems
        self.raised = raised
    }
}

/// Writes of whole files, by COPY. Every chunk is one short transaction; no journal rows are written, and one generation
/// bump at the end takes everything computed before out of use.
public protocol ImportRepository: Sendable {
    /// Adds items or changes those that differ; how many were new, changed, and as they were.
    func store(items: [Item], tenant: Tenant.ID) async throws(RepositoryError) -> (
        new: Int, changed: Int, unchanged: Int
    )
    /// Adds interactions that are not there yet. The version of each user who gets one is raised, unless it is in
    /// `alreadyRaised`.
    func store(
        interactions: [ImportedInteraction],
        alreadyRaised: Set<User.ID>,
        tenant: Tenant.ID
    ) async throws(RepositoryError) -> ImportedChunk
    /// Creates the tenant if it is new.
    func ensureTenant(_ tenant: Tenant.ID) async throws(RepositoryError)
    /// Ends an import that changed something: the tenant's generation is raised; the new one.
    func finish(tenant: Tenant.ID) async throws(RepositoryError) -> Int64
    /// Whether the tenant has no items and no interactions.
    func isEmpty(tenant: Tenant.ID) async throws(RepositoryError) -> Bool
}

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
    /// The file's id of the event; without one, an event is known again by user, item, type, value and time.
    public var eventID: String?
    /// The recommendation it answers.
    public var attribution: Attribution?

    /// An interaction of these parts.
    public init(
        line: Int,
        user: User.ID,
        item: Item.ID,
        type: EventType,
        value: Float,
        occurredAt: Timestamp,
        eventID: String? = nil,
        attribution: Attribution? = nil
    ) {
        self.line = line
        self.user = user
        self.item = item
        self.type = type
        self.value = value
        self.occurredAt = occurredAt
        self.eventID = eventID
        self.attribution = attribution
    }
}

/// An item from a file.
public struct ImportedItem: Sendable, Equatable {
    /// The item.
    public var item: Item
    /// When it came into the catalogue; nil leaves that to the store.
    public var createdAt: Timestamp?

    /// An item of these parts.
    public init(_ item: Item, createdAt: Timestamp? = nil) {
        self.item = item
        self.createdAt = createdAt
    }
}

/// What a file says of a user.
public struct ImportedUser: Sendable, Equatable {
    /// Who.
    public var id: User.ID
    /// What else a client tells of the user, by name.
    public var labels: [String: String]
    /// What the user likes, best first.
    public var preferredCategories: [String]
    /// Whether the user allows personalisation; nil leaves it as it is.
    public var consent: Bool?
    /// All that must not be shown to the user; nil leaves it as it is.
    public var suppressions: [Suppression]?

    /// A user of these parts.
    public init(
        id: User.ID,
        labels: [String: String] = [:],
        preferredCategories: [String] = [],
        consent: Bool? = nil,
        suppressions: [Suppression]? = nil
    ) {
        self.id = id
        self.labels = labels
        self.preferredCategories = preferredCategories
        self.consent = consent
        self.suppressions = suppressions
    }
}

/// What an import fills.
public enum ImportedKind: String, Sendable, CaseIterable {
    case items, users, interactions
}

/// What became of a chunk of items or users.
public struct ImportedCounts: Sendable, Equatable {
    /// Rows that were not there.
    public var new: Int
    /// Rows that were there and said something else.
    public var changed: Int
    /// Rows that were there as they are in the file.
    public var unchanged: Int

    /// Counts.
    public init(new: Int = 0, changed: Int = 0, unchanged: Int = 0) {
        self.new = new
        self.changed = changed
        self.unchanged = unchanged
    }
}

/// What became of a chunk of interactions.
public struct ImportedChunk: Sendable, Equatable {
    /// Rows that are new.
    public var stored: Int
    /// Rows that were there.
    public var unchanged: Int
    /// Lines that name an item which is not in the catalogue, rising.
    public var unknownItems: [Int]
    /// Users whose version was raised, in order.
    public var raised: [User.ID]

    /// A chunk's outcome.
    public init(stored: Int, unchanged: Int, unknownItems: [Int], raised: [User.ID]) {
        self.stored = stored
        self.unchanged = unchanged
        self.unknownItems = unknownItems
        self.raised = raised
    }
}

/// Writes of whole files, by COPY. Every chunk is one short transaction that may be sent twice; no journal rows are written,
/// and one generation bump at the end takes everything computed before out of use.
public protocol ImportRepository: Sendable {
    /// Adds items and changes those that differ; with `onlyNew`, those that are there stay as they are.
    func store(items: [ImportedItem], onlyNew: Bool, tenant: Tenant.ID) async throws(RepositoryError) -> ImportedCounts
    /// Adds users and changes those that differ; their versions are raised.
    func store(users: [ImportedUser], tenant: Tenant.ID) async throws(RepositoryError) -> ImportedCounts
    /// Begins an import of interactions.
    func interactions(tenant: Tenant.ID) -> any InteractionImport
    /// Creates the tenant if it is new.
    func ensureTenant(_ tenant: Tenant.ID) async throws(RepositoryError)
    /// Brings the planner's statistics of what an import has filled up to date, so that the first reads after it are planned for
    /// what is there. Where it fails nothing is lost: the server gathers them later by itself.
    func analyze(_ kinds: Set<ImportedKind>) async throws(RepositoryError)
    /// Ends an import that changed something: the tenant's generation is raised; the new one.
    func finish(tenant: Tenant.ID) async throws(RepositoryError) -> Int64
    /// Whether the tenant has no items and no interactions.
    func isEmpty(tenant: Tenant.ID) async throws(RepositoryError) -> Bool
}

extension ImportRepository {
    /// Adds items and changes those that differ.
    public func store(items: [Item], tenant: Tenant.ID) async throws(RepositoryError) -> ImportedCounts {
        try await self.store(items: items.map { ImportedItem($0) }, onlyNew: false, tenant: tenant)
    }
}

/// The interactions of one import, chunk after chunk. It remembers what it has looked up and whom it has raised.
public protocol InteractionImport: Sendable {
    /// How many calls of `store` gain by running beside each other, each with users of its own.
    var lanes: Int { get }
    /// Adds interactions that are not there yet. The version of each user who gets one is raised, once in the import.
    func store(_ interactions: [ImportedInteraction]) async throws(RepositoryError) -> ImportedChunk
    /// The lines, rising, that name an item which is not in the catalogue. Stores nothing.
    func unknownItems(of interactions: [ImportedInteraction]) async throws(RepositoryError) -> [Int]
}

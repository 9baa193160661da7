/// A node as the fleet lists it.
public struct NodeStatus: Sendable, Equatable {
    /// Its name in the fleet.
    public var id: String
    /// When its process started.
    public var startedAt: Timestamp
    /// Of the program.
    public var version: String
    /// Where its public API listens.
    public var httpURL: String
    /// Where administration and operations listen.
    public var adminURL: String
    /// nil: no live lease.
    public var leaseAgeMilliseconds: Int64?
    /// The last control log id applied.
    public var controlApplied: Int64
    /// The active model of the tenant `default`.
    public var model: String?
    /// The policy of the tenant `default`.
    public var policy: String
    /// Entries in L1.
    public var l1Entries: Int
    /// Bytes of L1.
    public var l1Bytes: Int
    /// Model versions in memory.
    public var loadedModels: [ModelVersion.Number]
    /// When it last said so.
    public var seenAt: Timestamp

    /// A status of these parts.
    public init(
        id: String,
        startedAt: Timestamp,
        version: String,
        httpURL: String,
        adminURL: String,
        leaseAgeMilliseconds: Int64?,
        controlApplied: Int64,
        model: String?,
        policy: String,
        l1Entries: Int,
        l1Bytes: Int,
        loadedModels: [ModelVersion.Number] = [],
        seenAt: Timestamp
    ) {
        self.id = id
        self.startedAt = startedAt
        self.version = version
        self.httpURL = httpURL
        self.adminURL = adminURL
        self.leaseAgeMilliseconds = leaseAgeMilliseconds
        self.controlApplied = controlApplied
        self.model = model
        self.policy = policy
        self.l1Entries = l1Entries
        self.l1Bytes = l1Bytes
        self.loadedModels = loadedModels
        self.seenAt = seenAt
    }
}

/// The register of nodes.
public protocol NodeRepository: Sendable {
    /// Writes a node's status.
    func report(_ status: NodeStatus) async throws(RepositoryError)
    /// Takes a node off the list.
    func remove(_ id: String) async throws(RepositoryError)
    /// Nodes seen within the last minute.
    func nodes() async throws(RepositoryError) -> [NodeStatus]
}

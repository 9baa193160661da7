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
    /// The last control log id applied: it is in whatever the node serves from then on.
    public var controlApplied: Int64
    /// The incarnation of the data that this id is of; empty: the node does not say.
    public var incarnation: String
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
        incarnation: String = "",
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
        self.incarnation = incarnation
        self.model = model
        self.policy = policy
        self.l1Entries = l1Entries
        self.l1Bytes = l1Bytes
        self.loadedModels = loadedModels
        self.seenAt = seenAt
    }
}

/// How far a change of the control log has come.
public struct EpochProgress: Sendable, Equatable {
    /// A node, and when it had the change.
    public struct Node: Sendable, Equatable {
        /// Its name in the fleet.
        public var id: String
        /// When it had confirmed the change, by the clock of the store; nil: it has not.
        public var appliedAt: Timestamp?

        /// A node of these parts.
        public init(id: String, appliedAt: Timestamp?) {
            self.id = id
            self.appliedAt = appliedAt
        }
    }

    /// The change's id in the control log.
    public var epoch: Int64
    /// When it was made, by the clock of the store.
    public var createdAt: Timestamp
    /// Nodes seen within the last minute.
    public var nodes: [Node]

    /// A progress of these parts.
    public init(epoch: Int64, createdAt: Timestamp, nodes: [Node]) {
        self.epoch = epoch
        self.createdAt = createdAt
        self.nodes = nodes
    }

    /// Whether every node seen within the last minute has the change.
    public var isComplete: Bool { !self.nodes.isEmpty && self.nodes.allSatisfy { $0.appliedAt != nil } }
}

/// The register of nodes.
public protocol NodeRepository: Sendable {
    /// Writes a node's status, and what it has applied of the control log.
    func report(_ status: NodeStatus) async throws(RepositoryError)
    /// Takes a node off the list.
    func remove(_ id: String) async throws(RepositoryError)
    /// Nodes seen within the last minute.
    func nodes() async throws(RepositoryError) -> [NodeStatus]
}

/// What nodes have confirmed of the control log, beside their status.
public protocol EpochRepository: Sendable {
    /// How far a change has come; nil: there is none of that id, or it is of another tenant than the one named.
    func progress(of epoch: Int64, tenant: Tenant.ID?) async throws(RepositoryError) -> EpochProgress?
    /// Forgets nodes that were not seen for a day, and what was confirmed before that.
    func forget() async throws(RepositoryError)
}

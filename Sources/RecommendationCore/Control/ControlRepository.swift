/// What a purge is aimed at.
public enum PurgeScope: Sendable, Equatable {
    case user(User.ID)
    case surface(String)
    case model(String)
    case policy(String)
    case tenant(Tenant.ID)

    /// The names of the scopes, for requests and errors.
    public static let names = ["user", "surface", "model", "policy", "tenant"]
}

/// The last purges of a tenant: an entry's generation is the highest that matches it, so a purge is O(1).
public struct Generations: Sendable, Equatable {
    /// Of the whole tenant.
    public var tenant: Int64
    /// By surface.
    public var surfaces: [String: Int64]
    /// By model version name.
    public var models: [String: Int64]
    /// By policy version name.
    public var policies: [String: Int64]

    /// Generations of a tenant that was never purged.
    public init(
        tenant: Int64 = 0,
        surfaces: [String: Int64] = [:],
        models: [String: Int64] = [:],
        policies: [String: Int64] = [:]
    ) {
        self.tenant = tenant
        self.surfaces = surfaces
        self.models = models
        self.policies = policies
    }

    /// The generation of an entry.
    public func generation(surface: String, model: String, policy: String) -> Int64 {
        max(max(self.tenant, self.surfaces[surface] ?? 0), max(self.models[model] ?? 0, self.policies[policy] ?? 0))
    }
}

/// The compacted control state of one tenant, but for its tombstones, which may be many.
public struct TenantControl: Sendable, Equatable {
    /// Whose.
    public var tenant: Tenant.ID
    /// The last purges.
    public var generations: Generations
    /// The model that serves; nil: none yet.
    public var activeModel: ModelVersion.Number?
    /// The newest version that is ready and newer than the active one: to be loaded ahead of its activation.
    public var readyModel: ModelVersion.Number?
    /// The version that a rollback returns to: kept loaded, so that a rollback is immediate.
    public var previousModel: ModelVersion.Number?
    /// The version that serves a share of the users; nil: none.
    public var canaryModel: ModelCanary?
    /// The version that an operator wants loaded; nil: none.
    public var warmModel: ModelVersion.Number?
    /// The policy in force; nil: the built-in one.
    public var activePolicy: StoredPolicy?
    /// The policy that a rollback returns to; nil: the built-in one, or none.
    public var previousPolicy: StoredPolicy?
    /// The policy that serves a share of the users; nil: none.
    public var canaryPolicy: PolicyCanary?
    /// The document of ``canaryPolicy``; nil: there is none, or it is the built-in one.
    public var canaryDocument: StoredPolicy?
    /// The control log id of the last change that took a model or a policy out of service again; 0: there was none.
    public var withdrawn: Int64
    /// The experiments that run.
    public var experiments: [RunningExperiment]

    /// The versions that answers are made of.
    public var servingModels: [ModelVersion.Number] {
        [self.activeModel, self.canaryModel?.number].compactMap(\.self)
            + self.experiments.flatMap(\.models)
    }

    /// The versions that may be next, to be loaded ahead.
    public var upcomingModels: [ModelVersion.Number] {
        [self.readyModel, self.warmModel, self.previousModel].compactMap(\.self)
    }

    /// A state of these parts.
    public init(
        tenant: Tenant.ID,
        generations: Generations,
        activeModel: ModelVersion.Number?,
        readyModel: ModelVersion.Number?,
        previousModel: ModelVersion.Number?,
        canaryModel: ModelCanary? = nil,
        warmModel: ModelVersion.Number? = nil,
        activePolicy: StoredPolicy? = nil,
        previousPolicy: StoredPolicy? = nil,
        canaryPolicy: PolicyCanary? = nil,
        canaryDocument: StoredPolicy? = nil,
        withdrawn: Int64 = 0,
        experiments: [RunningExperiment] = []
    ) {
        self.tenant = tenant
        self.generations = generations
        self.activeModel = activeModel
        self.readyModel = readyModel
        self.previousModel = previousModel
        self.canaryModel = canaryModel
        self.warmModel = warmModel
        self.activePolicy = activePolicy
        self.previousPolicy = previousPolicy
        self.canaryPolicy = canaryPolicy
        self.canaryDocument = canaryDocument
        self.withdrawn = withdrawn
        self.experiments = experiments
    }
}

/// Everything that changed for nodes since they last read, from one snapshot of the store.
public struct ControlDelta: Sendable, Equatable {
    /// The incarnation of the data.
    public var incarnation: String
    /// The last id of the control log.
    public var head: Int64
    /// The tenants whose control state changed, whole.
    public var tenants: [TenantControl]
    /// What changed of the tombstones of these tenants; a tenant without an entry has the tombstones it had.
    public var tombstones: [Tenant.ID: TombstoneDelta]
    /// All keys that are not revoked, where any key changed.
    public var keys: [APIKey]?
    /// Items that changed, some of which may have come before.
    public var items: [(tenant: Tenant.ID, item: NumberedItem)]
    /// Items that were deleted, some of which may have come before; their numbers are never used again.
    public var deletedItems: [(tenant: Tenant.ID, number: Item.Number)]
    /// Where the next read of items begins.
    public var itemPosition: UInt64
    /// Whether a node serves that reads tracking tokens of version 1 alone.
    public var readsFirstTokens: Bool

    /// A delta of these parts.
    public init(
        incarnation: String,
        head: Int64,
        tenants: [TenantControl],
        tombstones: [Tenant.ID: TombstoneDelta] = [:],
        keys: [APIKey]?,
        items: [(tenant: Tenant.ID, item: NumberedItem)],
        deletedItems: [(tenant: Tenant.ID, number: Item.Number)] = [],
        itemPosition: UInt64,
        readsFirstTokens: Bool = false
    ) {
        self.readsFirstTokens = readsFirstTokens
        self.incarnation = incarnation
        self.head = head
        self.tenants = tenants
        self.tombstones = tombstones
        self.keys = keys
        self.items = items
        self.deletedItems = deletedItems
        self.itemPosition = itemPosition
    }

    /// Two deltas with the same content.
    public static func == (lhs: Self, rhs: Self) -> Bool {
        lhs.incarnation == rhs.incarnation && lhs.head == rhs.head && lhs.tenants == rhs.tenants
            && lhs.tombstones == rhs.tombstones && lhs.keys == rhs.keys && lhs.itemPosition == rhs.itemPosition
            && lhs.readsFirstTokens == rhs.readsFirstTokens
            && lhs.items.elementsEqual(rhs.items) { $0.tenant == $1.tenant && $0.item == $1.item }
            && lhs.deletedItems.elementsEqual(rhs.deletedItems) { $0.tenant == $1.tenant && $0.number == $1.number }
    }
}

/// The control log and the state it compacts to.
public protocol ControlRepository: Sendable {
    /// What changed after a log id and an item position; nil and nil: everything.
    func delta(after id: Int64?, items position: UInt64?) async throws(RepositoryError) -> ControlDelta
    /// Denies things, all of them by one change; its log id, and how many were not denied before.
    func addTombstones(
        _ tombstones: [Tombstone],
        reason: String?,
        expiresAt: Timestamp?,
        tenant: Tenant.ID
    ) async throws(RepositoryError) -> (epoch: Int64, changed: Int)
    /// Takes tombstones away, all of them by one change; its log id, and how many denied something.
    func removeTombstones(
        _ tombstones: [Tombstone],
        tenant: Tenant.ID
    ) async throws(RepositoryError) -> (epoch: Int64, changed: Int)
    /// Tombstones that deny now, the newest change first; those after a place in that order, at most `limit`.
    func tombstones(
        kind: Tombstone.Kind?,
        after place: TombstonePlace?,
        limit: Int,
        tenant: Tenant.ID
    ) async throws(RepositoryError) -> [ListedTombstone]
    /// Raises the generation of a scope (not of a user: that raises the user's version); the new generation.
    func purge(_ scope: PurgeScope, tenant: Tenant.ID) async throws(RepositoryError) -> Int64
}

/// A user's list that was computed ahead, kept for when none can be computed, with what it was computed of.
public struct PrecomputedList: Sendable, Equatable {
    /// What it was computed of beside the user's own state; one of another lineage is not served.
    public struct Lineage: Sendable, Hashable {
        /// The surface.
        public var surface: String
        /// The model.
        public var model: ModelVersion.Number
        /// The policy's version.
        public var policy: String
        /// The last purge before it that matches the rest; 0: there was none.
        public var generation: Int64

        /// A lineage of these parts.
        public init(surface: String, model: ModelVersion.Number, policy: String, generation: Int64) {
            self.surface = surface
            self.model = model
            self.policy = policy
            self.generation = generation
        }
    }

    /// Whose it is.
    public var user: User.ID
    /// What it was computed of.
    public var lineage: Lineage
    /// The user's version that it was computed at.
    public var version: User.Version
    /// When.
    public var computedAt: Timestamp
    /// The candidates, as caches hold them.
    public var pool: [UInt8]

    /// A list of these parts.
    public init(user: User.ID, lineage: Lineage, version: User.Version, computedAt: Timestamp, pool: [UInt8]) {
        self.user = user
        self.lineage = lineage
        self.version = version
        self.computedAt = computedAt
        self.pool = pool
    }
}

/// Where they are kept, one of a user and a surface.
public protocol PrecomputedListRepository: Sendable {
    /// Keeps lists in place of those before them; how many. A list is not kept whose user has another version by now or does
    /// not allow personalisation, nor one like the one that is there and not much newer.
    func store(_ lists: [PrecomputedList], tenant: Tenant.ID) async throws(RepositoryError) -> Int
    /// The lists of users by a lineage each, computed since a time, in their order; nil where there is none that the user may
    /// be served at the moment of the read: the version is the user's own, who allows personalisation.
    func lists(
        of users: [(user: User.ID, lineage: PrecomputedList.Lineage)],
        since time: Timestamp,
        tenant: Tenant.ID
    ) async throws(RepositoryError) -> [PrecomputedList?]
    /// Removes what was computed before a time, and of each surface the oldest beyond a number; how many.
    func prune(before time: Timestamp, keeping limit: Int, tenant: Tenant.ID) async throws(RepositoryError) -> Int
}

package import Caching
package import RecommendationCore

/// One entry of a user in a cache.
package struct InspectedPool: Sendable, Equatable {
    /// ``Tier/l1``, of this node, or ``Tier/l2``.
    package let tier: Tier
    /// Surface, model, policy, variant, filters and generation.
    package let field: String
    package let bytes: Int
    /// nil: bytes that are no entry of this user, and never served.
    package let entry: Entry?

    package struct Entry: Sendable, Equatable {
        package let ageMilliseconds: Int64
        package let userVersion: User.Version
        /// Negative: it is past.
        package let freshForMilliseconds: Int64
        package let servableForMilliseconds: Int64

        package init(
            ageMilliseconds: Int64,
            userVersion: User.Version,
            freshForMilliseconds: Int64,
            servableForMilliseconds: Int64
        ) {
            self.ageMilliseconds = ageMilliseconds
            self.userVersion = userVersion
            self.freshForMilliseconds = freshForMilliseconds
            self.servableForMilliseconds = servableForMilliseconds
        }
    }

    package init(tier: Tier, field: String, bytes: Int, entry: Entry?) {
        self.tier = tier
        self.field = field
        self.bytes = bytes
        self.entry = entry
    }
}

/// What the caches hold of a user.
package struct InspectedUser: Sendable, Equatable {
    /// The lowest user version that L2 serves; nil: it knows none.
    package let floor: User.Version?
    package let hasAskedRedis: Bool
    package let entries: [InspectedPool]

    package init(floor: User.Version?, hasAskedRedis: Bool, entries: [InspectedPool]) {
        self.floor = floor
        self.hasAskedRedis = hasAskedRedis
        self.entries = entries
    }
}

/// Looks into the caches for people; serving does not pass here.
package struct CacheInspector: Sendable {
    private let keeper: CoherenceKeeper
    private let shared: any SharedCacheInspection
    private let state: ControlState

    package init(keeper: CoherenceKeeper, shared: any SharedCacheInspection, state: ControlState) {
        self.keeper = keeper
        self.shared = shared
        self.state = state
    }

    /// The entries of a user of one tenant: in L1 of this node, and in L2.
    package func entries(of user: User.ID, tenant: Tenant.ID) async -> InspectedUser {
        let key = CacheKey(namespace: self.state.incarnation, owner: tenant.string, member: user.string)
        let found = await self.keeper.inspect(key, in: self.shared)
        let now = self.keeper.milliseconds()
        return InspectedUser(
            floor: found.floor,
            hasAskedRedis: found.hasAskedShared,
            entries: found.entries.map { inspected in
                InspectedPool(
                    tier: Tier(inspected.tier),
                    field: String(decoding: inspected.field.bytes, as: UTF8.self),
                    bytes: inspected.bytes,
                    entry: inspected.entry.map { entry in
                        InspectedPool.Entry(
                            ageMilliseconds: max(0, now - entry.computedAt),
                            userVersion: entry.version,
                            freshForMilliseconds: entry.softExpiry - now,
                            servableForMilliseconds: entry.hardExpiry - now
                        )
                    }
                )
            }
        )
    }
}

package import Caching
package import RecommendationCore

/// The answer to a change of a user.
package enum UserAnswer: Sendable, Equatable {
    /// `propagated`: false: the change is durable, and the invalidation goes out with the relay's next pass.
    case stored(version: User.Version, propagated: Bool)
    case unknownUser
    case tooManySuppressions
}

/// What clients tell of users and what users do not want: stored, and only then made known (coherence, section 1).
package struct ProfileService: Sendable {
    private let profiles: any ProfileRepository
    private let state: ControlState
    private let invalidator: Invalidator
    private let caps: FrequencyCapService?
    private let dropEntries: @Sendable (CacheKey) async throws -> Void
    /// How long an answer waits for the relay where this node cannot reach Redis.
    private let propagationLimit: Duration

    /// - Parameter dropEntries: Takes away what L2 holds of a user below the floor.
    package init(
        profiles: any ProfileRepository,
        state: ControlState,
        invalidator: Invalidator,
        caps: FrequencyCapService? = nil,
        dropEntries: @escaping @Sendable (CacheKey) async throws -> Void,
        propagationLimit: Duration = .milliseconds(800)
    ) {
        self.profiles = profiles
        self.state = state
        self.invalidator = invalidator
        self.caps = caps
        self.dropEntries = dropEntries
        self.propagationLimit = propagationLimit
    }

    package func user(_ user: User.ID, tenant: Tenant.ID) async throws(ServingError) -> StoredUser? {
        try await AdminService.reading { () async throws(RepositoryError) in
            try await self.profiles.user(user, tenant: tenant)
        }
    }

    /// Makes a change. One that changes nothing is made known again as well: the one before may have died on its way.
    package func apply(
        _ change: UserChange,
        to user: User.ID,
        tenant: Tenant.ID
    ) async throws(ServingError) -> UserAnswer {
        let write = try await AdminService.mapped { () async throws(RepositoryError) in
            try await self.profiles.apply(change, to: user, tenant: tenant)
        }
        switch write {
        case .stored(let version, let transaction):
            let key = CacheKey(namespace: self.state.incarnation, owner: tenant.string, member: user.string)
            let propagated = await self.invalidator.propagate(
                [Invalidation(key: key, version: version)],
                transaction: transaction,
                within: self.propagationLimit
            )
            if case .reset = change { await self.caps?.forget(user, tenant: tenant) }
            if propagated, change == .consent(false) {
                do {
                    try await self.dropEntries(key)
                } catch {
                    // They lie there until they expire, and nobody serves them.
                }
            }
            return .stored(version: version, propagated: propagated)
        case .unknownUser: return .unknownUser
        case .tooManySuppressions: return .tooManySuppressions
        }
    }
}

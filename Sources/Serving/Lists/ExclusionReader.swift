import Caching
import Metrics
import RecommendationCore

/// What is left out of a list for a user, and what it took to know that.
struct ReadExclusions {
    var value = UserExclusions.none
    /// What clients tell of the user.
    var labels: [UserLabel] = []
    var version: User.Version = 0
    var degraded: [Degradation] = []
    var lookup: Duration = .zero
    var compute: Duration = .zero
}

/// Reads what a user has had or does not want as a pool is read: from the nearest tier that may serve it.
struct ExclusionReader: Sendable {
    let context: ServingContext
    private let undecodable = Counter(label: "vireo_profiles_undecodable_total")

    init(_ context: ServingContext) {
        self.context = context
    }

    /// What is left out for a user. Where that cannot be known the policy decides whether the list is served without.
    func exclusions(of user: User.ID?, _ opening: Opening) async throws(ServingError) -> ReadExclusions {
        guard let user else { return ReadExclusions() }
        let state = opening.state
        var exclusions = ReadExclusions()
        do {
            let (profile, answer) = try await self.context.timed(by: StageBudget.current?.pool) {
                () async throws(PoolFailure) in
                try await self.profile(user, state)
            }
            exclusions.value = UserExclusions(
                seen: Set(profile.seen),
                suppressed: state.catalog.suppressed(by: profile.suppressions)
            )
            exclusions.labels = profile.labels
            exclusions.version = answer.entry.version
            exclusions.lookup = answer.lookup
            exclusions.compute = answer.compute
            if answer.withoutShared { exclusions.degraded.note(.redis) }
        } catch {
            guard state.policy.onUnverified == .serve else { throw .unverified }
            if let degradation = error.degradation { exclusions.degraded.note(degradation) }
            exclusions.degraded.note(.unverified)
        }
        if !self.context.keeper.isSharedReachable { exclusions.degraded.note(.redis) }
        return exclusions
    }

    private func profile(
        _ user: User.ID,
        _ state: TenantState
    ) async throws(PoolFailure) -> (UserProfile, CacheAnswer) {
        let key = CacheKey(prefix: state.keyPrefix, member: user.string)
        // No surface is named like this: a profile is never taken for a pool.
        let format = "\(CacheEntry.formatVersion).\(UserProfileCodec.format)"
        let field = CacheField(parts: ["", "profile", "", "", "", String(state.control.generations.tenant), format])
        let request = CacheRequest(
            place: CachePlace(key: key, field: field),
            lifetimes: Lifetimes(state.policy)
        )
        let answers = await self.context.cache.entries(for: [request]) { _ async throws(PoolFailure) in
            [try await self.compute(user, state.tenant)]
        }
        let answer = try answers[0].get()
        if let profile = UserProfileCodec.decode(answer.entry.payload) { return (profile, answer) }
        self.undecodable.increment()
        let fresh = try await self.compute(user, state.tenant)
        return (UserProfileCodec.decode(fresh.payload) ?? UserProfile(seen: []), answer)
    }

    private func compute(_ user: User.ID, _ tenant: Tenant.ID) async throws(PoolFailure) -> Computation {
        try await self.context.pools.run { users async throws(RepositoryError) in
            try await users.state(of: user, tenant: tenant)
        } compute: { read in
            Computation(
                version: read.version,
                payload: UserProfileCodec.encode(UserProfile(read)),
                isCacheable: read.version > 0,
                isTransient: !read.consent
            )
        }
    }
}

package import RecommendationCore

/// Tries a policy that is stored on a sample of users, beside what serves them: nothing of it is cached, written or counted.
package struct PolicyTrialService: Sendable {
    /// Users of one read.
    private static let batch = 50

    private let context: ServingContext
    private let policies: PolicyService
    private let activity: any ActivityRepository

    package init(_ context: ServingContext, policies: PolicyService, activity: any ActivityRepository) {
        self.context = context
        self.policies = policies
        self.activity = activity
    }

    /// How lists would change; nil where there is no such version.
    package func run(
        _ version: String,
        _ trial: PolicyTrial,
        tenant: Tenant.ID
    ) async throws(ServingError) -> PolicyComparison? {
        guard let policy = try await self.policies.policy(version, tenant: tenant) else { return nil }
        let opening = try await self.context.open(tenant)
        let trying = opening.by(opening.state.trying(policy))
        for side in [opening, trying] { try side.check(surface: trial.surface) }
        guard opening.state.model != nil else { throw .notReady }
        var rest = try await AdminService.reading { () async throws(RepositoryError) in
            try await self.activity.sample(trial.users, tenant: tenant)
        }[...]
        var comparison = PolicyComparison(version: version, against: opening.state.policy.version, trial: trial)
        while !rest.isEmpty {
            let users = Array(rest.prefix(Self.batch))
            rest = rest.dropFirst(users.count)
            do throws(PoolFailure) {
                // One of the places of computations: others are not kept from theirs.
                comparison = try await self.context.pools.run { repository async throws(RepositoryError) in
                    try await repository.states(of: users, tenant: tenant)
                } compute: { [comparison] states in
                    var comparison = comparison
                    for (user, state) in zip(users, states) {
                        self.compare(user, state, opening, trying, &comparison)
                        await Task.yield()
                    }
                    return comparison
                }
            } catch {
                if case .store = error { throw .storeUnavailable }
                throw .nothingToServe
            }
        }
        return comparison
    }

    private func compare(
        _ user: User.ID,
        _ known: UserState,
        _ opening: Opening,
        _ trying: Opening,
        _ comparison: inout PolicyComparison
    ) {
        let trial = comparison.trial
        func slate(_ opening: Opening, _ side: inout PolicyComparison.Side) -> [Item.Number] {
            let request = RecommendationRequest(
                tenant: opening.state.tenant,
                user: user,
                surface: trial.surface,
                limit: trial.limit
            )
            let asked = Asked(request, checked: opening)
            guard let model = asked.state.model else { return [] }
            let hasOwn = asked.state.hasOwnList(known)
            let pool = self.context.pools.pool(
                hasOwn ? known : .unknown,
                of: hasOwn ? user : TokenSigner.nobody,
                asked,
                model,
                excluded: asked.excluded(in: model)
            )
            let workspace = SlateWorkspace()
            return PoolCodec.encode(pool).withUnsafeBytes { bytes in
                guard let view = PoolView(bytes) else { return [] }
                let filtered = asked.opening.builder.choose(trial.limit, of: view, into: workspace)
                side.policy += filtered.policy
                side.diversity += filtered.diversity
                if workspace.places.count < trial.limit { side.short += 1 }
                return workspace.places.map(\.item)
            }
        }
        let before = slate(opening, &comparison.before)
        let after = slate(trying, &comparison.after)
        let isChanged = comparison.add(before, after)
        guard isChanged, known.consent, comparison.examples.count < PolicyComparison.exampleLimit else { return }
        let catalog = opening.state.catalog
        comparison.examples.append(
            PolicyComparison.Example(
                user: user,
                before: before.compactMap { catalog[$0]?.id },
                after: after.compactMap { catalog[$0]?.id }
            )
        )
    }
}

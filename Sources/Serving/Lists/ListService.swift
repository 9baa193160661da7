package import Caching
import Crypto
package import Logging
import Metrics
package import RecommendationCore
import RecommendationEngine

/// Answers with lists that belong to no user: popular, trending, latest, and what is like an item.
///
/// They come from the snapshot and the catalogue in memory, through the same final stage as a user's own slate. With a user,
/// what that user has had or does not want is left out: that is read as a pool is read, from the nearest tier that may serve it.
package final class ListService: Sendable {
    private let cache: TieredCache
    private let keeper: CoherenceKeeper
    private let control: ControlState
    private let users: any UserRepository
    private let signer: TokenSigner
    private let limit: ComputeLimit
    private let scorers = ScorerPool()
    private let metrics = ListMetrics()
    private let log: Logger
    private let wallClock: @Sendable () -> Timestamp

    package init(
        cache: TieredCache,
        keeper: CoherenceKeeper,
        control: ControlState,
        users: any UserRepository,
        signer: TokenSigner,
        limit: ComputeLimit,
        log: Logger,
        wallClock: @escaping @Sendable () -> Timestamp
    ) {
        self.cache = cache
        self.keeper = keeper
        self.control = control
        self.users = users
        self.signer = signer
        self.limit = limit
        self.log = log
        self.wallClock = wallClock
    }

    /// A popular, trending or latest list.
    package func list(_ request: ListRequest) async throws(ServingError) -> ItemList {
        let opening = try await self.open(request.tenant)
        let state = opening.state
        // Without a model there are the policy's items of last resort, and what is newest needs none.
        let isStatic = request.kind != .latest && state.model == nil
        guard !isStatic || !state.policy.staticItems.isEmpty else { throw .notReady }
        let exclusions = try await self.exclusions(request.user, opening)
        var filters = RequestFilters()
        filters.categories = request.categories
        let id = request.isTracked ? opening.id : nil
        let candidates = ListCandidates(state: state)
        let slate = opening.builder.slate(
            of: isStatic
                ? candidates.curated
                : candidates.items(of: request.kind, window: request.window, categories: request.categories),
            limit: request.limit,
            reason: isStatic ? .curated : Reason(request.kind),
            filter: SlateFilter(filters, catalog: state.catalog),
            exclusions: exclusions.value,
            id: id,
            user: request.user,
            model: state.model?.number ?? 0
        )
        let query = [request.kind.rawValue, request.window.rawValue, String(request.limit)]
        var list = self.answer(
            opening,
            slate,
            id: id,
            surface: request.kind.rawValue,
            exclusions,
            query: query + request.categories.map(\.string)
        )
        if isStatic {
            list.fallback = .staticList
            list.fallbackReason = "no_model"
        }
        self.metrics.served(list, named: request.kind.rawValue)
        return list
    }

    /// What is like an item.
    package func similar(_ request: SimilarRequest) async throws(ServingError) -> ItemList {
        let opening = try await self.open(request.tenant)
        let state = opening.state
        // An item that is denied is not told from one that is not there.
        guard let number = state.catalog.number(of: request.item), let record = state.catalog[number],
            !state.blocked[Int(number)]
        else { throw .unknownItem }
        guard state.policy.offers(surface: request.surface) else {
            throw .unknownSurface(allowed: state.policy.surfaces)
        }
        guard state.model != nil else { throw .notReady }
        let exclusions = try await self.exclusions(request.user, opening)
        let ranked = self.scorers.withScorer { scorer in
            ListCandidates(state: state).similar(to: number, scorer: scorer)
        }
        let slate = opening.builder.slate(
            of: ranked,
            limit: request.limit,
            reason: .similarToItem,
            seed: RecommendedItem.Seed(item: record.id, title: record.title),
            exclusions: exclusions.value,
            id: opening.id,
            user: request.user,
            model: state.model?.number ?? 0
        )
        let list = self.answer(opening, slate, id: opening.id, surface: request.surface, exclusions, query: [])
        self.metrics.served(list, named: "similar")
        return list
    }

    // MARK: The parts of an answer

    /// What every answer begins with.
    private struct Opening {
        let state: TenantState
        let builder: SlateBuilder
        let id: RecommendationID
        let now: Timestamp
        let isVerified: Bool
        let start: ContinuousClock.Instant
        let controlled: ContinuousClock.Instant
        /// The control log as far as this node has applied it; no newer than `state`.
        let epoch: Int64
    }

    private func open(_ tenant: Tenant.ID) async throws(ServingError) -> Opening {
        let start = ContinuousClock.now
        let standing = await self.keeper.controlStanding()
        let epoch = self.control.appliedControl
        // Taken after the check, so that it holds what the check has applied.
        guard let state = self.control.state(of: tenant) else { throw .notReady }
        guard standing != .unverified || state.policy.onUnverified == .serve else { throw .unverified }
        let now = self.wallClock()
        var generator = SystemRandomNumberGenerator()
        return Opening(
            state: state,
            builder: SlateBuilder(state: state, signer: self.signer, now: now),
            id: RecommendationID(milliseconds: now.milliseconds, using: &generator),
            now: now,
            isVerified: standing != .unverified,
            start: start,
            controlled: ContinuousClock.now,
            epoch: epoch
        )
    }

    private struct Exclusions {
        var value = ListExclusions.none
        var version: User.Version = 0
        var degraded: [Degradation] = []
        var lookup: Duration = .zero
        var compute: Duration = .zero
    }

    /// What is left out for a user. Where that cannot be known the policy decides whether the list is served without.
    private func exclusions(_ user: User.ID?, _ opening: Opening) async throws(ServingError) -> Exclusions {
        guard let user else { return Exclusions() }
        let state = opening.state
        var exclusions = Exclusions()
        do {
            let (profile, answer) = try await self.profile(user, state)
            exclusions.value = ListExclusions(
                seen: Set(profile.seen),
                suppressed: state.catalog.suppressed(by: profile.suppressions)
            )
            exclusions.version = answer.entry.version
            exclusions.lookup = answer.lookup
            exclusions.compute = answer.compute
            if answer.withoutShared { exclusions.degraded.append(.redis) }
        } catch {
            guard state.policy.onUnverified == .serve else { throw .unverified }
            if let degradation = error.degradation { exclusions.degraded.append(degradation) }
            exclusions.degraded.append(.unverified)
        }
        if !self.keeper.isSharedReachable, !exclusions.degraded.contains(.redis) { exclusions.degraded.append(.redis) }
        return exclusions
    }

    private func profile(
        _ user: User.ID,
        _ state: TenantState
    ) async throws(PoolFailure) -> (UserProfile, CacheAnswer) {
        let key = CacheKey(namespace: state.incarnation, owner: state.tenant.string, member: user.string)
        // No surface is named like this: a profile is never taken for a pool.
        let field = CacheField(parts: ["", "profile", "", "", "", String(state.control.generations.tenant)])
        let policy = state.policy
        let request = CacheRequest(
            place: CachePlace(key: key, field: field),
            lifetimes: Lifetimes(policy)
        )
        let answers = await self.cache.entries(for: [request]) { (_) async throws(PoolFailure) in
            [try await self.computeProfile(user, state.tenant)]
        }
        let answer = try answers[0].get()
        if let profile = UserProfileCodec.decode(answer.entry.payload) { return (profile, answer) }
        self.metrics.undecodable.increment()
        let fresh = try await self.computeProfile(user, state.tenant)
        return (UserProfileCodec.decode(fresh.payload) ?? UserProfile(seen: [], suppressions: []), answer)
    }

    private func computeProfile(_ user: User.ID, _ tenant: Tenant.ID) async throws(PoolFailure) -> Computation {
        guard self.limit.enter() else { throw .overloaded }
        defer { self.limit.leave() }
        let read: UserState
        do {
            read = try await self.users.state(of: user, tenant: tenant)
        } catch {
            self.log.debug("user cannot be read", metadata: ["error": "\(error)"])
            throw .store(error)
        }
        return Computation(
            version: read.version,
            payload: UserProfileCodec.encode(UserProfile(read)),
            isCacheable: read.version > 0
        )
    }

    private func answer(
        _ opening: Opening,
        _ slate: SlateBuilder.Slate,
        id: RecommendationID?,
        surface: String,
        _ exclusions: Exclusions,
        query: [String]
    ) -> ItemList {
        let state = opening.state
        var list = ItemList(
            id: id,
            surface: surface,
            generatedAt: opening.now,
            items: slate.items,
            modelVersion: state.model?.name ?? "none",
            policyVersion: state.policy.version,
            degraded: (opening.isVerified ? [] : [.unverified]) + (state.isOnLastGoodPolicy ? [.policy] : [])
                + exclusions.degraded,
            filtered: slate.filtered,
            userVersion: exclusions.version
        )
        list.tag = Self.tag(opening, list, query: query)
        list.stages = [
            Recommendation.Stage(name: "control", duration: opening.controlled - opening.start),
            Recommendation.Stage(name: "cache", duration: exclusions.lookup),
            Recommendation.Stage(name: "compute", duration: exclusions.compute),
            Recommendation.Stage(
                name: "final",
                duration: ContinuousClock.now - opening.controlled - exclusions.lookup - exclusions.compute
            ),
        ]
        return list
    }

    /// The same for the same list on every node; of another tenant, query or content it is another.
    private static func tag(_ opening: Opening, _ list: ItemList, query: [String]) -> String {
        var hash = SHA256()
        func update(_ text: String) {
            withUnsafeBytes(of: UInt32(text.utf8.count).littleEndian) { hash.update(data: Array($0)) }
            hash.update(data: Array(text.utf8))
        }
        update(opening.state.incarnation)
        update(opening.state.tenant.string)
        update(String(query.count))
        for part in query { update(part) }
        for item in list.items {
            update(item.item.string)
            update(String(item.score.bitPattern))
        }
        // What is said of the list, too, and of the node that gives it.
        update("\(list.filtered)")
        for part in list.degraded { update(part.rawValue) }
        let digest = Base64URL.encode(Array(hash.finalize().prefix(12)))
        return "\(opening.epoch).\(list.modelVersion).\(list.policyVersion).\(digest)"
    }
}

extension Reason {
    init(_ kind: ListKind) {
        self =
            switch kind {
            case .popular: .popular
            case .trending: .trending
            case .latest: .latest
            }
    }
}

/// What lists count.
private struct ListMetrics: Sendable {
    let undecodable = Counter(label: "vireo_profiles_undecodable_total")
    private let served: [String: Counter] = Dictionary(
        uniqueKeysWithValues: (ListKind.allCases.map(\.rawValue) + ["similar"]).map {
            ($0, Counter(label: "vireo_lists_total", dimensions: [("list", $0)]))
        }
    )
    private let rejections: [String: Counter] = Dictionary(
        uniqueKeysWithValues: ["tombstone", "unavailable"].map {
            ($0, Counter(label: "vireo_final_stage_rejections_total", dimensions: [("reason", $0)]))
        }
    )

    func served(_ list: ItemList, named name: String) {
        self.served[name]?.increment()
        if list.filtered.tombstone > 0 { self.rejections["tombstone"]?.increment(by: list.filtered.tombstone) }
        if list.filtered.unavailable > 0 { self.rejections["unavailable"]?.increment(by: list.filtered.unavailable) }
    }
}

import Caching
import Logging
import Metrics
import RecommendationCore
import RecommendationEngine

/// Pools of users from what the store holds of them now; those who have none of their own share one.
struct PoolComputer: Sendable {
    let users: any UserRepository
    private let limit: ComputeLimit
    private let log: Logger
    private let faults: SeededFaults
    let coldLists = ColdLists()
    private let poolSize = Recorder(label: "vireo_pool_candidates", aggregate: true)
    let scorers = ScorerPool()

    init(users: any UserRepository, limit: ComputeLimit, log: Logger, faults: SeededFaults = SeededFaults()) {
        self.users = users
        self.limit = limit
        self.log = log
        self.faults = faults
    }

    /// Whether others compute enough already for what can wait.
    var isBusy: Bool { self.limit.isBusy }

    /// Reads users and computes of them, if the node does not do that often enough already. The snapshot of the store is
    /// opened by `read`, not before.
    func run<Read, Value>(
        _ read: (any UserRepository) async throws(RepositoryError) -> Read,
        compute: (Read) async -> Value
    ) async throws(PoolFailure) -> Value {
        guard self.limit.enter() else { throw .overloaded }
        defer { self.limit.leave() }
        let known: Read
        do {
            known = try await read(self.users)
        } catch {
            self.log.debug("users cannot be read", metadata: ["error": "\(error)"])
            throw .store(error)
        }
        return await compute(known)
    }

    /// The pool of one request.
    func compute(_ asked: Asked) async throws(PoolFailure) -> Computation {
        guard let model = asked.state.model else { throw .noModel }
        return try await self.run { users async throws(RepositoryError) in
            try await users.state(of: asked.request.user, tenant: asked.state.tenant)
        } compute: { user in
            // A list that is gone on with is kept, in its cursor.
            guard let budget = StageBudget.current, budget.isShort(for: .candidates), asked.request.page == .whole,
                asked.state.hasOwnList(user)
            else { return self.computation(user, asked, model) { asked.excluded(in: model) } }
            budget.drawFewer()
            return self.smallComputation(user, asked, model)
        }
    }

    /// The pool of a user of fewer candidates, for one request that has no time for more.
    private func smallComputation(_ user: UserState, _ asked: Asked, _ model: TenantState.LoadedModel) -> Computation {
        let size = max(asked.state.policy.poolSize / 4, 2 * asked.request.limit)
        let excluded = asked.excluded(in: model)
        let pool = self.pool(user, of: asked.request.user, asked, model, excluded: excluded, atMost: size)
        self.poolSize.record(pool.unseen.count)
        return Computation(
            version: user.version,
            payload: PoolCodec.encode(pool),
            isCacheable: false,
            isTransient: true
        )
    }

    /// The pools of many requests of one tenant, each by its own model, in their order, by one read of all users.
    func compute(_ asked: [Asked]) async throws(PoolFailure) -> [Computation] {
        guard let tenant = asked.first?.state.tenant else { return [] }
        guard asked.allSatisfy({ $0.state.model != nil }) else { throw .noModel }
        let names = Array(Set(asked.map(\.request.user)))
        return try await self.run { users async throws(RepositoryError) in
            try await users.states(of: names, tenant: tenant)
        } compute: { states in
            let known = Dictionary(uniqueKeysWithValues: zip(names, states))
            var excluded: [ObjectIdentifier: [String: Bitmap]] = [:]
            var computations: [Computation] = []
            for (index, asked) in asked.enumerated() {
                guard let model = asked.state.model else { continue }
                let user = known[asked.request.user] ?? .unknown
                computations.append(
                    self.computation(user, asked, model) {
                        let bitmap = excluded[ObjectIdentifier(asked.state)]?[asked.digest] ?? asked.excluded(in: model)
                        excluded[ObjectIdentifier(asked.state), default: [:]][asked.digest] = bitmap
                        return bitmap
                    }
                )
                // A hundred users are some milliseconds: others may come between.
                if index % 8 == 7 { await Task.yield() }
            }
            return computations
        }
    }

    /// The bytes of the pool that all share who have none of their own, and who ask for the same.
    func shared(_ asked: Asked, _ model: TenantState.LoadedModel) -> [UInt8] {
        self.coldLists.payload(asked.state, digest: asked.digest) {
            let excluded = self.faults.has(.unfilteredFallback) ? Bitmap() : asked.excluded(in: model)
            return PoolCodec.encode(self.pool(.unknown, of: TokenSigner.nobody, asked, model, excluded: excluded))
        }
    }

    /// The pool of what is known of a user.
    func computation(
        _ user: UserState,
        _ asked: Asked,
        _ model: TenantState.LoadedModel,
        excluded: () -> Bitmap
    ) -> Computation {
        guard asked.state.hasOwnList(user) else {
            return Computation(version: user.version, payload: self.shared(asked, model), isCacheable: false)
        }
        let pool = self.pool(user, of: asked.request.user, asked, model, excluded: excluded())
        self.poolSize.record(pool.unseen.count)
        return Computation(
            version: user.version,
            payload: PoolCodec.encode(pool),
            isCacheable: true,
            // Of who does not want to be personalised nothing is kept; what they suppress is heeded each time.
            isTransient: !user.consent,
            freshFor: Self.isActive(user, at: asked.opening.now) ? asked.state.policy.activeTTL : nil
        )
    }

    /// Whether a user did something of late.
    private static func isActive(_ user: UserState, at now: Timestamp) -> Bool {
        guard let newest = user.history.first?.occurredAt else { return false }
        return Duration.microseconds(now.microseconds - newest.microseconds) <= Policy.activeWindow
    }

    func pool(
        _ user: UserState,
        of name: User.ID,
        _ asked: Asked,
        _ model: TenantState.LoadedModel,
        excluded: Bitmap,
        atMost size: Int = .max
    ) -> CandidatePool {
        self.scorers.withScorer { scorer in
            UserPool(
                state: asked.state,
                snapshot: model.snapshot,
                excluded: excluded,
                keepsSeen: asked.keepsSeen,
                lot: Self.lot(name, model, asked),
                largest: size,
                now: asked.opening.now
            ).pool(of: user, scorer: scorer)
        }
    }

    /// The same for a user by one model and one kind of pools for a day, on every node.
    private static func lot(_ user: User.ID, _ model: TenantState.LoadedModel, _ asked: Asked) -> UInt64 {
        let day = asked.opening.now.microseconds / 86_400_000_000
        var lot = (UInt64(bitPattern: model.number) &+ SplitMix64.step).mixed
        lot = (lot ^ UInt64(bitPattern: day)).mixed
        for bytes in [user.string.utf8, asked.state.rules.compiled.poolDigest.utf8] {
            for byte in bytes { lot = (lot ^ UInt64(byte)) &* 0x100_0000_01B3 }
            lot = (lot ^ UInt64(bytes.count)).mixed
        }
        return lot
    }
}

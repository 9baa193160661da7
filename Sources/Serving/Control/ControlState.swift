package import Caching
import Crypto
package import Logging
import Metrics
package import RecommendationCore
import RecommendationEngine
import Synchronization

/// The control state of this node: tenants, keys, catalogues, tombstones, generations, active models.
///
/// ``catchUp()`` reads what changed from one snapshot of the store and replaces whole immutable states, so that a request sees
/// all of a change or nothing of it. It is called by one caller at a time, the keeper. An activated model is loaded before its
/// activation is applied: while that takes, the lease is not renewed, and nobody is served the model before it as if it
/// were current.
package final class ControlState: ControlFeed, Sendable {
    private struct State {
        var applied: Int64?
        var itemPosition: UInt64?
        var incarnation = ""
        var tenants: [Tenant.ID: TenantState] = [:]
        var keys: [[UInt8]: Principal] = [:]
        var models: [ModelVersion.Number: Snapshot] = [:]
        /// When what was applied last was still to be read; nil before the first read.
        var currentAt: ContinuousClock.Instant?
        /// When models of experiments that could not be loaded are to be tried again.
        var retryAt: ContinuousClock.Instant?
    }

    /// Between two attempts to load a model of an experiment.
    private static let retryInterval = Duration.seconds(10)

    private let state = Mutex(State())
    private let repository: any ControlRepository
    private let models: any SnapshotSource
    let policies: PolicyCodec
    let log: Logger
    private let wallClock: @Sendable () -> Timestamp
    private let now: @Sendable () -> ContinuousClock.Instant
    private let faults: SeededFaults
    private let tokens: TokenForm
    private let incarnationChanged: @Sendable (String) -> Void
    private let changes = Atomic<UInt64>(0)
    /// Says that a later id of the control log was applied, or another incarnation's; for one reader.
    package let advances: AsyncStream<Void>
    private let advance: AsyncStream<Void>.Continuation
    private let applied = Gauge(label: "vireo_control_applied")
    private let textBytes = Gauge(label: "vireo_item_text_bytes")
    private let snapshots = CacheMetrics(.snapshot)
    private let items = CacheMetrics(.item)

    /// - Parameters:
    ///   - tokens: Told which tokens every node reads.
    ///   - incarnationChanged: Called with the new incarnation before any state of it is visible.
    package init(
        repository: any ControlRepository,
        models: any SnapshotSource,
        policies: PolicyCodec,
        log: Logger,
        wallClock: @escaping @Sendable () -> Timestamp,
        now: @escaping @Sendable () -> ContinuousClock.Instant = { .now },
        faults: SeededFaults = SeededFaults(),
        tokens: TokenForm = TokenForm(),
        incarnationChanged: @escaping @Sendable (String) -> Void
    ) {
        self.repository = repository
        self.models = models
        self.policies = policies
        self.log = log
        self.wallClock = wallClock
        self.now = now
        self.faults = faults
        self.tokens = tokens
        self.incarnationChanged = incarnationChanged
        (self.advances, self.advance) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    package func state(of tenant: Tenant.ID) -> TenantState? { self.state.withLock { $0.tenants[tenant] } }

    /// How often anything was applied. Whoever keeps what it was told here loads this first, under a live lease, and asks again
    /// when it has moved.
    package var changeCount: UInt64 { self.changes.load(ordering: .acquiring) }

    package var tenants: [Tenant.ID] { self.state.withLock { $0.tenants.keys.sorted() } }

    package var incarnation: String { self.state.withLock { $0.incarnation } }

    package var appliedControl: Int64 { self.appliedID ?? 0 }

    /// The last control log id that is applied; nil before the first read.
    package var appliedID: Int64? { self.state.withLock { $0.applied } }

    /// The last id that is applied, and the incarnation it is of; nil before the first read.
    package var position: (id: Int64, incarnation: String)? {
        self.state.withLock { state in state.applied.map { ($0, state.incarnation) } }
    }

    package var loadedModels: [ModelVersion.Number] { self.state.withLock { $0.models.keys.sorted() } }

    /// Whether every tenant with an active model has it loaded.
    package var hasModels: Bool {
        self.state.withLock { state in
            state.applied != nil
                && state.tenants.values.allSatisfy { ($0.control.activeModel == nil) == ($0.model == nil) }
        }
    }

    /// Tenants whose active policy this node cannot read: it serves them by the last good one.
    package var tenantsOnLastGoodPolicy: [Tenant.ID] {
        self.state.withLock { state in
            state.tenants.values.filter(\.isOnLastGoodPolicy).map(\.tenant).sorted()
        }
    }

    /// How old what this node serves by is; nil before the first read.
    package func ages() -> SettingsAges? {
        let now = self.now()
        let wallNow = self.wallClock()
        return self.state.withLock { state in
            guard let currentAt = state.currentAt else { return nil }
            let behind = state.tenants.values.compactMap(\.inForce.behindSince).min()
            let built = state.tenants.values.compactMap { $0.model?.snapshot.builtAt.microseconds }.min()
            return SettingsAges(
                settings: now - min(currentAt, behind ?? currentAt),
                snapshot: built.map { .microseconds(max(0, wallNow.microseconds - $0)) }
            )
        }
    }

    /// The caller behind a presented key. The key is hashed and the hash looked up: what is compared is not the secret,
    /// so the time the look-up takes says nothing of it.
    package func principal(for presented: String) -> Principal? {
        let hash = Array(SHA256.hash(data: Array(presented.utf8)))
        return self.state.withLock { $0.keys[hash] }
    }

    package func catchUp() async throws {
        let begun = self.now()
        let (after, position, incarnation) = self.state.withLock { ($0.applied, $0.itemPosition, $0.incarnation) }
        var delta = try await self.repository.delta(after: after, items: position)
        if after != nil, delta.incarnation != incarnation {
            self.log.warning("the database is another incarnation; everything is read again")
            delta = try await self.repository.delta(after: nil, items: nil)
        }
        let restarted = delta.incarnation != incarnation
        if !restarted { delta.tenants += self.lackingModels(beside: delta) }
        // Numbers mean something only within an incarnation.
        if restarted { self.state.withLock { $0.models = [:] } }
        for tenant in delta.tenants {
            if let active = tenant.activeModel { try await self.load(active) }
            // Without it, the active model serves its users too.
            if let canary = tenant.canaryModel { await self.loadAhead(canary.number) }
            for model in tenant.experiments.flatMap(\.models) { await self.loadAhead(model) }
        }
        if restarted { self.incarnationChanged(delta.incarnation) }
        let policies = self.policiesInForce(delta, restarted: restarted)
        self.apply(delta, policies, restarted: restarted, begun: begun)
        if restarted || delta.head != after { self.advance.yield() }
        self.applied.record(delta.head)
        self.items.entries.record(self.state.withLock { $0.tenants.values.reduce(0) { $0 + $1.catalog.count } })
        for tenant in delta.tenants {
            for number in tenant.upcomingModels { await self.loadAhead(number) }
        }
    }

    /// Tenants with an experiment whose model could not be loaded, now and then: they are made anew, as if something had changed.
    private func lackingModels(beside delta: ControlDelta) -> [TenantControl] {
        self.state.withLock { state in
            let lacking = state.tenants.values.map(\.control).filter { control in
                control.experiments.flatMap(\.models).contains { state.models[$0] == nil }
                    && !delta.tenants.contains { $0.tenant == control.tenant }
            }
            guard !lacking.isEmpty else { return [] }
            let now = self.now()
            guard state.retryAt.map({ $0 <= now }) ?? true else { return [] }
            state.retryAt = now + Self.retryInterval
            return lacking
        }
    }

    /// Loads what nothing serves by yet: no reason to fail.
    private func loadAhead(_ number: ModelVersion.Number) async {
        do {
            try await self.load(number)
        } catch {
            self.log.warning(
                "a model that does not serve yet cannot be loaded",
                metadata: ["model": "\(ModelVersion.name(number))", "error": "\(error)"]
            )
        }
    }

    private func load(_ number: ModelVersion.Number) async throws {
        guard self.state.withLock({ $0.models[number] == nil }) else { return }
        let start = ContinuousClock.now
        let (snapshot, bytes) = try await self.models.snapshot(number)
        self.state.withLock { $0.models[number] = snapshot }
        self.snapshots.loaded(in: .now - start, bytes: bytes)
        self.snapshots.entries.record(self.loadedModels.count)
        self.log.info("model loaded", metadata: ["model": "\(ModelVersion.name(number))", "bytes": "\(bytes)"])
    }

    /// The policies of the tenants that changed. One that cannot be read leaves a tenant on its last good one.
    private func policiesInForce(_ delta: ControlDelta, restarted: Bool) -> [Tenant.ID: PolicyInForce] {
        var policies: [Tenant.ID: PolicyInForce] = [:]
        for control in delta.tenants {
            let old = restarted ? nil : self.state(of: control.tenant)
            let inForce = PolicyInForce(control, after: old, codec: self.policies, now: self.now())
            policies[control.tenant] = inForce
            guard inForce.policy.version != old?.policy.version || inForce.unreadable != old?.inForce.unreadable else {
                continue
            }
            if let unreadable = inForce.unreadable {
                self.log.error(
                    "the active policy cannot be read; the last good one stays in force",
                    metadata: [
                        "tenant": "\(control.tenant)", "policy": "\(unreadable.version)",
                        "error": "\(unreadable.reason)", "in_force": "\(inForce.policy.version)",
                    ]
                )
            } else if old != nil {
                self.log.info(
                    "policy in force",
                    metadata: ["tenant": "\(control.tenant)", "policy": "\(inForce.policy.version)"]
                )
            }
        }
        return policies
    }

    /// The policy of a share of the users. Where it cannot be read they are served by the active one.
    private func trial(_ control: TenantControl, after old: TenantState?) -> PolicyInForce? {
        guard let canary = control.canaryPolicy else { return nil }
        if let old, old.control.canaryPolicy?.version == canary.version,
            old.control.canaryDocument == control.canaryDocument
        {
            return old.trialPolicy
        }
        guard let document = control.canaryDocument else { return .builtIn }
        do {
            return PolicyInForce(policy: try self.policies.decode(document), unreadable: nil, behindSince: nil)
        } catch {
            self.log.error(
                "the policy of a part of the users cannot be read; the active one serves them too",
                metadata: ["tenant": "\(control.tenant)", "policy": "\(canary.version)", "error": "\(error.reason)"]
            )
            return nil
        }
    }

    private func apply(
        _ delta: ControlDelta,
        _ policies: [Tenant.ID: PolicyInForce],
        restarted: Bool,
        begun: ContinuousClock.Instant
    ) {
        let (tenants, models) = self.state.withLock { (restarted ? [:] : $0.tenants, $0.models) }
        // Nobody else replaces states, and whoever serves meanwhile goes on with what there is.
        let changed = self.changed(tenants, by: delta, policies, models)
        self.state.withLock { state in
            if restarted { state.tenants = [:] }
            state.currentAt = begun
            state.incarnation = delta.incarnation
            self.tokens.isFirst = delta.readsFirstTokens
            state.applied = delta.head
            state.itemPosition = delta.itemPosition
            if let keys = delta.keys {
                state.keys = Dictionary(
                    keys.map { key in
                        let limit = key.limit.map { KeyLimit(key: key.id, limit: $0) }
                        return (key.secretHash, Principal(tenant: key.tenant, scopes: key.scopes, limit: limit))
                    },
                    uniquingKeysWith: { first, _ in first }
                )
            }
            for tenant in changed { state.tenants[tenant.tenant] = tenant }
            self.forgetModels(&state)
            self.changes.wrappingAdd(1, ordering: .releasing)
        }
        self.textBytes.record(self.state.withLock { $0.tenants.values.reduce(0) { $0 + $1.catalog.texts.bytes } })
    }

    /// The states of all tenants that a delta changes, or the time.
    private func changed(
        _ tenants: [Tenant.ID: TenantState],
        by delta: ControlDelta,
        _ policies: [Tenant.ID: PolicyInForce],
        _ models: [ModelVersion.Number: Snapshot]
    ) -> [TenantState] {
        let now = self.wallClock()
        var controls: [Tenant.ID: TenantControl] = [:]
        for control in delta.tenants { controls[control.tenant] = control }
        var items: [Tenant.ID: [NumberedItem]] = [:]
        for (tenant, item) in delta.items { items[tenant, default: []].append(item) }
        var deleted: [Tenant.ID: Set<Item.Number>] = [:]
        for (tenant, number) in delta.deletedItems { deleted[tenant, default: []].insert(number) }
        let expired = tenants.values.filter { $0.blockedUntil.map { $0 <= now } ?? false }.map(\.tenant)
        var states: [TenantState] = []
        for tenant in Set(controls.keys).union(items.keys).union(deleted.keys).union(expired) {
            let old = tenants[tenant]
            guard let control = controls[tenant] ?? old?.control else { continue }
            var catalog = old?.catalog ?? Catalog()
            // Rows come again while a long transaction runs; what is already there costs nothing.
            let changed = (items[tenant] ?? []).filter { !catalog.holds($0) }
            let gone = (deleted[tenant] ?? []).filter { catalog[$0] != nil }
            catalog.update(changed)
            catalog.remove(gone)
            let numbers = changed.map(\.number) + gone
            if controls[tenant] == nil, !expired.contains(tenant), let old {
                guard !numbers.isEmpty else { continue }
                states.append(TenantState(old, epoch: delta.head, catalog: catalog, changed: numbers))
                continue
            }
            let tombstones = delta.tombstones[tenant]
            var denials = Denials()
            var blocked: Bitmap?
            if let old, tombstones?.isWhole != true {
                denials = old.denials
                let touched = denials.apply(tombstones?.changes ?? [], now: now) + denials.expire(now)
                var known = old.blocked
                denials.update(&known, touched: touched, changed: numbers, in: catalog)
                blocked = known
            } else {
                denials = Denials(tombstones?.changes ?? [], now: now)
            }
            let loaded = { (number: ModelVersion.Number) in
                models[number].map { TenantState.LoadedModel(number: number, snapshot: $0) }
            }
            states.append(
                TenantState(
                    incarnation: delta.incarnation,
                    epoch: delta.head,
                    policy: policies[tenant] ?? old?.inForce ?? .builtIn,
                    trial: self.trial(control, after: old),
                    catalog: catalog,
                    control: control,
                    denials: denials,
                    blocked: blocked,
                    model: control.activeModel.flatMap(loaded),
                    canary: (control.canaryModel?.number).flatMap(loaded),
                    experiments: self.experiments(control, after: old, loaded),
                    before: old,
                    changed: numbers,
                    faults: self.faults
                )
            )
        }
        return states
    }

    /// Keeps the models that serve, the ones that a rollback returns to (it is immediate) and the ones that may be next.
    private func forgetModels(_ state: inout State) {
        var kept = Set<ModelVersion.Number>()
        for tenant in state.tenants.values {
            kept.formUnion(tenant.control.servingModels)
            kept.formUnion(tenant.control.upcomingModels)
        }
        for number in state.models.keys where !kept.contains(number) { state.models[number] = nil }
    }
}

import Caching
package import RecommendationCore
package import RecommendationEngine
import Synchronization

/// Everything an answer for one tenant depends on besides the user, as one immutable value: a request takes it once, so an
/// answer never mixes two models, two policies or two states of the control log.
package final class TenantState: Sendable {
    package let tenant: Tenant.ID
    package let incarnation: String
    /// The last control log id that is in it.
    package let epoch: Int64
    package let policy: Policy
    /// Where the policy comes from.
    let inForce: PolicyInForce
    package let catalog: Catalog
    package let control: TenantControl
    private let generations: Generations
    package let model: LoadedModel?
    /// The same by the model of the users of ``TenantControl/canaryModel``; nil: there is none, or it is not loaded.
    private let canary: TenantState?
    /// The same by the policy of the users of ``TenantControl/canaryPolicy``; nil: there is none, or it cannot be read.
    private let trial: TenantState?
    /// The same by the policies of surfaces that have one of their own.
    private let surfaces: [(surface: String, state: TenantState)]
    /// The experiments that run, and what their variants are served by.
    private let experiments: [ExperimentStates]
    /// Tells states that serve side by side apart, but for their models.
    let variant: String
    /// The rules of the policy.
    let rules: PolicyRules
    /// The tombstones that deny at the moment this state was made.
    package let denials: Denials
    /// Items that a tombstone denies, by number.
    let blocked: Bitmap
    /// When a tombstone expires next, and ``blocked`` must be made anew.
    var blockedUntil: Timestamp? { self.denials.until }
    /// Blocked or withheld items, and those that the policy shows nobody: not worth scoring.
    let excluded: Bitmap
    /// Words of a bitmap: items that the final stage must look at closely, as they are excluded or have a window. Numbers that
    /// the catalogue does not hold are among them, those beyond the last word too.
    let suspects: [UInt64]
    /// What the cache keys of all users begin with.
    let keyPrefix: [UInt8]
    /// Made when it is first asked for.
    private let fresh = Mutex<FreshIndex?>(nil)
    /// The cache fields of unfiltered pools by the active model, one for each surface.
    private let fields: [(surface: String, field: CacheField)]

    /// What an answer that depends on no user is stamped with: it moves with the control log and with every item that is
    /// changed, added or deleted. The epoch alone does not: stock and visibility go through the item's row.
    package var stamp: String { "\(self.epoch)-\(String(self.catalog.digest, radix: 36))" }

    /// Whether the active policy cannot be read here, and ``policy`` is the last good one.
    package var isOnLastGoodPolicy: Bool { self.inForce.unreadable != nil }

    /// A model version and its snapshot.
    package struct LoadedModel: Sendable {
        package let number: ModelVersion.Number
        package let snapshot: Snapshot
        package var name: String { ModelVersion.name(self.number) }
    }

    /// What all states of one tenant have in common that serve side by side.
    private struct Parts {
        let incarnation: String
        let epoch: Int64
        let catalog: Catalog
        let control: TenantControl
        let denials: Denials
        let blocked: Bitmap
        let faults: SeededFaults
        /// The numbers of all items in which `catalog` differs from the catalogue of the state before.
        let changed: [Item.Number]
    }

    /// - Parameters:
    ///   - trial: The policy of the users of ``TenantControl/canaryPolicy``; nil: there is none, or it cannot be read.
    ///   - blocked: What `denials` denies in `catalog`; nil: that is to be found.
    ///   - before: What a change of `changed` items was made of: rules of policies that are the same are asked of those alone.
    convenience init(
        incarnation: String,
        epoch: Int64,
        policy: PolicyInForce,
        trial: PolicyInForce? = nil,
        catalog: Catalog,
        control: TenantControl,
        denials: Denials,
        blocked: Bitmap? = nil,
        model: LoadedModel?,
        canary: LoadedModel? = nil,
        experiments: [ExperimentWays] = [],
        before: TenantState? = nil,
        changed: [Item.Number] = [],
        faults: SeededFaults = SeededFaults()
    ) {
        let parts = Parts(
            incarnation: incarnation,
            epoch: epoch,
            catalog: catalog,
            control: control,
            denials: denials,
            blocked: blocked ?? denials.denied(in: catalog),
            faults: faults,
            changed: changed
        )
        self.init(
            parts,
            policy,
            trial: trial,
            model: model,
            canary: canary,
            experiments: experiments,
            before: before
        )
    }

    /// - Parameters:
    ///   - surface: The surface that `inForce` is of alone; nil: it is of all that have none of their own.
    ///   - rules: Of `inForce`; nil: they are to be made.
    private init(
        _ parts: Parts,
        _ inForce: PolicyInForce,
        trial: PolicyInForce? = nil,
        surface: String? = nil,
        model: LoadedModel?,
        canary: LoadedModel? = nil,
        experiments: [ExperimentWays] = [],
        rules: PolicyRules? = nil,
        before: TenantState?
    ) {
        let catalog = parts.catalog
        let rules =
            rules
            ?? before.flatMap { before in
                before.rules.compiled === inForce.compiled ? before.rules.updated(parts.changed, catalog) : nil
            } ?? PolicyRules(inForce.compiled, catalog)
        self.tenant = parts.control.tenant
        self.incarnation = parts.incarnation
        self.epoch = parts.epoch
        self.policy = inForce.policy
        self.inForce = inForce
        self.rules = rules
        self.catalog = catalog
        self.control = parts.control
        let generations = parts.faults.has(.lostGeneration) ? Generations() : parts.control.generations
        self.generations = generations
        self.model = model
        self.denials = parts.denials
        self.blocked = parts.blocked
        self.canary = canary.map { canary in
            TenantState(parts, inForce, surface: surface, model: canary, rules: rules, before: before?.canary)
        }
        self.trial = trial.map { trial in
            TenantState(parts, trial, model: model, canary: canary, before: before?.trial)
        }
        self.surfaces = inForce.compiled.overrides.map { surface, compiled in
            let own = PolicyInForce(
                compiled: compiled,
                unreadable: inForce.unreadable,
                behindSince: inForce.behindSince
            )
            let known = before?.surfaces.first { $0.surface == surface }?.state
            return (surface, TenantState(parts, own, surface: surface, model: model, before: known))
        }
        self.experiments = experiments.map { ways in
            let known = before?.experiments.first { $0.experiment.id == ways.experiment.id }?.states ?? []
            return ExperimentStates(
                ways.experiment,
                tenant: parts.control.tenant,
                states: ways.ways.enumerated().map { index, way in
                    guard let way else { return nil }
                    return TenantState(
                        parts,
                        way.policy ?? inForce,
                        // Whom only a model is tried on is served by the policy that serves them anyway.
                        trial: way.policy == nil ? trial : nil,
                        model: way.model ?? model,
                        // Who is to have a model of the experiment has no other.
                        canary: way.model == nil ? canary : nil,
                        before: index < known.count ? known[index] : nil
                    )
                }
            )
        }
        self.variant = "\(inForce.policy.version)|\(surface ?? "")"
        let excluded = Self.excluded(parts.blocked, catalog, rules)
        self.excluded = excluded
        self.suspects = Self.suspects(excluded, catalog)
        self.keyPrefix = CacheKey.prefix(namespace: parts.incarnation, owner: parts.control.tenant.string)
        self.fields = (surface.map { [$0] } ?? inForce.policy.surfaces).map { surface in
            (surface, Self.field(surface, model, inForce.compiled, filters: "", generations))
        }
    }

    /// A state by another policy that is not in force, of which nothing is cached.
    func trying(_ policy: Policy) -> TenantState {
        let parts = Parts(
            incarnation: self.incarnation,
            epoch: self.epoch,
            catalog: self.catalog,
            control: self.control,
            denials: self.denials,
            blocked: self.blocked,
            faults: SeededFaults(),
            changed: []
        )
        return TenantState(
            parts,
            PolicyInForce(policy: policy, unreadable: nil, behindSince: nil),
            model: self.model,
            canary: self.canary?.model,
            before: nil
        )
    }

    /// Whether the policy shows an item nobody.
    func isIneligible(_ item: Item.Number) -> Bool { self.rules.isIneligible(item) }

    /// Whether a user has a list of their own: who has nothing of their own gets what all of them share. Whoever suppresses
    /// something has one, and so has of whom something is told that a rule asks for.
    func hasOwnList(_ user: UserState) -> Bool {
        user.consent && !user.history.isEmpty || !user.suppressions.isEmpty
            || !self.rules.compiled.asked(of: user.labels).isEmpty
    }

    /// Where the policy of a share of the users comes from.
    var trialPolicy: PolicyInForce? { self.trial?.inForce }

    /// What a variant of an experiment is served by; nil: there is no such experiment, or it is served as without it.
    func state(of variant: Int, in experiment: String) -> TenantState? {
        self.experiments.first { $0.experiment.id == experiment }.flatMap { running in
            variant < running.states.count ? running.states[variant] : nil
        }
    }

    /// What a snapshot does not know of the catalogue.
    func freshIndex(of snapshot: Snapshot) -> FreshIndex {
        func make() -> FreshIndex { FreshIndex(self.catalog, snapshot, explores: self.policy.exploration.share > 0) }
        guard snapshot === self.model?.snapshot else { return make() }
        return self.fresh.withLock { fresh in
            let index = fresh ?? make()
            fresh = index
            return index
        }
    }

    /// What this user's answers are made of: this state, or where the user is of a canary's share the same by its policy, its
    /// model, or both. Asked once for an answer.
    package func serving(_ user: User.ID) -> TenantState {
        if let trial, self.control.canaryPolicy?.takes(user) == true { return trial.byModel(of: user) }
        return self.byModel(of: user)
    }

    private func byModel(of user: User.ID) -> TenantState {
        guard let canary, self.control.canaryModel?.takes(user) == true else { return self }
        return canary
    }

    /// What answers for a user on a surface are made of, and the variants of experiments that the user is in there.
    func answering(_ user: User.ID?, on surface: String) -> (state: TenantState, variants: [ExperimentVariant]) {
        guard let user else { return (self.on(surface), []) }
        var state = self.serving(user)
        guard !self.experiments.isEmpty else { return (state.on(surface), []) }
        var variants: [ExperimentVariant] = []
        for running in self.experiments where running.experiment.surface.utf8.elementsEqual(surface.utf8) {
            guard let place = running.experiment.variant(of: user, running.draw) else { continue }
            variants.append(
                ExperimentVariant(id: running.experiment.id, variant: running.experiment.variants[place].name)
            )
            if let own = running.states[place] { state = own.serving(user) }
        }
        return (state.on(surface), variants)
    }

    /// What answers on a surface are made of: this state, or the same by the surface's own policy.
    func on(_ surface: String) -> TenantState {
        guard !self.surfaces.isEmpty else { return self }
        return self.surfaces.first { $0.surface.utf8.elementsEqual(surface.utf8) }?.state ?? self
    }

    /// The types of events that make void what was computed before them, by any policy that serves.
    var invalidatingEvents: Set<EventType> {
        self.experiments.flatMap(\.states).reduce(
            self.policy.invalidatingEvents.union(self.trial?.policy.invalidatingEvents ?? [])
        ) { events, state in events.union(state?.policy.invalidatingEvents ?? []) }
    }

    /// The longest window of a frequency cap of any policy that serves; nil: none has caps.
    var longestCapWindow: Duration? {
        let variants = self.experiments.flatMap(\.states).map { $0?.policy }
        return ([self.policy, self.trial?.policy] + variants).compactMap { $0?.longestCapWindow }.max()
    }

    /// The cache field of unfiltered pools for a surface; nil where the policy has no such surface.
    func field(surface: String) -> CacheField? {
        self.fields.first { $0.surface == surface }?.field
    }

    /// The cache field of pools for a surface that are drawn by the filters of a digest.
    func field(surface: String, filters digest: String) -> CacheField {
        if digest.isEmpty, let field = self.field(surface: surface) { return field }
        return Self.field(surface, self.model, self.inForce.compiled, filters: digest, self.generations)
    }

    /// What a list is computed of that is computed now for a surface; nil: there is no model.
    func lineage(surface: String) -> PrecomputedList.Lineage? {
        guard let model else { return nil }
        return PrecomputedList.Lineage(
            surface: surface,
            model: model.number,
            policy: self.policy.version,
            generation: self.generations.generation(surface: surface, model: model.name, policy: self.policy.version)
        )
    }

    private static func field(
        _ surface: String,
        _ model: LoadedModel?,
        _ policy: CompiledPolicy,
        filters digest: String,
        _ generations: Generations
    ) -> CacheField {
        let name = model?.name ?? ""
        let generation = generations.generation(surface: surface, model: name, policy: policy.policy.version)
        // Nodes of two versions that write differently would void each other's entries: each has fields of its own.
        let format = "\(CacheEntry.formatVersion).\(PoolCodec.format)"
        // Policies that make the same pools share them; a purge of one of them moves its generation, and it shares no more.
        return CacheField(parts: [surface, name, policy.poolDigest, "", digest, String(generation), format])
    }

    private static func excluded(_ blocked: Bitmap, _ catalog: Catalog, _ rules: PolicyRules) -> Bitmap {
        var excluded = blocked
        excluded.formUnion(catalog.withheld)
        excluded.formUnion(rules.ineligible)
        return excluded
    }

    private static func suspects(_ excluded: Bitmap, _ catalog: Catalog) -> [UInt64] {
        var bitmap = excluded
        bitmap.formUnion(catalog.windowed)
        let count = (catalog.count + 63) >> 6
        var words = Array(bitmap.words.prefix(count))
        words.append(contentsOf: repeatElement(0, count: count - words.count))
        if catalog.count & 63 != 0 { words[count - 1] |= ~0 << UInt64(catalog.count & 63) }
        return words
    }

    /// A state in which only items have changed: what is denied is asked for those alone.
    ///
    /// - Parameter changed: The numbers of all items in which `catalog` differs from the catalogue before.
    init(_ before: TenantState, epoch: Int64, catalog: Catalog, changed: [Item.Number]) {
        self.tenant = before.tenant
        self.incarnation = before.incarnation
        self.epoch = epoch
        self.policy = before.policy
        self.inForce = before.inForce
        self.catalog = catalog
        self.control = before.control
        self.generations = before.generations
        self.model = before.model
        self.variant = before.variant
        let rules = before.rules.updated(changed, catalog)
        self.rules = rules
        self.canary = before.canary.map { TenantState($0, epoch: epoch, catalog: catalog, changed: changed) }
        self.trial = before.trial.map { TenantState($0, epoch: epoch, catalog: catalog, changed: changed) }
        self.surfaces = before.surfaces.map { surface, state in
            (surface, TenantState(state, epoch: epoch, catalog: catalog, changed: changed))
        }
        self.experiments = before.experiments.map { running in
            running.mapped { TenantState($0, epoch: epoch, catalog: catalog, changed: changed) }
        }
        self.denials = before.denials
        var blocked = before.blocked
        before.denials.update(&blocked, touched: [], changed: changed, in: catalog)
        self.blocked = blocked
        let excluded = Self.excluded(blocked, catalog, rules)
        self.excluded = excluded
        self.suspects = Self.suspects(excluded, catalog)
        self.keyPrefix = before.keyPrefix
        self.fields = before.fields
    }
}

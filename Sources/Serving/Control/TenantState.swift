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
    /// The tombstones that deny at the moment this state was made.
    package let denials: Denials
    /// Items that a tombstone denies, by number.
    let blocked: Bitmap
    /// When a tombstone expires next, and ``blocked`` must be made anew.
    var blockedUntil: Timestamp? { self.denials.until }
    /// Blocked or withheld items: not worth scoring.
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

    /// - Parameter blocked: What `denials` denies in `catalog`; nil: that is to be found.
    init(
        incarnation: String,
        epoch: Int64,
        policy: PolicyInForce,
        catalog: Catalog,
        control: TenantControl,
        denials: Denials,
        blocked: Bitmap? = nil,
        model: LoadedModel?,
        canary: LoadedModel? = nil,
        faults: SeededFaults = SeededFaults()
    ) {
        self.tenant = control.tenant
        self.incarnation = incarnation
        self.epoch = epoch
        self.policy = policy.policy
        self.inForce = policy
        self.catalog = catalog
        self.control = control
        let generations = faults.has(.lostGeneration) ? Generations() : control.generations
        self.generations = generations
        self.model = model
        self.denials = denials
        let blocked = blocked ?? denials.denied(in: catalog)
        self.blocked = blocked
        self.canary = canary.map { canary in
            TenantState(
                incarnation: incarnation,
                epoch: epoch,
                policy: policy,
                catalog: catalog,
                control: control,
                denials: denials,
                blocked: blocked,
                model: canary,
                faults: faults
            )
        }
        var excluded = blocked
        excluded.formUnion(catalog.withheld)
        self.excluded = excluded
        self.suspects = Self.suspects(excluded, catalog)
        self.keyPrefix = CacheKey.prefix(namespace: incarnation, owner: control.tenant.string)
        self.fields = policy.policy.surfaces.map { surface in
            let field = Self.field(surface, model, policy.policy, filters: "", generations)
            return (surface, field)
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

    /// What this user's answers are made of: this state, or where the user is of the canary's share the same by its model. Asked
    /// once for an answer.
    func serving(_ user: User.ID) -> TenantState {
        guard let canary, self.control.canaryModel?.takes(user) == true else { return self }
        return canary
    }

    /// The cache field of unfiltered pools for a surface; nil where the policy has no such surface.
    func field(surface: String) -> CacheField? {
        self.fields.first { $0.surface == surface }?.field
    }

    /// The cache field of pools for a surface that are drawn by the filters of a digest.
    func field(surface: String, filters digest: String) -> CacheField {
        if digest.isEmpty, let field = self.field(surface: surface) { return field }
        return Self.field(surface, self.model, self.policy, filters: digest, self.generations)
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
        _ policy: Policy,
        filters digest: String,
        _ generations: Generations
    ) -> CacheField {
        let name = model?.name ?? ""
        let generation = generations.generation(surface: surface, model: name, policy: policy.version)
        // Nodes of two versions that write differently would void each other's entries: each has fields of its own.
        let format = "\(CacheEntry.formatVersion).\(PoolCodec.format)"
        return CacheField(parts: [surface, name, policy.version, "", digest, String(generation), format])
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
    init(_ before: TenantState, epoch: Int64, catalog: Catalog, changed: some Collection<Item.Number>) {
        self.tenant = before.tenant
        self.incarnation = before.incarnation
        self.epoch = epoch
        self.policy = before.policy
        self.inForce = before.inForce
        self.catalog = catalog
        self.control = before.control
        self.generations = before.generations
        self.model = before.model
        self.canary = before.canary.map { TenantState($0, epoch: epoch, catalog: catalog, changed: changed) }
        self.denials = before.denials
        var blocked = before.blocked
        before.denials.update(&blocked, touched: [], changed: changed, in: catalog)
        self.blocked = blocked
        var excluded = blocked
        excluded.formUnion(catalog.withheld)
        self.excluded = excluded
        self.suspects = Self.suspects(excluded, catalog)
        self.keyPrefix = before.keyPrefix
        self.fields = before.fields
    }
}

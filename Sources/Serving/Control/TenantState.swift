package import RecommendationCore
package import RecommendationEngine

/// Everything an answer for one tenant depends on besides the user, as one immutable value: a request takes it once, so an
/// answer never mixes two models, two policies or two states of the control log.
package final class TenantState: Sendable {
    package let tenant: Tenant.ID
    package let incarnation: String
    /// The last control log id that is in it.
    package let epoch: Int64
    package let policy: Policy
    package let catalog: Catalog
    package let control: TenantControl
    package let model: LoadedModel?
    /// Items that a tombstone denies, by number.
    let blocked: Bitmap
    /// When a tombstone expires next, and ``blocked`` must be made anew.
    let blockedUntil: Timestamp?
    /// Blocked or withheld items: not worth scoring.
    let excluded: Bitmap

    /// A model version and its snapshot.
    package struct LoadedModel: Sendable {
        package let number: ModelVersion.Number
        package let snapshot: Snapshot
        package var name: String { ModelVersion.name(self.number) }
    }

    package init(
        incarnation: String,
        epoch: Int64,
        policy: Policy,
        catalog: Catalog,
        control: TenantControl,
        model: LoadedModel?,
        now: Timestamp
    ) {
        self.tenant = control.tenant
        self.incarnation = incarnation
        self.epoch = epoch
        self.policy = policy
        self.catalog = catalog
        self.control = control
        self.model = model
        let live = control.tombstones.filter { $0.expiresAt.map { now < $0 } ?? true }
        self.blockedUntil = live.compactMap(\.expiresAt).min()
        self.blocked = Self.blocked(by: live.map(\.tombstone), in: catalog)
        var excluded = self.blocked
        excluded.formUnion(catalog.withheld)
        self.excluded = excluded
    }

    private static func blocked(by tombstones: [Tombstone], in catalog: Catalog) -> Bitmap {
        var bitmap = Bitmap()
        var groups = Set<Tombstone>()
        for tombstone in tombstones {
            if tombstone.kind == .item {
                if let number = catalog.number(of: Item.ID(trusted: tombstone.key.string)) {
                    bitmap[Int(number)] = true
                }
            } else {
                groups.insert(tombstone)
            }
        }
        guard !groups.isEmpty else { return bitmap }
        func isDenied(_ kind: Tombstone.Kind, _ key: String) -> Bool {
            groups.contains(Tombstone(kind: kind, key: Identifier(trusted: key)))
        }
        for (number, record) in catalog.records.enumerated() {
            guard let record else { continue }
            if record.categories.contains(where: { isDenied(.category, $0) })
                || record.campaigns.contains(where: { isDenied(.campaign, $0) })
                || record.creator.map({ isDenied(.creator, $0) }) == true
            {
                bitmap[number] = true
            }
        }
        return bitmap
    }
}

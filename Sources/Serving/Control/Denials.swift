import RecommendationCore

/// The tombstones of a tenant that deny now, as sets: what is denied is asked of one item as of all.
struct Denials: Sendable {
    private let tombstones: Set<Tombstone>
    /// Whether any tombstone names a creator, a category or a campaign.
    private let hasGroups: Bool
    /// When the first of them expires.
    let until: Timestamp?

    init(_ listed: [ListedTombstone], now: Timestamp) {
        let live = listed.filter { $0.expiresAt.map { now < $0 } ?? true }
        self.tombstones = Set(live.map(\.tombstone))
        self.hasGroups = live.contains { $0.tombstone.kind != .item }
        self.until = live.compactMap(\.expiresAt).min()
    }

    /// Whether an item is denied, itself or by a group it is in.
    func deny(_ record: Catalog.Record) -> Bool {
        if self.contains(.item, record.id.string) { return true }
        guard self.hasGroups else { return false }
        return record.categories.contains { self.contains(.category, $0) }
            || record.campaigns.contains { self.contains(.campaign, $0) }
            || record.creator.map { self.contains(.creator, $0) } ?? false
    }

    /// All that is denied in a catalogue.
    func denied(in catalog: Catalog) -> Bitmap {
        var bitmap = Bitmap()
        for tombstone in self.tombstones {
            let key = tombstone.key.string
            switch tombstone.kind {
            case .item:
                if let number = catalog.number(of: Item.ID(trusted: key)) { bitmap[Int(number)] = true }
            case .category: for number in catalog.categories.members(of: key) { bitmap[Int(number)] = true }
            case .creator: for number in catalog.creators.members(of: key) { bitmap[Int(number)] = true }
            case .campaign: for number in catalog.campaigns.members(of: key) { bitmap[Int(number)] = true }
            }
        }
        return bitmap
    }

    private func contains(_ kind: Tombstone.Kind, _ key: String) -> Bool {
        self.tombstones.contains(Tombstone(kind: kind, key: Identifier(trusted: key)))
    }
}

package import RecommendationCore

/// The tombstones of a tenant that deny now: what is denied is asked of one item as of all.
///
/// It is a value that is replaced, never changed: a copy shares nearly everything, and a change of one of a million tombstones
/// copies a 256th of the table and no more.
package struct Denials: Sendable {
    /// Until when each denies; ``Timestamp/never``: for good.
    private var ends = ShardedTable<Tombstone, Timestamp>()
    private var expiries = Expiries()
    /// How many there are.
    package private(set) var count = 0
    /// How many of them name a creator, a category or a campaign.
    private var groups = 0

    /// When the first of them expires, or one that was taken away or changed since.
    package var until: Timestamp? { self.expiries.first }

    /// How many ends are kept, those that do not count any more among them.
    var keptEnds: Int { self.expiries.count }

    package init() {}

    package init(_ changes: [TombstoneChange], now: Timestamp) {
        _ = self.apply(changes, now: now)
    }

    /// Applies changes in their order; the tombstones that came, went, or were there before.
    package mutating func apply(_ changes: [TombstoneChange], now: Timestamp) -> [Tombstone] {
        var touched: [Tombstone] = []
        touched.reserveCapacity(changes.count)
        var expiring: [Expiries.Entry] = []
        for change in changes {
            let end = change.deniedUntil.flatMap { now < $0 ? $0 : nil }
            touched.append(change.tombstone)
            self.set(change.tombstone, end)
            if let end, end != .never { expiring.append(Expiries.Entry(end: end, tombstone: change.tombstone)) }
        }
        self.expiries.add(expiring, isCurrent: { [ends] in ends[$0.tombstone] == $0.end })
        return touched
    }

    /// Takes out what has expired, and returns it.
    package mutating func expire(_ now: Timestamp) -> [Tombstone] {
        var expired: [Tombstone] = []
        // One that was given another end since stays.
        for entry in self.expiries.take(through: now) where self.ends[entry.tombstone] == entry.end {
            self.set(entry.tombstone, nil)
            expired.append(entry.tombstone)
        }
        return expired
    }

    private mutating func set(_ tombstone: Tombstone, _ end: Timestamp?) {
        let before = self.ends.exchange(tombstone, for: end)
        guard (before == nil) != (end == nil) else { return }
        let step = end == nil ? -1 : 1
        self.count += step
        if tombstone.kind != .item { self.groups += step }
    }

    /// Whether an item is denied, itself or by a group it is in.
    func deny(_ record: Catalog.Record) -> Bool {
        if self.contains(.item, record.id.string) { return true }
        guard self.groups > 0 else { return false }
        return record.categories.contains { self.contains(.category, $0) }
            || record.campaigns.contains { self.contains(.campaign, $0) }
            || record.creator.map { self.contains(.creator, $0) } ?? false
    }

    /// Whether there is a tombstone.
    package func contains(_ kind: Tombstone.Kind, _ key: String) -> Bool {
        self.ends[Tombstone(kind: kind, key: Identifier(trusted: key))] != nil
    }

    /// All that is denied in a catalogue.
    func denied(in catalog: Catalog) -> Bitmap {
        var bitmap = Bitmap()
        self.ends.forEachKey { tombstone in
            catalog.forEachItem(named: tombstone) { bitmap[Int($0)] = true }
        }
        return bitmap
    }

    /// Brings what is denied up to date where tombstones came or went, and where items changed.
    func update(
        _ blocked: inout Bitmap,
        touched: [Tombstone],
        changed: some Sequence<Item.Number>,
        in catalog: Catalog
    ) {
        for tombstone in touched {
            // Of what came every item is denied; of what went, those that something else denies.
            let isDenied = self.ends[tombstone] != nil
            catalog.forEachItem(named: tombstone) { number in
                blocked[Int(number)] = isDenied || catalog[number].map { self.deny($0) } ?? false
            }
        }
        for number in changed { blocked[Int(number)] = catalog[number].map { self.deny($0) } ?? false }
    }
}

extension Catalog {
    /// The items that a tombstone names, by itself or by a group.
    fileprivate func forEachItem(named tombstone: Tombstone, _ body: (Item.Number) -> Void) {
        let key = tombstone.key.string
        switch tombstone.kind {
        case .item:
            if let number = self.number(of: Item.ID(trusted: key)) { body(number) }
        case .category: for number in self.categories.members(of: key) { body(number) }
        case .creator: for number in self.creators.members(of: key) { body(number) }
        case .campaign: for number in self.campaigns.members(of: key) { body(number) }
        }
    }
}

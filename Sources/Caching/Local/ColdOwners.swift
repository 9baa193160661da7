import Synchronization

/// Owners of whom it is known that they have no value of their own: ids nobody has heard of, and those who want none.
///
/// They are answered with the value all of them share, without asking any store, so that invented ids cost neither a place
/// in L1 or L2 nor a query each. The table has a fixed size whatever is asked for: a fact is a fingerprint of 128 bits in one
/// of four places of a set, and the oldest of a set makes way. A fact holds only under a live lease, in the session and with
/// the stripe noted before the store was read, and for a limited time: the first event of such an owner moves the stripe,
/// at once on the node that takes it and with its message on the others. The field is part of the fingerprint, because a
/// purge or an import, which moves no stripes, shows in the generation that is in it.
final class ColdOwners: Sendable {
    private struct Fact {
        var first: UInt64 = 0
        var second: UInt64 = 0
        var session: UInt64 = 0
        var version: Int64 = 0
        /// Milliseconds of Redis time; 0: an empty place.
        var until: Int64 = 0
        var stripe: UInt32 = 0
    }

    private static let ways = 4
    private static let tables = 16

    private final class Table: Sendable {
        let facts: Mutex<[Fact]>
        init(count: Int) { self.facts = Mutex([Fact](repeating: Fact(), count: count)) }
    }

    private let tables: [Table]
    private let sets: Int

    /// - Parameter maximum: How many owners are remembered, rounded to a multiple of the table's shape; 48 bytes each.
    init(maximum: Int) {
        let sets = max(1, maximum / (Self.ways * Self.tables))
        self.sets = sets
        self.tables = (0..<Self.tables).map { _ in Table(count: sets * Self.ways) }
    }

    /// The version at which the owner is known to have no value of its own; nil where that is not known.
    func version(_ key: CacheKey, _ field: CacheField, note: LocalCache.Note, at now: Int64) -> Int64? {
        guard let session = note.session else { return nil }
        let (first, second) = Self.fingerprint(key, field)
        return self.table(first).facts.withLock { facts in
            for place in self.places(first) where facts[place].first == first && facts[place].second == second {
                let fact = facts[place]
                if fact.session == session, fact.stripe == note.stripe, now < fact.until { return fact.version }
                facts[place].until = 0
                return nil
            }
            return nil
        }
    }

    /// Remembers what was read after `note` was taken.
    func remember(
        _ key: CacheKey,
        _ field: CacheField,
        version: Int64,
        note: LocalCache.Note,
        until: Int64
    ) {
        guard let session = note.session else { return }
        let (first, second) = Self.fingerprint(key, field)
        self.table(first).facts.withLock { facts in
            var chosen = self.places(first).lowerBound
            for place in self.places(first) {
                if facts[place].first == first, facts[place].second == second {
                    chosen = place
                    break
                }
                if facts[place].until < facts[chosen].until { chosen = place }
            }
            facts[chosen] = Fact(
                first: first,
                second: second,
                session: session,
                version: version,
                until: until,
                stripe: note.stripe
            )
        }
    }

    private func table(_ first: UInt64) -> Table { self.tables[Int(first >> 60)] }

    private func places(_ first: UInt64) -> Range<Int> {
        let set = Int(first & 0xFFFF_FFFF) % self.sets
        return set * Self.ways..<(set + 1) * Self.ways
    }

    /// Two hashes with the process's random seed, of different bytes: nobody outside can choose ids that collide.
    private static func fingerprint(_ key: CacheKey, _ field: CacheField) -> (UInt64, UInt64) {
        var first = Hasher()
        first.combine(key.hash)
        field.bytes.withUnsafeBytes { first.combine(bytes: $0) }
        var second = Hasher()
        second.combine(1)
        field.bytes.withUnsafeBytes { second.combine(bytes: $0) }
        key.bytes.withUnsafeBytes { second.combine(bytes: $0) }
        return (UInt64(UInt(bitPattern: first.finalize())), UInt64(UInt(bitPattern: second.finalize())))
    }
}

import Synchronization

/// L1: entries of this node, bounded in bytes, each stamped with the subscription session under which it was known good.
///
/// Split into shards by key, each with its own lock, its own share of the bytes, its own eviction (``LocalShard``) and its own
/// stripes. A stripe is a counter of invalidations. Whoever will write notes the counter before its first command is sent and
/// is refused if it has moved; the check and the write are under one lock.
final class LocalCache: Sendable {
    /// An entry as L1 holds it.
    struct Hit: Sendable {
        let entry: CacheEntry
        /// The subscription session it was stamped with.
        var session: UInt64
    }

    /// What a later write is conditional on.
    struct Note: Sendable, Equatable {
        let session: UInt64?
        let stripe: UInt32
    }

    /// What L1 holds, and what it has let go since the start.
    struct Statistics: Sendable {
        var keys = 0
        /// Different fields of the entries: surfaces by models, kinds of pools and filters.
        var fields = 0
        var entries = 0
        var bytes = 0
        var evictions = 0
        var expirations = 0
        var hotKeys = HotKeys.Summary()
    }

    private static let shardBits = 6
    static let shardCount = 1 << shardBits
    static let stripesPerShard = 256

    private let shards: [Box]

    /// - Parameter maximumBytes: Of entries, keys, fields and all that is kept beside them.
    init(maximumBytes: Int) {
        let share = max(1, maximumBytes >> Self.shardBits)
        self.shards = (0..<Self.shardCount).map { _ in Box(LocalShard(maximumBytes: share)) }
    }

    func find(_ key: CacheKey, _ field: CacheField) -> Hit? {
        self.box(key).shard.withLock { $0.find(key, field) }
    }

    /// The counter of the key's stripe.
    func stripe(of key: CacheKey) -> UInt32 {
        let stripe = Self.stripe(key)
        return self.box(key).shard.withLock { $0.stripes[stripe] }
    }

    /// Writes an entry if its stripe has not moved since `note`; the caller vouches for the session.
    func write(_ entry: CacheEntry, _ key: CacheKey, _ field: CacheField, note: Note, session: UInt64) -> Bool {
        let stripe = Self.stripe(key)
        return self.box(key).shard.withLock { shard in
            guard shard.stripes[stripe] == note.stripe else { return false }
            shard.insert(entry, key, field, session: session)
            return true
        }
    }

    /// Stamps the entries of a key that are not below a version, and drops the others; the caller vouches for the session.
    func verified(_ key: CacheKey, atLeast version: Int64, note: Note, session: UInt64) {
        let stripe = Self.stripe(key)
        self.box(key).shard.withLock { shard in
            shard.drop(key, below: version)
            if shard.stripes[stripe] == note.stripe { shard.stamp(key, session: session) }
        }
    }

    /// Counts an invalidation on the key's stripe and drops the key's entries below a version.
    func invalidate(_ key: CacheKey, below version: Int64) {
        let stripe = Self.stripe(key)
        self.box(key).shard.withLock { shard in
            shard.stripes[stripe] &+= 1
            shard.drop(key, below: version)
        }
    }

    /// Drops the entries of a key that were found void, whatever their stamp.
    func drop(_ key: CacheKey, below version: Int64) {
        self.box(key).shard.withLock { $0.drop(key, below: version) }
    }

    /// Every entry of a key with its stamp; none counts as used.
    func hits(of key: CacheKey) -> [(field: CacheField, hit: Hit)] {
        self.box(key).shard.withLock { $0.hits(of: key) }
    }

    /// Drops the entries of a key that are past their hard expiry.
    func expire(_ key: CacheKey, at now: Int64) {
        self.box(key).shard.withLock { $0.expire(key, at: now) }
    }

    /// The keys of one shard with an entry that is not stamped with a session, the most asked for first.
    func unverified(shard: Int, session: UInt64) -> [CacheKey] {
        self.shards[shard].shard.withLock { $0.unverified(session: session) }
    }

    /// What is asked for most, at most `count` places, of every shard alike.
    func hottest(_ count: Int) -> [CachePlace] {
        let share = (count + Self.shardCount - 1) / Self.shardCount
        let places = self.shards.map { box in box.shard.withLock { $0.hottest(share) } }
        // The first of all shards, then the second: whoever reads only a part reads the best of each.
        return (0..<share).flatMap { rank in places.compactMap { rank < $0.count ? $0[rank] : nil } }
    }

    /// What L1 holds and has let go; the hot keys are those since the last call.
    func takeStatistics() -> Statistics {
        var fields: Set<CacheField> = []
        var sum = self.shards.reduce(into: Statistics()) { sum, box in
            let (shard, hot, own) = box.shard.withLock { ($0.statistics, $0.hotKeys.take(), $0.fields) }
            fields.formUnion(own.keys)
            sum.keys += shard.keys
            sum.entries += shard.entries
            sum.bytes += shard.bytes
            sum.evictions += shard.evictions
            sum.expirations += shard.expirations
            sum.hotKeys.add(hot)
        }
        sum.fields = fields.count
        return sum
    }

    var usage: (entries: Int, bytes: Int) {
        self.shards.reduce(into: (0, 0)) { sum, box in
            let (entries, bytes) = box.shard.withLock { ($0.statistics.entries, $0.statistics.bytes) }
            sum.0 += entries
            sum.1 += bytes
        }
    }

    private func box(_ key: CacheKey) -> Box {
        self.shards[Int(UInt(bitPattern: key.hash) >> UInt(Int.bitWidth - Self.shardBits))]
    }

    private static func stripe(_ key: CacheKey) -> Int {
        Int(UInt(bitPattern: key.hash) & UInt(Self.stripesPerShard - 1))
    }

    private final class Box: Sendable {
        let shard: Mutex<LocalShard>
        init(_ shard: consuming LocalShard) { self.shard = Mutex(shard) }
    }
}

import Synchronization

/// L1: entries of this node, bounded in bytes, each stamped with the subscription session under which it was known good.
///
/// Split into shards, each with its own lock, its own share of the bytes, its own SIEVE queue (Zhang et al., "SIEVE is
/// simpler than LRU", NSDI 2024: a hit sets one bit; a hand walks from the oldest to the newest and evicts the first entry
/// without it) and its own stripes. A stripe is a counter of invalidations. Whoever will write notes the counter before its
/// first command is sent and is refused if it has moved; the check and the write are under one lock.
final class LocalCache: Sendable {
    /// An entry as L1 holds it.
    struct Hit: Sendable {
        let entry: CacheEntry
        /// The subscription session it was stamped with.
        let session: UInt64
    }

    /// What a later write is conditional on.
    struct Note: Sendable, Equatable {
        let session: UInt64?
        let stripe: UInt32
    }

    private static let shardBits = 6
    private static let stripesPerShard = 256
    /// Dictionary slot, list links, array headers and allocator slack of one key, measured.
    private static let overheadPerKey = 192

    private let shards: [Box]

    init(maximumBytes: Int) {
        let share = max(1, maximumBytes >> Self.shardBits)
        self.shards = (0..<(1 << Self.shardBits)).map { _ in Box(Shard(maximumBytes: share)) }
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

    /// Counts an invalidation on the key's stripe and drops the key's entries below a version.
    func invalidate(_ key: CacheKey, below version: Int64) {
        let stripe = Self.stripe(key)
        self.box(key).shard.withLock { shard in
            shard.stripes[stripe] &+= 1
            shard.drop(key, below: version)
        }
    }

    /// Drops one entry that was found void, whatever its stamp.
    func drop(_ key: CacheKey, below version: Int64) {
        self.box(key).shard.withLock { $0.drop(key, below: version) }
    }

    /// Every entry of a key, for people; none counts as used.
    func entries(of key: CacheKey) -> [(field: CacheField, entry: CacheEntry)] {
        self.box(key).shard.withLock { $0.entries(of: key) }
    }

    var usage: (entries: Int, bytes: Int) {
        self.shards.reduce(into: (0, 0)) { sum, box in
            let (entries, bytes) = box.shard.withLock { ($0.entries, $0.bytes) }
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
        let shard: Mutex<Shard>
        init(_ shard: consuming Shard) { self.shard = Mutex(shard) }
    }

    private struct Shard {
        private struct Node {
            var key: CacheKey
            var entries: [(field: CacheField, hit: Hit)]
            var bytes: Int
            var visited = false
            var older: Int
            var newer: Int
        }

        private static let none = -1

        let maximumBytes: Int
        var stripes = [UInt32](repeating: 0, count: LocalCache.stripesPerShard)
        private(set) var bytes = 0
        private(set) var entries = 0

        private var index: [CacheKey: Int] = [:]
        private var nodes: [Node?] = []
        private var free: [Int] = []
        private var newest = none
        private var oldest = none
        private var hand = none

        init(maximumBytes: Int) {
            self.maximumBytes = maximumBytes
        }

        mutating func find(_ key: CacheKey, _ field: CacheField) -> Hit? {
            guard let slot = self.index[key], let entries = self.nodes[slot]?.entries else { return nil }
            for entry in entries where entry.field == field {
                self.nodes[slot]!.visited = true
                return entry.hit
            }
            return nil
        }

        func entries(of key: CacheKey) -> [(field: CacheField, entry: CacheEntry)] {
            guard let slot = self.index[key], let node = self.nodes[slot] else { return [] }
            return node.entries.map { ($0.field, $0.hit.entry) }
        }

        mutating func insert(_ entry: CacheEntry, _ key: CacheKey, _ field: CacheField, session: UInt64) {
            let hit = Hit(entry: entry, session: session)
            let size = entry.payload.capacity + field.bytes.count + 96
            if size + key.bytes.count + LocalCache.overheadPerKey > self.maximumBytes { return }
            if let slot = self.index[key] {
                if let place = self.nodes[slot]!.entries.firstIndex(where: { $0.field == field }) {
                    // A flight that began earlier may end later: the newer version stays.
                    let held = self.nodes[slot]!.entries[place].hit.entry
                    guard held.version <= entry.version else { return }
                    let change = entry.payload.capacity - held.payload.capacity
                    self.nodes[slot]!.entries[place].hit = hit
                    self.nodes[slot]!.bytes += change
                    self.bytes += change
                } else {
                    self.nodes[slot]!.entries.append((field, hit))
                    self.nodes[slot]!.bytes += size
                    self.bytes += size
                    self.entries += 1
                }
            } else {
                let total = size + key.bytes.count + LocalCache.overheadPerKey
                let node = Node(key: key, entries: [(field, hit)], bytes: total, older: self.newest, newer: Self.none)
                let slot = self.free.popLast() ?? self.nodes.count
                if slot == self.nodes.count { self.nodes.append(node) } else { self.nodes[slot] = node }
                if self.newest != Self.none { self.nodes[self.newest]!.newer = slot }
                self.newest = slot
                if self.oldest == Self.none { self.oldest = slot }
                self.index[key] = slot
                self.bytes += total
                self.entries += 1
            }
            while self.bytes > self.maximumBytes { self.evictOne() }
        }

        mutating func drop(_ key: CacheKey, below version: Int64) {
            guard let slot = self.index[key] else { return }
            var kept = self.nodes[slot]!.entries
            kept.removeAll { $0.hit.entry.version < version }
            if kept.isEmpty {
                self.remove(slot)
            } else if kept.count != self.nodes[slot]!.entries.count {
                let dropped = self.nodes[slot]!.entries.filter { $0.hit.entry.version < version }
                let size = dropped.reduce(0) { $0 + $1.hit.entry.payload.capacity + $1.field.bytes.count + 96 }
                self.nodes[slot]!.entries = kept
                self.nodes[slot]!.bytes -= size
                self.bytes -= size
                self.entries -= dropped.count
            }
        }

        private mutating func evictOne() {
            var slot = self.hand == Self.none ? self.oldest : self.hand
            while slot != Self.none, self.nodes[slot]!.visited {
                self.nodes[slot]!.visited = false
                slot = self.nodes[slot]!.newer
                if slot == Self.none { slot = self.oldest }
            }
            guard slot != Self.none else { return }
            self.hand = self.nodes[slot]!.newer
            self.remove(slot)
        }

        private mutating func remove(_ slot: Int) {
            guard let node = self.nodes[slot] else { return }
            if node.older != Self.none { self.nodes[node.older]!.newer = node.newer } else { self.oldest = node.newer }
            if node.newer != Self.none { self.nodes[node.newer]!.older = node.older } else { self.newest = node.older }
            if self.hand == slot { self.hand = node.newer }
            self.index[node.key] = nil
            self.nodes[slot] = nil
            self.free.append(slot)
            self.bytes -= node.bytes
            self.entries -= node.entries.count
        }
    }
}

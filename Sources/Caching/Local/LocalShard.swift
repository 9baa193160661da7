/// One shard of L1: entries by key, evicted by W-TinyLFU (Einziger, Friedman, Manes, ACM ToS 2017).
///
/// A new key enters the window, an LRU of a hundredth of the bytes. Who leaves it must have been asked for more often, by the
/// sketch, than each key it would push out of the main part, a segmented LRU: probation, from which victims come, and
/// protected (four fifths), which a second request leads to. Chosen by simulation (`Benchmarks/CacheSim`, with its table):
/// the least mean gap to the optimum, and within two points of the best on every trace, where other policies lose four (a
/// shifting hot set) or everything (a job that asks for all users in turn).
///
/// A key's entries are let go together, with one exception: a new model, policy or generation gives each key another entry
/// and asks for the one before no more. In a full shard such an entry goes first, once the key has been asked for while
/// nobody asked for the entry longer than for the next victim.
///
/// Sizes are what the allocator gives, not what was asked for: an array of n bytes occupies its *capacity* and its header.
struct LocalShard {
    private enum Segment: Int { case window, probation, protected }

    private struct Place {
        let field: CacheField
        var hit: LocalCache.Hit
        /// When it was asked for last, or written, by the shard's clock.
        var asked: UInt64
    }

    private struct Node {
        let key: CacheKey
        var entries: [Place]
        var bytes: Int
        var segment = Segment.window
        var older: Int
        var newer: Int
    }

    /// An LRU queue of nodes.
    private struct Queue {
        var newest = none
        var oldest = none
        var bytes = 0
    }

    private static let none = -1
    /// Slots of the dictionary and of the list of nodes, with the room both keep for growing: measured.
    private static let overheadPerKey = 176
    /// Header of an array's storage and of the allocator's block.
    private static let arrayOverhead = 40

    let maximumBytes: Int
    private let windowBytes: Int
    private let mainBytes: Int
    var stripes = [UInt32](repeating: 0, count: LocalCache.stripesPerShard)
    private(set) var statistics = LocalCache.Statistics()
    var hotKeys = HotKeys()

    /// How many entries there are of each field.
    private(set) var fields: [CacheField: Int] = [:]
    private var index: [CacheKey: Int] = [:]
    private var nodes: [Node?] = []
    private var free: [Int] = []
    private var queues = [Queue](repeating: Queue(), count: 3)
    private var sketch = FrequencySketch()
    /// Counts what is asked and written.
    private var clock: UInt64 = 0

    init(maximumBytes: Int) {
        self.maximumBytes = maximumBytes
        // At least a few entries: a window that holds none would keep every new key out of a full cache.
        self.windowBytes = min(maximumBytes / 4, max(16_384, maximumBytes / 100))
        self.mainBytes = maximumBytes - self.windowBytes
    }

    mutating func find(_ key: CacheKey, _ field: CacheField) -> LocalCache.Hit? {
        self.hotKeys.asked(key.hash)
        self.sketch.count(key.hash)
        self.clock += 1
        guard let slot = self.index[key] else { return nil }
        for place in self.nodes[slot]!.entries.indices where self.nodes[slot]!.entries[place].field == field {
            self.nodes[slot]!.entries[place].asked = self.clock
            self.touch(slot)
            let hit = self.nodes[slot]!.entries[place].hit
            if self.nodes[slot]!.entries.count > 1 { self.letGoForgotten(of: slot) }
            return hit
        }
        return nil
    }

    func hits(of key: CacheKey) -> [(field: CacheField, hit: LocalCache.Hit)] {
        guard let slot = self.index[key] else { return [] }
        return self.nodes[slot]!.entries.map { ($0.field, $0.hit) }
    }

    mutating func insert(_ entry: CacheEntry, _ key: CacheKey, _ field: CacheField, session: UInt64) {
        let hit = LocalCache.Hit(entry: entry, session: session)
        self.clock += 1
        if let slot = self.index[key] {
            if let place = self.nodes[slot]!.entries.firstIndex(where: { $0.field == field }) {
                // A flight that began earlier may end later: the newer version stays.
                guard self.nodes[slot]!.entries[place].hit.entry.version <= entry.version else { return }
                self.nodes[slot]!.entries[place].hit = hit
                self.nodes[slot]!.entries[place].asked = self.clock
            } else {
                self.nodes[slot]!.entries.append(Place(field: field, hit: hit, asked: self.clock))
                self.statistics.entries += 1
                self.fields[field, default: 0] += 1
            }
            self.resize(slot)
        } else {
            let place = Place(field: field, hit: hit, asked: self.clock)
            var node = Node(key: key, entries: [place], bytes: 0, older: Self.none, newer: Self.none)
            node.bytes = Self.size(of: node)
            if node.bytes > self.maximumBytes / 4 { return }
            let slot = self.free.popLast() ?? self.nodes.count
            if slot == self.nodes.count { self.nodes.append(node) } else { self.nodes[slot] = node }
            self.index[key] = slot
            self.push(slot, onto: .window)
            self.statistics.keys += 1
            self.statistics.entries += 1
            self.fields[field, default: 0] += 1
            self.statistics.bytes += node.bytes
            self.sketch.fit(keys: self.statistics.keys)
        }
        while self.queue(.window).bytes > self.windowBytes { self.admit(self.queue(.window).oldest) }
        while self.statistics.bytes > self.maximumBytes { self.evict(self.victim) }
    }

    mutating func stamp(_ key: CacheKey, session: UInt64) {
        guard let slot = self.index[key] else { return }
        for place in self.nodes[slot]!.entries.indices { self.nodes[slot]!.entries[place].hit.session = session }
    }

    mutating func drop(_ key: CacheKey, below version: Int64) {
        _ = self.removeEntries(of: key) { $0.version < version }
    }

    mutating func expire(_ key: CacheKey, at now: Int64) {
        self.statistics.expirations += self.removeEntries(of: key) { $0.hardExpiry <= now }
    }

    /// Keys with an entry of another session, the protected ones first, in each segment the newest first.
    func unverified(session: UInt64) -> [CacheKey] {
        var keys: [CacheKey] = []
        for segment in [Segment.protected, .probation, .window] {
            var slot = self.queue(segment).newest
            while slot != Self.none {
                let node = self.nodes[slot]!
                if node.entries.contains(where: { $0.hit.session != session }) { keys.append(node.key) }
                slot = node.older
            }
        }
        return keys
    }

    /// The places asked for last of the keys that are asked for again and again, and then of the others.
    func hottest(_ count: Int) -> [CachePlace] {
        var places: [CachePlace] = []
        for segment in [Segment.protected, .probation, .window] {
            var slot = self.queue(segment).newest
            while slot != Self.none, places.count < count {
                let node = self.nodes[slot]!
                if let place = node.entries.max(by: { $0.asked < $1.asked }) {
                    places.append(CachePlace(key: node.key, field: place.field))
                }
                slot = node.older
            }
        }
        return places
    }

    // MARK: Entries

    private mutating func removeEntries(of key: CacheKey, where isVoid: (CacheEntry) -> Bool) -> Int {
        guard let slot = self.index[key] else { return 0 }
        return self.removePlaces(of: slot) { isVoid($0.hit.entry) }
    }

    private mutating func removePlaces(of slot: Int, where isVoid: (Place) -> Bool) -> Int {
        let before = self.nodes[slot]!.entries.count
        let kept = self.nodes[slot]!.entries.filter { !isVoid($0) }
        guard kept.count < before else { return 0 }
        if kept.isEmpty {
            self.remove(slot)
        } else {
            for place in self.nodes[slot]!.entries where isVoid(place) { self.forget(place.field) }
            self.nodes[slot]!.entries = kept
            self.statistics.entries -= before - kept.count
            self.resize(slot)
        }
        return before - kept.count
    }

    private mutating func forget(_ field: CacheField) {
        guard let count = self.fields[field] else { return }
        self.fields[field] = count > 1 ? count - 1 : nil
    }

    private static func size(of node: Node) -> Int {
        let slots = node.entries.capacity * MemoryLayout<Place>.stride
        return node.entries.reduce(overheadPerKey + node.key.bytes.capacity + slots + 2 * arrayOverhead) { sum, entry in
            sum + entry.hit.entry.payload.capacity + entry.field.bytes.capacity + 2 * arrayOverhead
        }
    }

    private mutating func resize(_ slot: Int) {
        let change = Self.size(of: self.nodes[slot]!) - self.nodes[slot]!.bytes
        self.nodes[slot]!.bytes += change
        self.statistics.bytes += change
        self.queues[self.nodes[slot]!.segment.rawValue].bytes += change
    }

    private mutating func remove(_ slot: Int) {
        self.unlink(slot)
        let node = self.nodes[slot]!
        self.index[node.key] = nil
        self.nodes[slot] = nil
        self.free.append(slot)
        for place in node.entries { self.forget(place.field) }
        self.statistics.keys -= 1
        self.statistics.entries -= node.entries.count
        self.statistics.bytes -= node.bytes
    }

    // MARK: Eviction

    private mutating func touch(_ slot: Int) {
        switch self.nodes[slot]!.segment {
        case .window: self.move(slot, to: .window)
        case .protected: self.move(slot, to: .protected)
        case .probation:
            self.move(slot, to: .protected)
            while self.queue(.protected).bytes > self.mainBytes / 5 * 4, self.queue(.protected).oldest != slot {
                self.move(self.queue(.protected).oldest, to: .probation)
            }
        }
    }

    /// Decides on what leaves the window: into probation, or out.
    private mutating func admit(_ candidate: Int) {
        let frequency = self.sketch.frequency(of: self.nodes[candidate]!.key.hash)
        let size = self.nodes[candidate]!.bytes
        while self.queue(.probation).bytes + self.queue(.protected).bytes + size > self.mainBytes {
            let victim =
                self.queue(.probation).oldest != Self.none
                ? self.queue(.probation).oldest : self.queue(.protected).oldest
            guard victim != Self.none, self.sketch.frequency(of: self.nodes[victim]!.key.hash) < frequency else {
                self.evict(candidate)
                return
            }
            self.evict(victim)
        }
        self.move(candidate, to: .probation)
    }

    private var victim: Int {
        if self.queue(.probation).oldest != Self.none { return self.queue(.probation).oldest }
        return self.queue(.protected).oldest != Self.none ? self.queue(.protected).oldest : self.queue(.window).oldest
    }

    private mutating func evict(_ slot: Int) {
        self.statistics.evictions += self.nodes[slot]!.entries.count
        self.remove(slot)
    }

    /// In a full shard, lets go what a key holds that nobody asked for longer than for anything of the next victim.
    private mutating func letGoForgotten(of slot: Int) {
        guard self.statistics.bytes > self.maximumBytes - self.maximumBytes / 16 else { return }
        let next = self.victim
        guard next != slot, next != Self.none, let horizon = self.nodes[next]!.entries.lazy.map(\.asked).max() else {
            return
        }
        self.statistics.evictions += self.removePlaces(of: slot) { $0.asked < horizon }
    }

    // MARK: Queues

    private mutating func move(_ slot: Int, to segment: Segment) {
        self.unlink(slot)
        self.push(slot, onto: segment)
    }

    private mutating func push(_ slot: Int, onto segment: Segment) {
        let queue = segment.rawValue
        let newest = self.queues[queue].newest
        self.nodes[slot]!.segment = segment
        self.nodes[slot]!.older = newest
        self.nodes[slot]!.newer = Self.none
        if newest != Self.none { self.nodes[newest]!.newer = slot } else { self.queues[queue].oldest = slot }
        self.queues[queue].newest = slot
        self.queues[queue].bytes += self.nodes[slot]!.bytes
    }

    private mutating func unlink(_ slot: Int) {
        let queue = self.nodes[slot]!.segment.rawValue
        let (older, newer) = (self.nodes[slot]!.older, self.nodes[slot]!.newer)
        if older != Self.none { self.nodes[older]!.newer = newer } else { self.queues[queue].oldest = newer }
        if newer != Self.none { self.nodes[newer]!.older = older } else { self.queues[queue].newest = older }
        self.queues[queue].bytes -= self.nodes[slot]!.bytes
    }

    private func queue(_ segment: Segment) -> Queue { self.queues[segment.rawValue] }
}

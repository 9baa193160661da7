import Caching

/// What readers may not be shown any more, by what was acknowledged to whom and when (coherence, the promise).
final class Judge {
    /// A node in one of its lives.
    typealias Life = ObjectIdentifier

    private struct Write {
        let key: CacheKey
        let version: Int64
        let transaction: UInt64
        /// Since when the nodes that acknowledged it may not show what was before.
        var own: [Life: Int64] = [:]
        var acknowledged: Int64?
        /// The first acknowledgement that says every node hears of it.
        var propagated: Int64?
        /// When the relay had brought it to Redis.
        var relayed: Int64?
    }

    private struct Change {
        let id: Int64
        let isPurge: Bool
        let life: Life
        let at: Int64
    }

    let bound: Int64
    private var writes: [Write] = []
    private var changes: [Change] = []
    private(set) var judged = 0
    /// Reads that might have been wrong: something was acknowledged before.
    private(set) var binding = 0
    private(set) var violations: [String] = []

    init(bound: Int64) {
        self.bound = bound
    }

    func committed(_ invalidation: Invalidation, transaction: UInt64) {
        guard !self.writes.contains(where: { $0.transaction == transaction }) else { return }
        self.writes.append(Write(key: invalidation.key, version: invalidation.version, transaction: transaction))
    }

    func acknowledged(_ transaction: UInt64, by life: Life, propagated: Bool, at now: Int64) {
        guard let place = self.writes.firstIndex(where: { $0.transaction == transaction }) else { return }
        self.writes[place].own[life] = self.writes[place].own[life] ?? now
        self.writes[place].acknowledged = self.writes[place].acknowledged ?? now
        if propagated { self.writes[place].propagated = self.writes[place].propagated ?? now }
    }

    func relayed(_ position: JournalPosition, at now: Int64) {
        for place in self.writes.indices
        where self.writes[place].relayed == nil && position.covers(self.writes[place].transaction) {
            self.writes[place].relayed = now
        }
    }

    func changed(_ id: Int64, isPurge: Bool, by life: Life, at now: Int64) {
        self.changes.append(Change(id: id, isPurge: isPurge, life: life, at: now))
    }

    /// The lowest version that a request which begins now may be answered with.
    func required(_ key: CacheKey, on life: Life, at begin: Int64, minimum: Int64) -> Int64 {
        var required = minimum
        for write in self.writes where write.key == key && write.version > required {
            var since = write.own[life] ?? .max
            if let propagated = write.propagated { since = min(since, propagated + self.bound) }
            if let relayed = write.relayed, let acknowledged = write.acknowledged {
                since = min(since, max(relayed, acknowledged) + self.bound)
            }
            if begin >= since { required = write.version }
        }
        return required
    }

    /// The last change of control, and the last purge, that a request which begins now must know.
    func requiredControl(on life: Life, at begin: Int64) -> (control: Int64, generation: Int64) {
        var required: (control: Int64, generation: Int64) = (0, 0)
        for change in self.changes where begin >= (change.life == life ? change.at : change.at + self.bound) {
            required.control = max(required.control, change.id)
            if change.isPurge { required.generation = max(required.generation, change.id) }
        }
        return required
    }

    func read(seen: Int64, required: Int64, _ what: @autoclosure () -> String) {
        self.judged += 1
        if required > 0 { self.binding += 1 }
        guard seen < required else { return }
        self.violations.append("\(what()) \(seen), and must not be less than \(required)")
    }
}

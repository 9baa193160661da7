import Caching

/// Truth: versions under row locks, transactions that are seen when they commit, the journal and the control log.
final class SimulatedPostgres {
    private struct Row {
        let transaction: UInt64
        let invalidation: Invalidation
    }

    private let scheduler: Scheduler
    private var versions: [CacheKey: Int64] = [:]
    private var sequence: Int64
    private var nextTransaction: UInt64 = 100
    private var inProgress: [UInt64] = []
    private var journal: [Row] = []
    private var locked: [CacheKey: [() -> Void]] = [:]
    private var events: [Int: (invalidation: Invalidation, transaction: UInt64)] = [:]
    private(set) var controlHead: Int64 = 0
    /// The last control log id that is a purge.
    private(set) var generation: Int64 = 0
    var isDown = false

    init(_ scheduler: Scheduler) {
        self.scheduler = scheduler
        // One version in a thousand is special to one of the bugs.
        self.sequence = scheduler.oneIn(4) ? 997 : scheduler.draw(1...900)
    }

    func version(_ key: CacheKey) -> Int64 { self.versions[key] ?? 0 }

    /// A user who was there before the schedule began.
    func know(_ key: CacheKey) {
        self.sequence += 1
        self.versions[key] = self.sequence
    }

    // MARK: Writes

    /// A transaction that stores an event: it waits for the row, takes a version, and is seen when it has committed.
    ///
    /// - Parameters:
    ///   - duration: From the version to the commit.
    ///   - done: Gets the invalidation and the transaction, and whether the event was stored before.
    func write(
        _ key: CacheKey,
        event: Int,
        duration: Int64,
        done: @escaping (Invalidation, UInt64, _ isDuplicate: Bool) -> Void
    ) {
        if self.locked[key] != nil {
            self.locked[key]?.append { self.write(key, event: event, duration: duration, done: done) }
            return
        }
        if let stored = self.events[event] { return done(stored.invalidation, stored.transaction, true) }
        self.locked[key] = []
        let transaction = self.nextTransaction
        self.nextTransaction += 1
        self.inProgress.append(transaction)
        self.sequence += 1
        let invalidation = Invalidation(key: key, version: max(self.version(key) + 1, self.sequence))
        self.scheduler.after(duration) {
            self.inProgress.removeAll { $0 == transaction }
            self.versions[key] = invalidation.version
            self.events[event] = (invalidation, transaction)
            self.journal.append(Row(transaction: transaction, invalidation: invalidation))
            self.scheduler.note("PostgreSQL: COMMIT of version \(invalidation.version)")
            for waiter in self.locked.removeValue(forKey: key) ?? [] { waiter() }
            done(invalidation, transaction, false)
        }
    }

    /// One more row of the control log, under its lock: ids commit in order.
    func change(isPurge: Bool) -> Int64 {
        self.controlHead += 1
        if isPurge { self.generation = self.controlHead }
        return self.controlHead
    }

    // MARK: Reads

    var position: JournalPosition {
        let xmin = self.inProgress.min() ?? self.nextTransaction
        let list = self.inProgress.map { String($0) }.joined(separator: ",")
        return JournalPosition("\(xmin):\(self.nextTransaction):\(list)")!
    }

    func page(from position: JournalPosition?) -> JournalPage {
        var invalidations: [Invalidation] = []
        for row in self.journal where !(position?.covers(row.transaction) ?? false) {
            if let place = invalidations.firstIndex(where: { $0.key == row.invalidation.key }) {
                if invalidations[place].version < row.invalidation.version { invalidations[place] = row.invalidation }
            } else {
                invalidations.append(row.invalidation)
            }
        }
        return JournalPage(invalidations: invalidations, next: self.position, controlHead: self.controlHead)
    }
}

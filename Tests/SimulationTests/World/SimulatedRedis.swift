import Caching

/// A Redis with the semantics of the scripts (`RedisAdapters/Scripts`): each is one step.
final class SimulatedRedis {
    private struct Hash {
        var floor: Int64?
        var lease: (id: String, ends: Int64)?
        var entries: [CacheField: [UInt8]] = [:]
    }

    /// All that a dump holds.
    private struct Content {
        var hashes: [CacheKey: Hash] = [:]
        var relayed: JournalPosition?
        var controlHead: Int64?
        var pass: RelayPass?
    }

    private let scheduler: Scheduler
    private let faults: SeededFaults
    private let name: String
    private var content = Content()
    private var dump = Content()
    private var histories = 1
    private var leases = 0
    /// As a replica does.
    var refusesWrites = false
    /// Confirmed, in the order of their confirmation.
    var subscribers: [SubscriptionLink] = []

    init(_ scheduler: Scheduler, faults: SeededFaults, name: String = "history") {
        self.scheduler = scheduler
        self.faults = faults
        self.name = name
    }

    // MARK: Scripts

    func read(_ key: CacheKey, _ field: CacheField) -> SharedRead {
        SharedRead(floor: self.content.hashes[key]?.floor, entry: self.content.hashes[key]?.entries[field])
    }

    func floor(_ key: CacheKey) -> Int64? { self.content.hashes[key]?.floor }

    func acquireLease(_ key: CacheKey, for duration: Int64, connection: UInt64) -> LeaseGrant {
        if let lease = self.content.hashes[key]?.lease, lease.ends > self.scheduler.now {
            return .held(.microseconds(lease.ends - self.scheduler.now))
        }
        self.leases += 1
        self.content.hashes[key, default: Hash()].lease = ("lease-\(self.leases)", self.scheduler.now + duration)
        return .granted(ComputeLease(id: "lease-\(self.leases)", connection: connection))
    }

    func renew(_ key: CacheKey, _ id: String, for duration: Int64) -> Bool {
        guard self.content.hashes[key]?.lease?.id == id else { return false }
        self.content.hashes[key]?.lease?.ends = self.scheduler.now + duration
        return true
    }

    func release(_ key: CacheKey, _ id: String) {
        if self.content.hashes[key]?.lease?.id == id { self.content.hashes[key]?.lease = nil }
    }

    func fill(_ fill: CacheFill) -> FillOutcome {
        let key = fill.place.key
        let isHeld = self.content.hashes[key]?.lease?.id == fill.lease.id
        guard isHeld || self.faults.has(.fillWithoutLease) else { return .leaseLost }
        self.content.hashes[key, default: Hash()].lease = nil
        if let floor = self.content.hashes[key]?.floor, fill.version < floor { return .belowFloor }
        self.content.hashes[key]?.floor = fill.version
        self.content.hashes[key]?.entries[fill.place.field] = fill.entry
        return .stored
    }

    func raiseFloors(_ invalidations: [Invalidation]) {
        for invalidation in invalidations {
            guard let hash = self.content.hashes[invalidation.key] else { continue }
            let isRaised = hash.floor.map {
                self.faults.has(.minForMax) ? $0 > invalidation.version : $0 < invalidation.version
            }
            guard isRaised ?? true else { continue }
            self.content.hashes[invalidation.key]?.floor = invalidation.version
            self.content.hashes[invalidation.key]?.lease = nil
        }
    }

    func heartbeat(_ heartbeat: Heartbeat, from node: SubscriptionLink) -> HeartbeatReply {
        if self.subscribers.contains(where: { $0 === node }) { node.transmit(.heartbeat(heartbeat)) }
        return HeartbeatReply(
            relayed: self.content.relayed,
            controlHead: self.content.controlHead,
            milliseconds: 1_780_000_000_000 + self.scheduler.now / 1_000,
            history: DataHistory(id: "\(self.name)-\(self.histories)", offset: 0),
            pass: self.content.pass
        )
    }

    func publish(_ messages: [BusMessage]) {
        for subscriber in self.subscribers {
            for message in messages { subscriber.transmit(.message(message)) }
        }
    }

    var relayed: JournalPosition? { self.content.relayed }

    func setRelayed(_ position: JournalPosition, controlHead: Int64, pass: RelayPass? = nil) {
        self.content.relayed = position
        self.content.controlHead = controlHead
        if let pass { self.content.pass = pass }
    }

    // MARK: What happens to it

    func saveDump() { self.dump = self.content }

    /// Older data takes the place of what there is; a history of its own begins.
    func goBack() {
        self.content = self.dump
        self.histories += 1
    }

    /// A replica of it that is made a primary, which does not end this one.
    ///
    /// - Parameter isLate: Whether it lacks what came since the dump.
    func promoted(_ name: String, isLate: Bool) -> SimulatedRedis {
        let other = SimulatedRedis(self.scheduler, faults: self.faults, name: name)
        other.content = isLate ? self.dump : self.content
        other.dump = self.dump
        return other
    }

    func flush() { self.content = Content() }

    func startEmpty() {
        self.content = Content()
        self.histories += 1
    }

    func evict(_ key: CacheKey) { self.content.hashes[key] = nil }
}

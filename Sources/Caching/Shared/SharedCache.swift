/// Why L2 or the bus could not be used. Nobody is shown this: a reader computes, a writer waits for the relay.
public enum SharedCacheError: Error, Sendable, Equatable {
    /// Not connected, or the connection broke before an answer came.
    case unavailable
    /// No answer in time; the call may still run.
    case timedOut
    /// The connection is not the one the call was bound to.
    case connectionChanged
    /// The store answered with an error.
    case refused(String)
}

/// The name of one entry: whose it is, and which of theirs.
public struct CachePlace: Hashable, Sendable {
    /// Whose.
    public let key: CacheKey
    /// Which.
    public let field: CacheField

    /// A place of these parts.
    public init(key: CacheKey, field: CacheField) {
        self.key = key
        self.field = field
    }
}

/// What L2 holds of a key: one `HMGET`.
public struct SharedRead: Sendable {
    /// The lowest version that may be served; nil means unknown, never zero.
    public let floor: Int64?
    /// The entry's bytes.
    public let entry: [UInt8]?

    /// A read of these parts.
    public init(floor: Int64?, entry: [UInt8]?) {
        self.floor = floor
        self.entry = entry
    }
}

/// The right to fill one key, bound to the connection it was taken over.
public struct ComputeLease: Sendable, Equatable {
    /// A random id that nobody else has.
    public let id: String
    /// The number of the connection session it was taken over.
    public let connection: UInt64

    /// A lease of these parts.
    public init(id: String, connection: UInt64) {
        self.id = id
        self.connection = connection
    }
}

/// The answer to asking for a compute lease.
public enum LeaseGrant: Sendable, Equatable {
    case granted(ComputeLease)
    /// Somebody else computes, at most for this long.
    case held(Duration)
}

/// The answer to a fill.
public enum FillOutcome: String, Sendable, CaseIterable {
    case stored
    /// The hash does not hold the lease any more: it was taken over, invalidated or lost.
    case leaseLost = "lease"
    /// The version is below the floor.
    case belowFloor = "floor"
}

/// An entry that is to be stored under a lease.
public struct CacheFill: Sendable {
    /// Where.
    public let place: CachePlace
    /// The entry's bytes.
    public let entry: [UInt8]
    /// The entry's version; the floor is raised to it.
    public let version: Int64
    /// The right to do so; it ends with the fill.
    public let lease: ComputeLease
    /// How long the entry is kept.
    public let keepFor: Duration

    /// A fill of these parts.
    public init(place: CachePlace, entry: [UInt8], version: Int64, lease: ComputeLease, keepFor: Duration) {
        self.place = place
        self.entry = entry
        self.version = version
        self.lease = lease
        self.keepFor = keepFor
    }
}

/// A key and the version below which nothing of it may be served.
public struct Invalidation: Sendable, Equatable {
    /// Whose entries.
    public let key: CacheKey
    /// The lowest version that may still be served.
    public let version: Int64

    /// An invalidation of a key.
    public init(key: CacheKey, version: Int64) {
        self.key = key
        self.version = version
    }
}

/// L2: one hash per key, with floor, lease and entries (coherence, section 2).
public protocol SharedCache: Sendable {
    /// Floor and entry of a key.
    func read(_ key: CacheKey, _ field: CacheField) async throws(SharedCacheError) -> SharedRead
    /// Floor and entry of many places, in their order, in one round trip.
    func read(_ places: [CachePlace]) async throws(SharedCacheError) -> [SharedRead]
    /// The floor alone.
    func floor(of key: CacheKey) async throws(SharedCacheError) -> Int64?
    /// The floors of many keys, in their order, in one round trip.
    func floors(of keys: [CacheKey]) async throws(SharedCacheError) -> [Int64?]
    /// Takes the compute lease under a fresh random id, or says how long another runs.
    func acquireLease(on key: CacheKey, for duration: Duration) async throws(SharedCacheError) -> LeaseGrant
    /// Takes the compute leases of many keys, in their order, in one round trip.
    func acquireLeases(on keys: [CacheKey], for duration: Duration) async throws(SharedCacheError) -> [LeaseGrant]
    /// Stores an entry under a lease, over the lease's own connection, and raises the floor to its version. The lease ends.
    func fill(_ fill: CacheFill) async throws(SharedCacheError) -> FillOutcome
    /// Stores many entries whose leases are of one connection, in their order, in one round trip.
    func fill(_ fills: [CacheFill]) async throws(SharedCacheError) -> [FillOutcome]
    /// Lets leases of one connection run for this long from now on, over that connection, in one round trip; whether each is
    /// still held.
    func renew(
        _ leases: [(lease: ComputeLease, key: CacheKey)],
        for duration: Duration
    ) async throws(SharedCacheError) -> [Bool]
    /// Gives a lease back that will not be used.
    func release(_ lease: ComputeLease, on key: CacheKey) async throws(SharedCacheError)
    /// Raises floors by max and clears the leases; returns when every one is done.
    /// With a connection's number, over that one or not at all.
    func raiseFloors(_ invalidations: [Invalidation], on connection: UInt64?) async throws(SharedCacheError)
}

/// What goes over the bus: scopes, ids and versions, never values.
public enum BusMessage: Sendable, Equatable {
    /// Entries of a key below a version are void.
    case invalidation(Invalidation)
    /// The control log has grown.
    case control
}

/// What the subscription delivers, in wire order.
public enum BusEvent: Sendable, Equatable {
    /// Every channel is confirmed; the session's number is higher than any before.
    case began(session: UInt64)
    case message(BusMessage)
    /// A heartbeat of this node came back.
    case heartbeat(Heartbeat)
    case ended(session: UInt64)
}

/// A heartbeat: only the exact one renews the lease.
public struct Heartbeat: Sendable, Hashable {
    /// The subscription session it was sent in.
    public let session: UInt64
    /// Its number in that session.
    public let number: UInt64

    /// A heartbeat of a session.
    public init(session: UInt64, number: UInt64) {
        self.session = session
        self.number = number
    }
}

/// What the heartbeat script returns on the command connection.
public struct HeartbeatReply: Sendable, Equatable {
    /// How far the relay has brought the journal; nil: Redis does not know.
    public let relayed: JournalPosition?
    /// The head of the control log at the relay's last pass; nil: Redis does not know.
    public let controlHead: Int64?
    /// Redis time in milliseconds since 1970.
    public let milliseconds: Int64
    /// The history of the data; nil: the server does not tell, or is no primary.
    public let history: DataHistory?
    /// The relay's last pass over this Redis; nil: Redis does not know.
    public let pass: RelayPass?

    /// A reply of these parts.
    public init(
        relayed: JournalPosition?,
        controlHead: Int64?,
        milliseconds: Int64,
        history: DataHistory? = nil,
        pass: RelayPass? = nil
    ) {
        self.relayed = relayed
        self.controlHead = controlHead
        self.milliseconds = milliseconds
        self.history = history
        self.pass = pass
    }
}

/// The bus between nodes: publishing on the command connection, listening on one of its own.
public protocol InvalidationBus: Sendable {
    /// Publishes messages in order; returns when the last has been delivered to the server's subscribers' queues.
    /// With a connection's number, over that one or not at all.
    func publish(_ messages: [BusMessage], on connection: UInt64?) async throws(SharedCacheError)
    /// Runs the heartbeat script on the command connection.
    func send(_ heartbeat: Heartbeat) async throws(SharedCacheError) -> HeartbeatReply
    /// Applies everything the subscription hears, in wire order, one after the other, until cancelled. Called once. What
    /// waits to be applied is bounded: when it is too much, the session ends, and nothing is left out in silence.
    func listen(_ apply: (BusEvent) -> Void) async
    /// Closes the subscription's connection, so that a new session begins.
    func restartSession()
}

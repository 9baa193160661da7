/// What L1 is stamped with, and how that outlives the bus (coherence, section 6), as a state machine.
///
/// A *stamp* names a run of time in which this node missed no invalidation. It begins with a session of the bus, and does not
/// have to end with it: the node then reads the journal in PostgreSQL from its *anchor*, a position of which every row is known
/// to be applied here. A poll that began at a time and has been applied proves that every write committed before that time is
/// applied: a freshness lease from then, as a heartbeat gives. What was stamped before, by whatever session, is still good.
///
/// - The anchor is the relayed position that a heartbeat returned, once the applier has reached that heartbeat: the relay
///   published every row of it before it wrote it, so those are ahead of the heartbeat. A head of the journal would not do: what
///   is committed need not be published yet, and never will be if Redis dies now. Later each applied poll is the anchor.
/// - A new session of the bus vouches for the stamp only once a poll that began after its confirmation is applied: what was
///   committed earlier is in the poll, what is committed later is published in the session.
/// - A poll that left rows out, or had no position to begin at, begins a new stamp: L1 is verified, as after a loss without an
///   anchor.
struct JournalSession: Sendable {
    typealias Instant = ContinuousClock.Instant

    /// A poll that is under way.
    struct Poll: Sendable {
        /// nil: only the journal's head is to be read.
        let position: JournalPosition?
        let begunAt: Instant
        fileprivate let generation: UInt64
        /// The session of the bus that was confirmed before the poll began.
        fileprivate let session: UInt64?
    }

    /// What proves the freshness of this node at a moment.
    enum Proof: String, Sendable, CaseIterable {
        case bus, journal, none
    }

    /// Stamps that begin with a poll are numbered apart from the sessions of the bus.
    private static let ownStamps: UInt64 = 1 << 63
    /// Heartbeats that wait for one of their two ways back.
    private static let pairs = 8

    let duration: Duration
    /// How long the bus may be silent before the journal is read.
    let patience: Duration
    /// How old a position may be that is read from, which is less than the journal is kept.
    let memory: Duration

    /// What entries are stamped with; nil: nothing is written.
    private(set) var stamp: UInt64?
    /// The last begin of a poll that proves freshness, or what the bus had proved when it was lost.
    private(set) var provenAt: Instant?

    private var anchor: (position: JournalPosition, since: Instant)?
    private var session: UInt64?
    /// Whether the session vouches for the stamp.
    private var isJoined = false
    private var reached: UInt64 = 0
    private var replied: [(number: UInt64, position: JournalPosition)] = []
    private var generation: UInt64 = 0
    private var begun: UInt64 = 0

    init(duration: Duration, patience: Duration, memory: Duration = .seconds(24 * 3_600)) {
        self.duration = duration
        self.patience = patience
        self.memory = memory
    }

    // MARK: What it says

    /// Whether polls alone prove that the node is fresh.
    func isProven(at now: Instant) -> Bool {
        self.provenAt.map { now < $0.advanced(by: self.duration) } ?? false
    }

    /// What proves at a moment that everything with the stamp may be served without asking.
    func proof(at now: Instant, lease: FreshnessLease) -> Proof {
        guard self.stamp != nil else { return .none }
        if self.isJoined, lease.isLive(at: now) { return .bus }
        return self.isProven(at: now) ? .journal : .none
    }

    /// Whether the journal has to be read.
    ///
    /// - Parameter broughtAt: Until when the bus is known to have brought everything in this session.
    func isDue(at now: Instant, broughtAt: Instant?) -> Bool {
        guard self.isJoined, let broughtAt else { return true }
        return now - broughtAt >= self.patience
    }

    // MARK: The bus

    /// The applier reached the confirmation of a subscription. True: a new stamp begins with it, and L1 is to be verified.
    mutating func sessionBegan(_ session: UInt64) -> Bool {
        self.session = session
        self.reached = 0
        self.replied = []
        guard self.stamp == nil || self.anchor == nil else {
            self.isJoined = false
            return false
        }
        self.begin(session)
        self.isJoined = true
        return true
    }

    /// The subscription connection is lost, ahead of what the applier has not reached.
    ///
    /// - Parameter provenAt: What the bus had proved. It stays true for its time.
    mutating func sessionEnded(provenAt: Instant?) {
        let wasJoined = self.isJoined
        self.leaveBus()
        guard self.anchor != nil else { return self.end() }
        if wasJoined, let provenAt { self.prove(from: provenAt) }
    }

    /// Redis answered a heartbeat and told the position of the relay.
    mutating func heartbeatReplied(_ heartbeat: Heartbeat, relayed: JournalPosition?, at now: Instant) {
        guard let relayed, heartbeat.session == self.session else { return }
        if heartbeat.number <= self.reached {
            if self.isJoined { self.advance(to: relayed, at: now) }
        } else {
            if self.replied.count >= Self.pairs { self.replied.removeFirst() }
            self.replied.append((heartbeat.number, relayed))
        }
    }

    /// The applier reached a heartbeat.
    mutating func heartbeatReached(_ heartbeat: Heartbeat, at now: Instant) {
        guard heartbeat.session == self.session else { return }
        self.reached = max(self.reached, heartbeat.number)
        let behind = self.replied.filter { $0.number <= self.reached }
        self.replied.removeAll { $0.number <= self.reached }
        guard self.isJoined else { return }
        for (_, position) in behind { self.advance(to: position, at: now) }
    }

    /// The data of Redis is another's, as it may be for messages: the session vouches for nothing before the next poll.
    mutating func sessionDoubted() { self.isJoined = false }

    // MARK: The journal

    /// The journal is about to be read.
    mutating func pollBegan(at now: Instant) -> Poll {
        let isOld = self.anchor.map { now - $0.since > self.memory } ?? true
        return Poll(
            position: isOld ? nil : self.anchor?.position,
            begunAt: now,
            generation: self.generation,
            session: self.session
        )
    }

    /// What a poll read is applied to L1. True: a new stamp begins with it, and L1 is to be verified.
    ///
    /// - Parameters:
    ///   - next: The snapshot that was read.
    ///   - isWhole: Whether it was everything after the poll's position.
    ///   - isControlCurrent: Whether the control log was read after the poll began, and is not known to be ahead.
    mutating func pollApplied(_ poll: Poll, next: JournalPosition, isWhole: Bool, isControlCurrent: Bool) -> Bool {
        guard poll.generation == self.generation else { return false }
        let isNew = poll.position == nil || !isWhole
        if isNew {
            self.begun += 1
            self.begin(Self.ownStamps | self.begun)
        }
        self.advance(to: next, at: poll.begunAt)
        if isControlCurrent { self.prove(from: poll.begunAt) }
        if self.session != nil, self.session == poll.session { self.isJoined = true }
        return isNew
    }

    /// The control log is ahead of what is applied here.
    mutating func controlBehind() { self.provenAt = nil }

    /// Nothing that is stamped can be believed, nor any position: another incarnation of the database, or data in Redis that
    /// went back without a connection being lost.
    mutating func broken() {
        self.leaveBus()
        self.end()
    }

    // MARK: Steps

    private mutating func leaveBus() {
        self.session = nil
        self.isJoined = false
        self.replied = []
    }

    private mutating func begin(_ stamp: UInt64) {
        self.end()
        self.stamp = stamp
    }

    private mutating func end() {
        self.generation += 1
        self.stamp = nil
        self.provenAt = nil
        self.anchor = nil
    }

    private mutating func prove(from instant: Instant) {
        self.provenAt = max(self.provenAt ?? instant, instant)
    }

    /// Takes a position of which every row is applied, if it is further than the one that is held.
    private mutating func advance(to position: JournalPosition, at now: Instant) {
        if let anchor, anchor.position == position || !position.reaches(anchor.position) { return }
        self.anchor = (position, now)
    }
}

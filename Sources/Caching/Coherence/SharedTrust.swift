/// Whether what L2 says can be believed (coherence, section 6).
///
/// Redis may come back with older data: floors that were raised are gone. The relayed position goes back with them, and the
/// relay raises again what came after it. So whenever the data may have gone back, or a floor could not be raised (a connect,
/// a time-out, a refused write, a position that is gone or lower than before), L2 is not trusted until the relay's position
/// covers the journal as it was *after* that. And trust is a lease itself: it needs a heartbeat that Redis took less than
/// a lease ago, because a Redis that refuses writes goes on answering reads with floors nobody could raise. Without trust
/// every entry is checked against the version in PostgreSQL.
///
/// What L1 holds under the freshness lease does not come into this where data is merely *gone*: the lease is proved by what
/// was published, not by what is stored. It does where data went *back*. A fail-over or a replica that was a primary for a
/// while may have lost messages, too, on connections that were never lost; and what was read from older data before anybody
/// noticed may have been promoted. A position that is gone, in a history that goes on, is of the first kind: nothing was
/// lost but keys. Everything else counts as the second.
struct SharedTrust: Sendable, Equatable {
    typealias Instant = ContinuousClock.Instant

    let duration: Duration
    private var isProven = false
    /// When the last heartbeat that Redis took was sent.
    private(set) var takenAt: Instant?
    private(set) var generation: UInt64 = 0
    private var target: JournalPosition?
    /// The last position that was told; outlives a loss of keys, so that what is told next is held against it.
    private var lastRelayed: JournalPosition?
    private var isEmptied = false
    private var lastHistory: DataHistory?
    /// Whether the connection was lost since the last heartbeat that Redis took.
    private var isApart = false

    init(duration: Duration) {
        self.duration = duration
    }

    /// What a heartbeat showed of the data.
    enum Finding: Sendable, Equatable {
        case asBefore
        /// Keys are gone: L2 is not trusted, what was proved by messages stands.
        case emptied
        /// The data is, or may be, older than it was: the session must be renewed.
        case wentBack
        /// The same, but the connection had been lost before: nothing that was read since was believed.
        case replaced
    }

    /// What must be done for trust to come back.
    enum Need: Sendable, Equatable {
        case nothing
        /// Read the journal's head and report it with this number.
        case journalHead(generation: UInt64)
    }

    func isTrusted(at now: Instant) -> Bool { self.isProven && self.isReachable(at: now) }

    /// Whether Redis has taken a write within the last lease.
    func isReachable(at now: Instant) -> Bool {
        self.takenAt.map { now < $0.advanced(by: self.duration) } ?? false
    }

    /// A connection broke, a call timed out, or a write was refused.
    mutating func doubted() {
        self.isProven = false
        self.generation += 1
        self.target = nil
    }

    /// The connection to Redis is lost, or there is a new one.
    mutating func connectionChanged() {
        self.isApart = true
        self.doubted()
    }

    /// This node is about to apply rows of the journal that it read itself, up to a position, and the relay may be behind: a
    /// floor that is still to be raised was never heard of in a message.
    ///
    /// - Parameter generation: When the read began; a doubt since then is about more than this position tells.
    mutating func journalApplying(upTo position: JournalPosition, since generation: UInt64) {
        let isUndoubted = generation == self.generation
        self.doubted()
        if isUndoubted { self.target = position }
    }

    /// The journal's head, read after the doubt of that generation.
    mutating func headRead(_ head: JournalPosition, generation: UInt64) {
        guard generation == self.generation, !self.isProven else { return }
        self.target = head
    }

    /// Redis took a heartbeat and told how far the relay is, and of what history that is.
    mutating func heartbeatTaken(sentAt: Instant, relayed: JournalPosition?, history: DataHistory?) -> Finding {
        self.takenAt = max(self.takenAt ?? sentAt, sentAt)
        var finding: Finding =
            switch (self.lastRelayed, relayed) {
            case (nil, _): .asBefore
            case (.some, nil) where self.goesOn(in: history): self.isEmptied ? .asBefore : .emptied
            case (.some, nil): .wentBack
            case (.some(let last), .some(let now)): now.reaches(last) ? .asBefore : .wentBack
            }
        self.isEmptied = relayed == nil
        if relayed != nil || finding == .wentBack { self.lastRelayed = relayed }
        self.lastHistory = history
        if finding != .asBefore { self.doubted() }
        if finding == .wentBack, self.isApart { finding = .replaced }
        self.isApart = false
        if !self.isProven, let target, let relayed, relayed.reaches(target) { self.isProven = true }
        return finding
    }

    private func goesOn(in history: DataHistory?) -> Bool {
        guard let history, let lastHistory else { return false }
        return history.continues(lastHistory)
    }

    var need: Need {
        self.isProven || self.target != nil ? .nothing : .journalHead(generation: self.generation)
    }
}

/// Whether what L2 says can be believed (coherence, section 6).
///
/// Redis may come back with older data: floors that were raised are gone. The relayed position goes back with them, and the
/// relay raises again what came after it. So whenever the data may have gone back, or a floor could not be raised (a connect,
/// a time-out, a refused write, a position that is gone or lower than before), L2 is not trusted until the relay's position
/// covers the journal as it was *after* that. And trust is a lease itself: it needs a heartbeat that Redis took less than
/// a lease ago, because a Redis that refuses writes goes on answering reads with floors nobody could raise. Without trust
/// every entry is checked against the version in PostgreSQL.
struct SharedTrust: Sendable, Equatable {
    typealias Instant = ContinuousClock.Instant

    let duration: Duration
    private var isProven = false
    /// When the last heartbeat that Redis took was sent.
    private(set) var takenAt: Instant?
    private var generation: UInt64 = 0
    private var target: JournalPosition?
    private var lastRelayed: JournalPosition?

    init(duration: Duration) {
        self.duration = duration
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

    /// The journal's head, read after the doubt of that generation.
    mutating func headRead(_ head: JournalPosition, generation: UInt64) {
        guard generation == self.generation, !self.isProven else { return }
        self.target = head
    }

    /// Redis took a heartbeat and told how far the relay is. True: the data went back, and the session should be renewed.
    mutating func heartbeatTaken(sentAt: Instant, relayed: JournalPosition?) -> Bool {
        self.takenAt = max(self.takenAt ?? sentAt, sentAt)
        let wentBack =
            switch (self.lastRelayed, relayed) {
            case (nil, _): false
            case (.some, nil): true
            case (.some(let last), .some(let now)): !now.reaches(last)
            }
        self.lastRelayed = relayed
        if wentBack { self.doubted() }
        if !self.isProven, let target, let relayed, relayed.reaches(target) { self.isProven = true }
        return wentBack
    }

    var need: Need {
        self.isProven || self.target != nil ? .nothing : .journalHead(generation: self.generation)
    }
}

/// The freshness lease of one node, as a state machine (coherence, section 3).
///
/// A lease says: every invalidation that was acknowledged before some moment has been applied here. That moment is the
/// local send time of a heartbeat, and it is proved by the heartbeat itself: it went out on the command connection and came
/// back on the subscription connection, behind every message that Redis had published before it. So the lease runs from
/// the send time, it is renewed where the applier *reaches* the heartbeat, and only by the exact one of the current session.
///
/// Control changes are read from PostgreSQL, off the FIFO. Each trigger (a session's begin, a control message) takes a
/// ticket; a heartbeat that is reached while tickets are open waits until a read begun after the last of them is applied.
struct FreshnessLease: Sendable {
    typealias Instant = ContinuousClock.Instant

    let duration: Duration
    /// The subscription session entries are stamped with; nil from the loss until the next confirmation.
    private(set) var session: UInt64?
    /// The last send time that proves freshness; nil: no lease.
    private(set) var provenAt: Instant?

    /// The last send time of a heartbeat that came back in this session, whatever it proves.
    private(set) var heardAt: Instant?

    private var endedThrough: UInt64 = 0
    private var heartbeats: UInt64 = 0
    private var inFlight: [(heartbeat: Heartbeat, sentAt: Instant)] = []
    private(set) var openTicket: UInt64 = 0
    private(set) var appliedTicket: UInt64 = 0
    private var waiting: (sentAt: Instant, ticket: UInt64)?

    init(duration: Duration) {
        self.duration = duration
    }

    func isLive(at now: Instant) -> Bool {
        guard let provenAt else { return false }
        return now < provenAt.advanced(by: self.duration)
    }

    /// The applier reached the confirmation of a subscription. The control log must be read before a lease may begin.
    mutating func sessionBegan(_ session: UInt64) {
        guard session > self.endedThrough else { return }
        self.session = session
        self.provenAt = nil
        self.heardAt = nil
        self.waiting = nil
        self.inFlight.removeAll()
        self.heartbeats = 0
        self.openTicket += 1
    }

    /// The subscription connection was lost; takes effect at once, not in FIFO order.
    mutating func sessionEnded(_ session: UInt64) {
        self.endedThrough = max(self.endedThrough, session)
        guard let current = self.session, current <= session else { return }
        self.session = nil
        self.provenAt = nil
        self.heardAt = nil
        self.waiting = nil
        self.inFlight.removeAll()
    }

    /// A heartbeat is about to be sent; nil while there is no session.
    mutating func heartbeatSending(at now: Instant) -> Heartbeat? {
        guard let session else { return nil }
        self.heartbeats += 1
        let heartbeat = Heartbeat(session: session, number: self.heartbeats)
        // Older ones that never came back must not pile up; eight outlast any lease.
        if self.inFlight.count >= 8 { self.inFlight.removeFirst() }
        self.inFlight.append((heartbeat, now))
        return heartbeat
    }

    /// The applier reached a heartbeat that came back.
    mutating func heartbeatReached(_ heartbeat: Heartbeat) {
        guard heartbeat.session == self.session,
            let index = self.inFlight.firstIndex(where: { $0.heartbeat == heartbeat })
        else { return }
        let sentAt = self.inFlight[index].sentAt
        self.inFlight.removeSubrange(...index)
        self.heardAt = max(self.heardAt ?? sentAt, sentAt)
        if self.isControlCurrent {
            self.renew(from: sentAt)
        } else {
            self.waiting = (sentAt, self.openTicket)
        }
    }

    /// The applier reached a control message.
    mutating func controlChanged() {
        self.openTicket += 1
    }

    /// The control log is ahead of what is applied here, whoever said so: nothing is proved fresh until it is read.
    mutating func controlBehind() {
        if self.isControlCurrent { self.openTicket += 1 }
        self.provenAt = nil
    }

    /// Whether every change of the control log that was heard of has been read.
    var isControlCurrent: Bool { self.appliedTicket >= self.openTicket }

    /// A read of the control log, begun when `ticket` was the open one, has been applied.
    mutating func controlApplied(ticket: UInt64) {
        self.appliedTicket = max(self.appliedTicket, ticket)
        guard let waiting, self.appliedTicket >= waiting.ticket else { return }
        self.waiting = nil
        // A change that came behind this heartbeat is for the next one: the heartbeat proves what was before it.
        self.renew(from: waiting.sentAt)
    }

    private mutating func renew(from sentAt: Instant) {
        if let provenAt, provenAt >= sentAt { return }
        self.provenAt = sentAt
    }
}

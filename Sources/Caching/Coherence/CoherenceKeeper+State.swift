import Metrics

extension CoherenceKeeper {
    /// What is behind the keeper's lock.
    struct State {
        var lease: FreshnessLease
        var trust: SharedTrust
        /// Redis time minus the time since `origin`, in milliseconds; nil until the first heartbeat.
        var redisOffset: Int64?
        var relayed: JournalPosition?
        /// The relay's last pass that was told, and the heartbeat by which it was first; nil: none in this session.
        var pass: (name: String, toldAt: Instant)?
        /// When the subscription last proved to be alive; nil without a session.
        var heardAt: Instant?
        var journal: JournalSession
        var beliefs = SharedBeliefs()
        /// When the command connection was lost that there has been none since; nil: there is one, or never was.
        var apartSince: Instant?
        /// Changes of the command connection, and when the last one was; nil: there was none.
        var connections: (count: UInt64, changedAt: Instant?) = (0, nil)
        /// Whether a heartbeat that was sent over this connection came back on the subscription: both reach the same Redis.
        var isPaired = true
        /// Until when the fleet knows of this node, and waits for it; nil: it need not.
        var admittedUntil: Instant?
        /// The first read of the control log that was begun when the fleet knew of this node.
        var admissionTicket: UInt64 = 0

        /// What proves at a moment that this node is fresh.
        func proof(at now: Instant) -> JournalSession.Proof {
            if let admittedUntil, now >= admittedUntil { return .none }
            guard self.lease.appliedTicket >= self.admissionTicket else { return .none }
            return self.journal.proof(at: now, lease: self.lease)
        }

        mutating func sessionEnded(_ session: UInt64) {
            let provenAt = self.lease.provenAt
            let hadSession = self.lease.session != nil
            self.lease.sessionEnded(session)
            if self.lease.session == nil { self.pass = nil }
            if hadSession, self.lease.session == nil { self.journal.sessionEnded(provenAt: provenAt) }
        }

        /// Until when the bus is known to bring what is committed: the last heartbeat that came back, if the relay has passed
        /// over the same Redis since; nil: it is not known to at all.
        ///
        /// Both ways of a node may lead to a primary that the rest of the fleet has left. Heartbeats come back from there; only
        /// the relay's passes do not go on, where the relay is elsewhere.
        var broughtAt: Instant? {
            guard let heardAt = self.lease.heardAt, let pass = self.pass else { return nil }
            return min(heardAt, pass.toldAt)
        }

        mutating func controlBehind() {
            self.lease.controlBehind()
            self.journal.controlBehind()
        }
    }
}

/// What the keeper counts.
struct CoherenceMetrics: Sendable {
    /// A hit: covered by the lease; a miss: it had to be read for the request.
    let control = CacheMetrics(.control)
    let messages = Counter(label: "vireo_bus_messages_applied_total")
    let heartbeatsFailed = Counter(label: "vireo_heartbeats_failed_total")
    let controlReadsFailed = Counter(label: "vireo_control_reads_failed_total")
    let leaseAge = Gauge(label: "vireo_lease_age_seconds")
    let passAge = Gauge(label: "vireo_relay_pass_age_seconds")
    let proofs = JournalSession.Proof.allCases.map {
        ($0, Gauge(label: "vireo_lease_live", dimensions: [("proof", $0.rawValue)]))
    }
    let journalPolls = Counter(label: "vireo_journal_polls_total", dimensions: [("result", "applied")])
    let journalPollsCutShort = Counter(label: "vireo_journal_polls_total", dimensions: [("result", "overflow")])
    let journalPollsFailed = Counter(label: "vireo_journal_polls_total", dimensions: [("result", "failed")])
    let journalRows = Counter(label: "vireo_journal_rows_total")
}

import Metrics

extension CoherenceKeeper {
    /// What is behind the keeper's lock.
    struct State {
        var lease: FreshnessLease
        var trust: SharedTrust
        /// Redis time by the time since `origin`.
        var sharedClock = SharedClock()
        var relayed: JournalPosition?
        /// Whether this node can read the journal itself, and so need not take the bus at its word; a seeded fault says no.
        let followsJournal: Bool
        var passes = RelayPasses()
        /// Whether the last reading of the journal failed, and since when one is under way.
        var reading: (hasFailed: Bool, since: Instant?) = (false, nil)
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
            let proof = self.journal.proof(at: now, lease: self.lease)
            guard proof == .bus, !self.isBrought(at: now) else { return proof }
            return self.journal.isProven(at: now) ? .journal : .none
        }

        /// Whether the bus brings what is committed, and not only what is published where this node listens; where neither the
        /// relay nor the journal can say, it is taken to.
        private func isBrought(at now: Instant) -> Bool {
            if !self.followsJournal || self.reading.hasFailed { return true }
            if let since = self.reading.since, now - since >= self.journal.duration / 10 { return true }
            return self.hasBrought(at: now)
        }

        private func hasBrought(at now: Instant) -> Bool {
            self.passes.broughtThrough.map { now < $0.advanced(by: self.journal.duration) } ?? false
        }

        /// The relay may have been heard of: while it is, a reading that failed before says nothing of the next.
        mutating func passesHeard(at now: Instant) {
            if self.hasBrought(at: now) { self.reading.hasFailed = false }
        }

        mutating func sessionEnded(_ session: UInt64) {
            var provenAt = self.lease.provenAt
            if self.followsJournal, !self.reading.hasFailed, let proven = provenAt {
                provenAt = self.passes.broughtThrough.map { min(proven, $0) }
            }
            let hadSession = self.lease.session != nil
            self.lease.sessionEnded(session)
            guard hadSession, self.lease.session == nil else { return }
            self.passes.sessionEnded()
            self.journal.sessionEnded(provenAt: provenAt)
        }

        /// Until when the bus is known to bring what is committed, for whoever decides when to read the journal: what the relay
        /// has brought is known two heartbeats late, and counts for as much longer; nil: it is not known at all.
        var broughtAt: Instant? {
            guard self.followsJournal else { return self.lease.heardAt }
            guard let heardAt = self.lease.heardAt, let brought = self.passes.broughtThrough else { return nil }
            return min(heardAt, brought.advanced(by: self.journal.duration / 4))
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

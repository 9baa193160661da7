import Logging
import Metrics
import Synchronization

/// The journal in PostgreSQL, read by this node itself while the bus proves nothing, and what becomes of L1 meanwhile.
extension CoherenceKeeper {
    /// Whether the journal alone proves that this node is fresh: what is computed under it may be held without L2's consent.
    var isFollowingJournal: Bool {
        let now = self.now()
        return self.state.withLock { $0.journal.isProven(at: now) }
    }

    /// Whether L2 is believed, of a key that is about to be written to L1 on its word.
    func believesShared(of key: CacheKey) -> Bool {
        let now = self.now()
        return self.state.withLock { state in
            guard state.trust.isTrusted(at: now) else { return false }
            if self.tail != nil { state.beliefs.append(key) }
            return true
        }
    }

    /// The command connection is lost, or there is a new one: L2 is doubted, and what nobody has confirmed since is dropped.
    public func sharedConnectionChanged(isConnected: Bool) {
        let now = self.now()
        let unconfirmed = self.state.withLock { state in
            state.apartSince = isConnected ? nil : state.apartSince ?? now
            state.connections = (state.connections.count + 1, now)
            state.isPaired = false
            state.trust.connectionChanged()
            let keys = state.beliefs.take()
            if keys == nil { state.journal.broken() }
            return keys
        }
        for key in unconfirmed ?? [] { self.local.invalidate(key, below: .max) }
        if unconfirmed == nil { self.bus.restartSession() }
        self.beatSoon.yield()
    }

    /// The database is another incarnation: no stamp and no position means anything.
    public func incarnationChanged() {
        self.state.withLock { state in
            state.trust.doubted()
            state.journal.broken()
        }
        self.bus.restartSession()
    }

    /// Has the journal read whenever it may be due; it is read at once when a session of the bus ends or begins.
    func followJournal() async {
        guard self.tail != nil else { return }
        while !Task.isCancelled {
            self.pollSoon.yield()
            try? await Task.sleep(for: self.settings.journalInterval)
        }
    }

    /// Reads and applies the journal, if the bus proves nothing, or the relay does not pass where this node listens.
    ///
    /// - Parameter readControl: Reads and applies the control log, and says whether that was done; nil: together with whoever
    ///   waits for it.
    func pollJournal(readControl: (() async -> Bool)? = nil) async {
        let begunAt = self.now()
        guard let tail,
            self.state.withLock({ $0.journal.isDue(at: begunAt, broughtAt: $0.broughtAt) })
        else { return }
        self.state.withLock { $0.reading.since = begunAt }
        let isRead = await self.readJournal(tail, begunAt, readControl)
        self.state.withLock { $0.reading = (hasFailed: !isRead, since: nil) }
        if !isRead { self.metrics.journalPollsFailed.increment() }
    }

    /// Whether it could be read.
    private func readJournal(
        _ tail: any JournalTail,
        _ begunAt: Instant,
        _ readControl: (() async -> Bool)?
    ) async -> Bool {
        // Ahead of the journal: in another incarnation of the database the position means nothing.
        let isControlRead = if let readControl { await readControl() } else { await self.checks.wait(since: begunAt) }
        guard isControlRead else { return false }
        let (poll, generation) = self.state.withLock { ($0.journal.pollBegan(at: begunAt), $0.trust.generation) }
        do {
            let page = try await tail.poll(from: poll.position, limit: self.settings.journalRows)
            self.apply(page, of: poll, doubtsSince: generation)
            return true
        } catch {
            self.log.debug("the journal cannot be followed", metadata: ["error": "\(error)"])
            return false
        }
    }

    private func apply(_ page: JournalPoll, of poll: JournalSession.Poll, doubtsSince generation: UInt64) {
        // Before the first row is applied: whoever begins after a row and reads L2 must not believe a floor that the relay has
        // still to raise.
        if poll.position == nil || !page.isWhole || !page.invalidations.isEmpty {
            self.state.withLock { $0.trust.journalApplying(upTo: page.next, since: generation) }
        }
        if page.isWhole {
            for invalidation in page.invalidations {
                self.local.invalidate(invalidation.key, below: invalidation.version)
            }
        }
        let newStamp: UInt64? = self.state.withLock { state in
            let isNew = state.journal.pollApplied(
                poll,
                next: page.next,
                isWhole: page.isWhole,
                isControlCurrent: state.lease.isControlCurrent
            )
            return isNew ? state.journal.stamp : nil
        }
        self.metrics.journalRows.increment(by: page.invalidations.count)
        (page.isWhole ? self.metrics.journalPolls : self.metrics.journalPollsCutShort).increment()
        guard let newStamp else { return }
        self.log.info("the journal is followed from its head", metadata: ["whole": "\(page.isWhole)"])
        self.sessionBegan.yield(newStamp)
    }

    /// Brings the gauges of the lease up to a moment.
    func recordLease(at now: Instant) {
        let (proof, passToldAt) = self.state.withLock { ($0.proof(at: now), $0.passes.toldAt) }
        if let passToldAt { self.metrics.passAge.record((now - passToldAt).seconds) }
        for (each, gauge) in self.metrics.proofs { gauge.record(each == proof ? 1 : 0) }
        if let age = self.leaseAge() { self.metrics.leaseAge.record(age.seconds) }
    }
}

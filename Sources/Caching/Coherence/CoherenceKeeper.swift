public import Logging
import Metrics
public import ServiceLifecycle
import Synchronization

/// Keeps one node coherent: applies what the bus says, sends heartbeats, keeps the freshness lease, the control state and the
/// trust in L2.
///
/// All bus events go through one applier in wire order; that order is what the lease proves. Everything else is off the FIFO
/// and reports to the two state machines, ``FreshnessLease`` and ``SharedTrust``, under one lock.
public final class CoherenceKeeper: Service, Sendable {
    typealias Instant = ContinuousClock.Instant

    let local: LocalCache
    /// What this node gets wrong, in a debug build.
    public var faults: SeededFaults { self.settings.faults }
    /// Stamps that began, by which L1 is to be verified; the newest if they come faster than they are read; for one reader.
    let sessions: AsyncStream<UInt64>
    let sessionBegan: AsyncStream<UInt64>.Continuation
    /// Heartbeats that are due at once, for ``run()``.
    let beats: AsyncStream<Void>
    let beatSoon: AsyncStream<Void>.Continuation
    /// Reads of the journal that may be due, for ``run()``.
    let polls: AsyncStream<Void>
    let pollSoon: AsyncStream<Void>.Continuation
    let state: Mutex<State>
    let settings: CoherenceSettings
    let bus: any InvalidationBus
    private let control: any ControlFeed
    private let journal: any Journal
    let tail: (any JournalTail)?
    let checks = ControlChecks()
    /// Writers by their transaction.
    let relayWaiters = MarkWaiters<UInt64>()
    let log: Logger
    let metrics = CoherenceMetrics()
    let now: @Sendable () -> ContinuousClock.Instant
    private let origin: Instant
    private let wallClock: @Sendable () -> Int64

    /// A keeper over the node's adapters.
    ///
    /// - Parameters:
    ///   - tail: Read while the bus proves nothing; nil: without the bus there is no lease, and no stamp outlives it.
    ///   - isAdmitted: Whether nobody waits for this node; else it has no lease before ``admitted(until:)``.
    ///   - now: The monotonic clock, which must run while the machine is suspended (CLOCK_BOOTTIME).
    ///   - wallClock: Milliseconds since 1970, used for expiries until the first heartbeat has told Redis time.
    public init(
        settings: CoherenceSettings,
        bus: any InvalidationBus,
        control: any ControlFeed,
        journal: any Journal,
        tail: (any JournalTail)? = nil,
        log: Logger,
        isAdmitted: Bool = true,
        now: @escaping @Sendable () -> ContinuousClock.Instant = { .now },
        wallClock: @escaping @Sendable () -> Int64
    ) {
        self.settings = settings
        self.bus = bus
        self.control = control
        self.journal = journal
        self.tail = tail
        self.log = log
        self.now = now
        self.wallClock = wallClock
        self.origin = now()
        self.local = LocalCache(maximumBytes: settings.localBytes)
        (self.sessions, self.sessionBegan) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
        (self.beats, self.beatSoon) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
        (self.polls, self.pollSoon) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
        // Before the lease runs out, and not for a heartbeat that is a little late.
        let patience = max(settings.lease / 2, settings.heartbeatInterval / 2 * 3)
        self.state = Mutex(
            State(
                lease: FreshnessLease(duration: settings.lease),
                trust: SharedTrust(duration: settings.lease),
                followsJournal: tail != nil && !settings.faults.has(.passUnheeded),
                journal: JournalSession(duration: settings.lease, patience: patience),
                admittedUntil: isAdmitted ? nil : self.origin
            )
        )
    }

    // MARK: What readers ask

    /// Whether the lease is live, and the stamp of entries.
    func standing() -> (isLive: Bool, session: UInt64?) {
        let now = self.now()
        return self.state.withLock { ($0.proof(at: now) != .none, $0.journal.stamp) }
    }

    /// All that a request which will not wait has to know of this node, read at once.
    public func moment() -> Moment {
        let now = self.now()
        let (isLive, session, offset, isReachable) = self.state.withLock { state in
            (
                state.proof(at: now) != .none, state.journal.stamp, state.sharedClock.offset,
                state.trust.isReachable(at: now)
            )
        }
        return Moment(
            instant: now,
            isLive: isLive,
            session: session,
            milliseconds: offset.map { $0 + (now - self.origin).milliseconds } ?? self.wallClock(),
            isSharedReachable: isReachable
        )
    }

    /// Milliseconds of Redis time now.
    public func milliseconds() -> Int64 {
        let elapsed = self.now() - self.origin
        let offset = self.state.withLock { $0.sharedClock.offset }
        return offset.map { $0 + elapsed.milliseconds } ?? self.wallClock()
    }

    /// How long ago the state of this node was proved fresh; nil without a live lease.
    public func leaseAge() -> Duration? {
        let now = self.now()
        return self.state.withLock { state in
            switch state.proof(at: now) {
            case .none: nil
            case .journal: state.journal.provenAt.map { now - $0 }
            case .bus: state.lease.provenAt.map { now - max($0, state.journal.provenAt ?? $0) }
            }
        }
    }

    /// Whether L2 is believed at the moment.
    public var isSharedTrusted: Bool {
        let now = self.now()
        return self.state.withLock { $0.trust.isTrusted(at: now) }
    }

    /// Whether Redis has taken a write of this node within the last lease.
    public var isSharedReachable: Bool {
        let now = self.now()
        return self.state.withLock { $0.trust.isReachable(at: now) }
    }

    /// Entries and bytes of L1.
    public var localUsage: (entries: Int, bytes: Int) { self.local.usage }

    /// The standing of the control state for a request that arrives now; without a lease it waits for one read.
    public func controlStanding() async -> ControlStanding {
        if self.standing().isLive {
            self.metrics.control.hits.increment()
            return .leased
        }
        self.metrics.control.misses.increment()
        return await self.checks.wait(since: self.now()) ? .checked : .unverified
    }

    /// Reads the control log once more, whatever the lease; false: it could not be read.
    public func checkControl() async -> Bool { await self.checks.wait(since: self.now()) }

    /// A call to Redis timed out or was refused, or its connection broke: L2 may lack what should have been raised.
    public func sharedDoubted() {
        self.state.withLock { $0.trust.doubted() }
    }

    /// The subscription connection is lost. Called at once by the adapter, ahead of the FIFO.
    public func subscriptionLost(session: UInt64) {
        self.state.withLock { state in
            state.sessionEnded(session)
            if self.faults.has(.sessionAtLoss) {
                state.lease.sessionBegan(session + 1)
                _ = state.journal.sessionBegan(session + 1)
            }
        }
        self.pollSoon.yield()
    }

    /// The fleet knows of this node, and waits for it where a change is to be everywhere, at least until then.
    ///
    /// Where it did not until now, there is no lease before the control log has been read again: whoever looked for nodes
    /// before did not wait for this one, and what was changed by then is in that read.
    public func admitted(until end: ContinuousClock.Instant) {
        let now = self.now()
        let wasUnknown = self.state.withLock { state in
            guard let before = state.admittedUntil else { return false }
            state.admittedUntil = end
            guard now >= before else { return false }
            state.lease.controlChanged()
            state.admissionTicket = state.lease.openTicket
            return true
        }
        if wasUnknown { self.checks.request() }
    }

    // MARK: Running

    /// Applies, beats and follows until the service is shut down.
    public func run() async throws {
        await cancelWhenGracefulShutdown {
            await withDiscardingTaskGroup { group in
                group.addTask { await self.applyEvents() }
                group.addTask { await self.beat() }
                group.addTask { for await _ in self.beats { await self.beatOnce() } }
                group.addTask { await self.checks.run { await self.readControl() } }
                group.addTask { await self.followControl() }
                group.addTask { await self.followTrust() }
                group.addTask { await self.followJournal() }
                group.addTask { for await _ in self.polls { await self.pollJournal() } }
            }
        }
        self.relayWaiters.end()
    }

    /// The one applier.
    private func applyEvents() async {
        await self.bus.listen { self.apply($0) }
    }

    func apply(_ event: BusEvent) {
        switch event {
        case .began(let session):
            let now = self.now()
            let isNewStamp = self.state.withLock { state in
                state.lease.sessionBegan(session)
                if state.lease.session == session { state.passes.sessionBegan(session) }
                state.heardAt = now
                return state.lease.session == session && state.journal.sessionBegan(session)
            }
            self.checks.request()
            self.pollSoon.yield()
            if isNewStamp { self.sessionBegan.yield(session) }
            self.log.info("subscription session began", metadata: ["session": "\(session)"])
        case .ended(let session):
            self.state.withLock { state in
                state.sessionEnded(session)
                state.heardAt = nil
            }
            self.pollSoon.yield()
            self.log.info("subscription session ended", metadata: ["session": "\(session)"])
        case .message(.invalidation(let invalidation)):
            if self.faults.has(.skipOneInAThousand), invalidation.version % 1_000 == 0 { break }
            self.local.invalidate(invalidation.key, below: invalidation.version)
            self.metrics.messages.increment()
        case .message(.control):
            self.state.withLock { $0.lease.controlChanged() }
            self.checks.request()
            self.metrics.messages.increment()
        case .heartbeat(let heartbeat):
            let now = self.now()
            self.state.withLock { state in
                state.lease.heartbeatReached(heartbeat)
                state.passes.heartbeatReached(heartbeat)
                state.passesHeard(at: now)
                if let sentAt = state.lease.heardAt, sentAt >= state.connections.changedAt ?? sentAt {
                    state.isPaired = true
                }
                if self.tail != nil { state.journal.heartbeatReached(heartbeat, at: now) }
                state.heardAt = now
            }
        }
    }

    private func beat() async {
        while !Task.isCancelled {
            await self.beatOnce()
            try? await Task.sleep(for: self.settings.heartbeatInterval)
        }
    }

    func beatOnce() async {
        let sentAt = self.now()
        let silence = self.settings.lease * 3
        let (heartbeat, mark, isSilent) = self.state.withLock { state in
            let isSilent = state.heardAt.map { sentAt - $0 > silence } ?? false
            if isSilent { state.heardAt = sentAt }
            // Without a session there is no lease to renew, but Redis is still to be heard of.
            let heartbeat = state.lease.heartbeatSending(at: sentAt) ?? Heartbeat(session: 0, number: 0)
            return (heartbeat, state.beliefs.mark, isSilent)
        }
        self.checks.expire(waitingSince: sentAt.advanced(by: Duration.zero - self.settings.heartbeatInterval * 2))
        if isSilent {
            // A connection that is half open hears nothing and is not lost by itself.
            self.log.warning("the subscription is silent; it is opened again")
            self.bus.restartSession()
        }
        self.recordLease(at: sentAt)
        do {
            let reply = try await self.bus.send(heartbeat)
            self.received(reply, to: heartbeat, sentAt: sentAt, mark: mark)
            if self.faults.has(.heartbeatApart) { self.apply(.heartbeat(heartbeat)) }
        } catch {
            self.metrics.heartbeatsFailed.increment()
            self.sharedDoubted()
            self.log.debug("heartbeat failed", metadata: ["error": "\(error)"])
        }
    }

    private func received(_ reply: HeartbeatReply, to heartbeat: Heartbeat, sentAt: Instant, mark: UInt64) {
        let sent = (sentAt - self.origin).milliseconds
        let received = (self.now() - self.origin).milliseconds
        let isBehind = (reply.controlHead ?? 0) > self.control.appliedControl
        let finding = self.state.withLock { state in
            state.sharedClock.heard(reply.milliseconds, sentAt: sent, receivedAt: received)
            state.relayed = reply.relayed
            state.passes.heartbeatReplied(heartbeat, pass: reply.pass, sentAt: sentAt)
            state.passesHeard(at: sentAt)
            if isBehind { state.controlBehind() }
            let finding = state.trust.heartbeatTaken(
                sentAt: sentAt,
                relayed: reply.relayed,
                history: reply.history
            )
            switch finding {
            case .asBefore, .emptied:
                state.beliefs.confirm(through: mark)
                if self.tail != nil {
                    state.journal.heartbeatReplied(heartbeat, relayed: reply.relayed, at: sentAt)
                }
            case .wentBack: state.journal.broken()
            case .replaced: state.journal.sessionDoubted()
            }
            return finding
        }
        if isBehind { self.checks.request() }
        if let relayed = reply.relayed { self.relayWaiters.reached { relayed.covers($0) } }
        switch finding {
        case .asBefore: break
        case .emptied: self.log.warning("Redis was emptied; L2 is verified until the journal is replayed")
        case .wentBack:
            self.log.warning("Redis holds older data than before; L1 is verified again")
            self.bus.restartSession()
        case .replaced:
            self.log.warning("Redis came back with other data; L2 is verified until the journal is replayed")
            self.bus.restartSession()
        }
    }

    /// Reads the journal's head whenever trust in L2 waits for it; apart from the heartbeats, which must not wait.
    private func followTrust() async {
        while !Task.isCancelled {
            await self.restoreTrust()
            try? await Task.sleep(for: self.settings.heartbeatInterval)
        }
    }

    func restoreTrust() async {
        guard case .journalHead(let generation) = self.state.withLock({ $0.trust.need }) else { return }
        do {
            let head = try await self.journal.head()
            self.state.withLock { $0.trust.headRead(head, generation: generation) }
        } catch {
            self.log.debug("the journal's head cannot be read", metadata: ["error": "\(error)"])
        }
    }

    private func followControl() async {
        while !Task.isCancelled {
            try? await Task.sleep(for: self.settings.controlInterval)
            self.checks.request()
        }
    }

    func readControl() async -> Bool {
        let ticket = self.state.withLock { $0.lease.openTicket }
        let start = ContinuousClock.now
        do {
            try await self.control.catchUp()
        } catch {
            self.metrics.controlReadsFailed.increment()
            self.metrics.control.errors.increment()
            self.log.warning("control log cannot be read", metadata: ["error": "\(error)"])
            return false
        }
        self.metrics.control.loadTime.recordNanoseconds((ContinuousClock.now - start).nanoseconds)
        let isWithoutLease = self.state.withLock { state in
            state.lease.controlApplied(ticket: ticket)
            return state.lease.session != nil && state.lease.provenAt == nil
        }
        // What a lease waits for now is a heartbeat; the next in turn may be a quarter of a lease away.
        if isWithoutLease { self.beatSoon.yield() }
        return true
    }
}

extension Duration {
    /// Whole milliseconds, rounded down.
    var milliseconds: Int64 {
        let (seconds, attoseconds) = self.components
        return seconds * 1_000 + attoseconds / 1_000_000_000_000_000
    }

    /// Whole nanoseconds, rounded down.
    var nanoseconds: Int64 {
        let (seconds, attoseconds) = self.components
        return seconds * 1_000_000_000 + attoseconds / 1_000_000_000
    }

    /// Seconds.
    var seconds: Double {
        let (seconds, attoseconds) = self.components
        return Double(seconds) + Double(attoseconds) / 1e18
    }
}

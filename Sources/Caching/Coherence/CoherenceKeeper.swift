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

    private struct State {
        var lease: FreshnessLease
        var trust: SharedTrust
        /// Redis time minus the time since `origin`, in milliseconds; nil until the first heartbeat.
        var redisOffset: Int64?
        var relayed: JournalPosition?
        var relayWaiters: [(transaction: UInt64, continuation: CheckedContinuation<Bool, Never>, id: UInt64)] = []
        var nextWaiter: UInt64 = 0
        /// When the subscription last proved to be alive; nil without a session.
        var heardAt: Instant?
        var stopping = false
    }

    let local: LocalCache
    /// What this node gets wrong, in a debug build.
    public var faults: SeededFaults { self.settings.faults }
    /// Sessions that began, the newest one if they come faster than they are read; for one reader.
    let sessions: AsyncStream<UInt64>
    private let sessionBegan: AsyncStream<UInt64>.Continuation
    /// Heartbeats that are due at once, for ``run()``.
    let beats: AsyncStream<Void>
    private let beatSoon: AsyncStream<Void>.Continuation
    private let state: Mutex<State>
    private let settings: CoherenceSettings
    private let bus: any InvalidationBus
    private let control: any ControlFeed
    private let journal: any Journal
    let checks = ControlChecks()
    private let log: Logger
    private let metrics = CoherenceMetrics()
    private let now: @Sendable () -> ContinuousClock.Instant
    private let origin: Instant
    private let wallClock: @Sendable () -> Int64

    /// A keeper over the node's adapters.
    ///
    /// - Parameters:
    ///   - now: The monotonic clock, which must run while the machine is suspended (CLOCK_BOOTTIME).
    ///   - wallClock: Milliseconds since 1970, used for expiries until the first heartbeat has told Redis time.
    public init(
        settings: CoherenceSettings,
        bus: any InvalidationBus,
        control: any ControlFeed,
        journal: any Journal,
        log: Logger,
        now: @escaping @Sendable () -> ContinuousClock.Instant = { .now },
        wallClock: @escaping @Sendable () -> Int64
    ) {
        self.settings = settings
        self.bus = bus
        self.control = control
        self.journal = journal
        self.log = log
        self.now = now
        self.wallClock = wallClock
        self.origin = now()
        self.local = LocalCache(maximumBytes: settings.localBytes)
        (self.sessions, self.sessionBegan) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
        (self.beats, self.beatSoon) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
        self.state = Mutex(
            State(lease: FreshnessLease(duration: settings.lease), trust: SharedTrust(duration: settings.lease))
        )
    }

    // MARK: What readers ask

    /// Whether the lease is live, and the session entries are stamped with.
    func standing() -> (isLive: Bool, session: UInt64?) {
        let now = self.now()
        return self.state.withLock { ($0.lease.isLive(at: now), $0.lease.session) }
    }

    /// All that a request which will not wait has to know of this node, read at once.
    public func moment() -> Moment {
        let now = self.now()
        let (isLive, session, offset, isReachable) = self.state.withLock { state in
            (state.lease.isLive(at: now), state.lease.session, state.redisOffset, state.trust.isReachable(at: now))
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
        let offset = self.state.withLock { $0.redisOffset }
        return offset.map { $0 + elapsed.milliseconds } ?? self.wallClock()
    }

    /// How long ago the state of this node was proved fresh; nil without a live lease.
    public func leaseAge() -> Duration? {
        let now = self.now()
        return self.state.withLock { state in
            state.lease.isLive(at: now) ? state.lease.provenAt.map { now - $0 } : nil
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

    // MARK: What writers do

    /// Drops this node's entries of a key below a version: the first step after COMMIT.
    public func dropLocally(_ invalidation: Invalidation) {
        self.local.invalidate(invalidation.key, below: invalidation.version)
    }

    /// Waits until the relay has brought every row of a transaction to Redis; false at the deadline.
    public func relayed(past transaction: UInt64, within limit: Duration) async -> Bool {
        let deadline = self.now().advanced(by: limit)
        return await withTaskGroup(of: Bool.self) { group in
            let id = self.state.withLock { state in
                state.nextWaiter += 1
                return state.nextWaiter
            }
            group.addTask { await self.waitForRelay(past: transaction, id: id) }
            group.addTask {
                // A cancelled sleep ends the wait as well.
                try? await Task.sleep(until: deadline, clock: .continuous)
                self.endRelayWait(id)
                return false
            }
            let first = await group.next() ?? false
            group.cancelAll()
            self.endRelayWait(id)
            return first
        }
    }

    private func waitForRelay(past transaction: UInt64, id: UInt64) async -> Bool {
        await withCheckedContinuation { continuation in
            let answer: Bool? = self.state.withLock { state in
                if let relayed = state.relayed, relayed.covers(transaction) { return true }
                if state.stopping || Task.isCancelled { return false }
                state.relayWaiters.append((transaction, continuation, id))
                return nil
            }
            if let answer { continuation.resume(returning: answer) }
        }
    }

    private func endRelayWait(_ id: UInt64) {
        let waiter = self.state.withLock { state in
            state.relayWaiters.firstIndex { $0.id == id }.map { state.relayWaiters.remove(at: $0) }
        }
        waiter?.continuation.resume(returning: false)
    }

    /// A call to Redis timed out or was refused, or its connection broke: L2 may lack what should have been raised.
    public func sharedDoubted() {
        self.state.withLock { $0.trust.doubted() }
    }

    /// The subscription connection is lost. Called at once by the adapter, ahead of the FIFO.
    public func subscriptionLost(session: UInt64) {
        self.state.withLock { $0.lease.sessionEnded(session) }
        if self.faults.has(.sessionAtLoss) { self.state.withLock { $0.lease.sessionBegan(session + 1) } }
    }

    /// The control log was changed on this node: nothing is served as fresh until it is read, and the caller waits for that.
    public func controlChangedLocally() async -> Bool {
        self.state.withLock { $0.lease.controlBehind() }
        return await self.checks.wait(since: self.now())
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
            }
        }
        let waiters = self.state.withLock { state in
            state.stopping = true
            defer { state.relayWaiters = [] }
            return state.relayWaiters
        }
        for waiter in waiters { waiter.continuation.resume(returning: false) }
    }

    /// The one applier.
    private func applyEvents() async {
        await self.bus.listen { self.apply($0) }
    }

    func apply(_ event: BusEvent) {
        switch event {
        case .began(let session):
            let now = self.now()
            self.state.withLock { state in
                state.lease.sessionBegan(session)
                state.heardAt = now
            }
            self.checks.request()
            self.sessionBegan.yield(session)
            self.log.info("subscription session began", metadata: ["session": "\(session)"])
        case .ended(let session):
            self.state.withLock { state in
                state.lease.sessionEnded(session)
                state.heardAt = nil
            }
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
        let (heartbeat, isSilent) = self.state.withLock { state in
            let isSilent = state.heardAt.map { sentAt - $0 > silence } ?? false
            if isSilent { state.heardAt = sentAt }
            // Without a session there is no lease to renew, but Redis is still to be heard of.
            return (state.lease.heartbeatSending(at: sentAt) ?? Heartbeat(session: 0, number: 0), isSilent)
        }
        self.checks.expire(waitingSince: sentAt.advanced(by: Duration.zero - self.settings.heartbeatInterval * 2))
        if isSilent {
            // A connection that is half open hears nothing and is not lost by itself.
            self.log.warning("the subscription is silent; it is opened again")
            self.bus.restartSession()
        }
        if let age = self.leaseAge() { self.metrics.leaseAge.record(age.seconds) }
        do {
            let reply = try await self.bus.send(heartbeat)
            self.received(reply, sentAt: sentAt)
            if self.faults.has(.heartbeatApart) { self.apply(.heartbeat(heartbeat)) }
        } catch {
            self.metrics.heartbeatsFailed.increment()
            self.sharedDoubted()
            self.log.debug("heartbeat failed", metadata: ["error": "\(error)"])
        }
    }

    private func received(_ reply: HeartbeatReply, sentAt: Instant) {
        let elapsed = (sentAt - self.origin).milliseconds
        let isBehind = (reply.controlHead ?? 0) > self.control.appliedControl
        let (finding, waiters) = self.state.withLock { state in
            state.redisOffset = reply.milliseconds - elapsed
            state.relayed = reply.relayed
            if isBehind { state.lease.controlBehind() }
            let finding = state.trust.heartbeatTaken(
                sentAt: sentAt,
                relayed: reply.relayed,
                history: reply.history
            )
            guard let relayed = reply.relayed else { return (finding, [CheckedContinuation<Bool, Never>]()) }
            let done = state.relayWaiters.filter { relayed.covers($0.transaction) }
            state.relayWaiters.removeAll { relayed.covers($0.transaction) }
            return (finding, done.map(\.continuation))
        }
        if isBehind { self.checks.request() }
        for waiter in waiters { waiter.resume(returning: true) }
        switch finding {
        case .asBefore: break
        case .emptied: self.log.warning("Redis was emptied; L2 is verified until the journal is replayed")
        case .wentBack:
            self.log.warning("Redis holds older data than before; L1 is verified again")
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

/// What the keeper counts.
private struct CoherenceMetrics: Sendable {
    /// A hit: covered by the lease; a miss: it had to be read for the request.
    let control = CacheMetrics(.control)
    let messages = Counter(label: "vireo_bus_messages_applied_total")
    let heartbeatsFailed = Counter(label: "vireo_heartbeats_failed_total")
    let controlReadsFailed = Counter(label: "vireo_control_reads_failed_total")
    let leaseAge = Gauge(label: "vireo_lease_age_seconds")
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

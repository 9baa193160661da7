public import Logging
import Metrics
public import ServiceLifecycle
import Synchronization

/// The nodes of the fleet, as one that asks them.
public protocol FleetPeers: Sendable {
    /// The names of all nodes heard of lately.
    func names() async throws -> [String]
    /// What a node says, in the order of the questions; it throws where the node does not answer.
    func ask(_ node: String, _ questions: [SelfCheckQuestion]) async throws -> [HeldAnswer]
}

/// A node that would have served what a change had made void, longer after it than was promised.
public struct Suspect: Sendable, Equatable {
    /// Which node.
    public let node: String
    /// The change that it had missed.
    public let subject: SelfCheckSubject
    /// What stands for the user, or the thing denied, in logs, where ids do not belong.
    public let keyHash: String
    /// How long after it the node was asked.
    public let after: Duration
    /// What it said.
    public let answer: HeldAnswer
    /// When, in milliseconds since 1970.
    public let foundAt: Int64
}

/// What the checks of one delay came to.
public struct SelfCheckCounts: Sendable, Equatable {
    /// What was changed, and how.
    public let kind: SelfCheckKind
    /// How long after the change.
    public let after: Duration
    /// Changes of which every node said in time that it serves nothing older.
    public let consistent: Int
    /// Changes of which a node said that it would.
    public let stale: Int
    /// Changes of which a node did not answer, or not in time.
    public let unanswered: Int
    /// The share of consistent ones among the last 600 that were answered; nil: there are none.
    public let share: Double?
}

/// Checks in production what is promised: samples changes, asks every node of the fleet some time later whether it would still
/// serve, without asking anybody, what was before, and counts the answers.
///
/// Of writes those are sampled that went out before they were acknowledged, from then on; of all that the relay brings, those
/// among them that nobody else could publish, some from the end of its pass, from which their bound runs; and of tombstones
/// those that were announced. One that was taken away since, or has ended, is not judged. A node that does not answer counts
/// as unanswered, never as consistent.
public final class SelfCheck: Service, Sendable {
    private struct State {
        var plan: SelfCheckPlan
        /// The newest, oldest first.
        var suspects: [Suspect] = []
    }

    /// How many suspects are kept.
    private static let suspects = 256
    private static let tick = Duration.milliseconds(100)

    private let state: Mutex<State>
    private let node: String
    private let keeper: CoherenceKeeper
    private let peers: any FleetPeers
    private let denials: any DenialProbe
    private let keyHash: @Sendable ([UInt8]) -> String
    private let log: Logger
    private let metrics = SelfCheckMetrics()
    private let now: @Sendable () -> ContinuousClock.Instant
    private let wallClock: @Sendable () -> Int64

    /// - Parameters:
    ///   - interval: At least this long between two changes of a kind that are checked.
    ///   - node: The name of this node, which is asked without a call.
    ///   - denials: What this node denies, and what it should.
    ///   - keyHash: What stands for a name in logs: from a hash that has no key a name could be guessed.
    ///   - wallClock: Milliseconds since 1970, for the trace.
    public init(
        interval: Duration,
        node: String,
        keeper: CoherenceKeeper,
        peers: any FleetPeers,
        denials: any DenialProbe,
        keyHash: @escaping @Sendable ([UInt8]) -> String,
        log: Logger,
        now: @escaping @Sendable () -> ContinuousClock.Instant = { .now },
        wallClock: @escaping @Sendable () -> Int64
    ) {
        self.state = Mutex(State(plan: SelfCheckPlan(interval: interval)))
        self.node = node
        self.keeper = keeper
        self.peers = peers
        self.denials = denials
        self.keyHash = keyHash
        self.log = log
        self.now = now
        self.wallClock = wallClock
    }

    /// Hears of writes that are about to be acknowledged, their invalidations published.
    public func acknowledged(_ invalidations: [Invalidation]) {
        self.note(invalidations.randomElement().map { .write($0) })
    }

    /// Hears of writes that a pass of the relay has brought to Redis and published.
    public func relayed(_ invalidations: [Invalidation]) {
        self.note(invalidations.randomElement().map { .relayed($0) })
    }

    /// Hears of denials that are announced.
    public func denied(_ denials: some Collection<Denial>) {
        self.note(denials.randomElement().map { .denial($0) })
    }

    private func note(_ subject: SelfCheckSubject?) {
        guard let subject else { return }
        let now = self.now()
        _ = self.state.withLock { $0.plan.noted(subject, at: now) }
    }

    /// Forgets an owner: neither asks about them any more nor names them as a suspect.
    public func forget(_ key: CacheKey) {
        self.state.withLock { state in
            state.plan.forget(key)
            state.suspects.removeAll { $0.subject.owner == key }
        }
    }

    /// What the checks came to since the start of this node: by kind, the shortest delay first.
    public var counts: [SelfCheckCounts] {
        let plan = self.state.withLock { $0.plan }
        return SelfCheckKind.allCases.flatMap { kind in
            SelfCheckPlan.delays.indices.map { delay in
                let tally = plan.tally(kind, delay)
                return SelfCheckCounts(
                    kind: kind,
                    after: SelfCheckPlan.delays[delay],
                    consistent: tally.count(.consistent),
                    stale: tally.count(.stale),
                    unanswered: tally.count(.unanswered),
                    share: tally.share
                )
            }
        }
    }

    /// Changes that are still to be asked about.
    public var pending: Int { self.state.withLock { $0.plan.pending } }

    /// The newest suspects, the newest first.
    public var suspects: [Suspect] { self.state.withLock { $0.suspects.reversed() } }

    /// Asks until the service is shut down; what is still to be asked about then is not counted.
    public func run() async throws {
        await cancelWhenGracefulShutdown {
            while (try? await Task.sleep(for: Self.tick)) != nil { await self.look() }
        }
    }

    /// Asks what is due.
    func look() async {
        let checks = self.state.withLock { [now = self.now()] in $0.plan.due(at: now) }
        guard !checks.isEmpty else { return }
        let names: [String]?
        do {
            names = try await self.peers.names()
        } catch {
            self.log.debug("the nodes of the fleet are not known", metadata: ["error": "\(error)"])
            names = nil
        }
        let questions = checks.map(\.subject.question)
        let answered = await self.answers(of: Set(names ?? []).union([self.node]), to: questions)
        for (index, check) in checks.enumerated() {
            var replies = answered.map { SelfCheckPlan.Reply(node: $0.node, answer: $0.answers?[index], at: $0.at) }
            if case .denial(let denial) = check.subject, replies.contains(where: { $0.answer?.isStale ?? false }) {
                switch await self.stands(denial) {
                case true?: break
                case false?: continue
                case nil: replies = []
                }
            }
            guard !Task.isCancelled else { return }
            let (verdict, breaches, share) = self.state.withLock { [replies] state in
                let (verdict, breaches) = state.plan.judge(check, by: replies, isFleetKnown: names != nil)
                return (verdict, breaches, state.plan.tally(check.subject.kind, check.delay).share)
            }
            self.metrics.judged(verdict, check, share)
            for breach in breaches { self.suspected(breach, check) }
        }
    }

    /// Nil: the store does not say.
    private func stands(_ denial: Denial) async -> Bool? {
        do {
            return try await self.denials.stands(denial)
        } catch {
            self.log.debug("a denial cannot be looked up", metadata: ["error": "\(error)"])
            return nil
        }
    }

    private typealias Answered = (node: String, answers: [HeldAnswer]?, at: ContinuousClock.Instant)

    private func answers(of nodes: Set<String>, to questions: [SelfCheckQuestion]) async -> [Answered] {
        await withTaskGroup(of: Answered.self) { group in
            for node in nodes {
                group.addTask {
                    guard node != self.node else {
                        return (node, questions.map { self.keeper.answer($0, by: self.denials) }, self.now())
                    }
                    do {
                        let answers = try await self.peers.ask(node, questions)
                        return (node, answers.count == questions.count ? answers : nil, self.now())
                    } catch {
                        self.log.debug(
                            "a node does not answer the self-check",
                            metadata: ["node": "\(node)", "error": "\(error)"]
                        )
                        return (node, nil, self.now())
                    }
                }
            }
            var all: [Answered] = []
            for await each in group { all.append(each) }
            return all.sorted { $0.node < $1.node }
        }
    }

    private func suspected(_ reply: SelfCheckPlan.Reply, _ check: SelfCheckPlan.Check) {
        guard let answer = reply.answer else { return }
        let suspect = Suspect(
            node: reply.node,
            subject: check.subject,
            keyHash: self.keyHash(check.subject.bytes),
            after: SelfCheckPlan.delays[check.delay],
            answer: answer,
            foundAt: self.wallClock()
        )
        self.state.withLock { state in
            if state.suspects.count == Self.suspects { state.suspects.removeFirst() }
            state.suspects.append(suspect)
        }
        self.metrics.suspected(check.subject.kind)
        self.log.warning(
            "a node would serve what a change has made void",
            metadata: [
                "kind": "\(check.subject.kind.rawValue)",
                "node": "\(suspect.node)",
                "key_hash": "\(suspect.keyHash)",
                "version": "\(check.subject.version)",
                "after_s": "\(suspect.after.milliseconds / 1_000)",
                "held":
                    "\(answer.entries.map { "\($0.version) for \($0.ageMilliseconds) ms" }.joined(separator: ", "))",
                "lease_age_ms": "\(answer.leaseAgeMilliseconds.map { "\($0)" } ?? "none")",
                "session": "\(answer.session.map { "\($0)" } ?? "none")",
                "proof": "\(answer.proof)",
            ]
        )
    }
}

private struct SelfCheckMetrics: Sendable {
    private static let names = SelfCheckPlan.delays.map { "\($0.milliseconds / 1_000)s" }

    private let counters: [SelfCheckKind: [[Counter]]]
    private let suspects: [SelfCheckKind: Counter]

    init() {
        func perKind<Value>(_ make: (String) -> Value) -> [SelfCheckKind: Value] {
            Dictionary(uniqueKeysWithValues: SelfCheckKind.allCases.map { ($0, make($0.rawValue)) })
        }
        self.counters = perKind { kind in
            Self.names.map { within in
                SelfCheckPlan.Verdict.allCases.map { verdict in
                    Counter(
                        label: "vireo_self_check_writes_total",
                        dimensions: [("kind", kind), ("within", within), ("result", "\(verdict)")]
                    )
                }
            }
        }
        self.suspects = perKind { Counter(label: "vireo_self_check_suspects_total", dimensions: [("kind", $0)]) }
    }

    func judged(_ verdict: SelfCheckPlan.Verdict, _ check: SelfCheckPlan.Check, _ share: Double?) {
        let kind = check.subject.kind
        self.counters[kind]?[check.delay][verdict.rawValue].increment()
        guard let share else { return }
        // Made when there is something to say: a share of 0 would be an alarm.
        Gauge(
            label: "vireo_self_check_consistent_share",
            dimensions: [("kind", kind.rawValue), ("within", Self.names[check.delay])]
        ).record(share)
    }

    func suspected(_ kind: SelfCheckKind) { self.suspects[kind]?.increment() }
}

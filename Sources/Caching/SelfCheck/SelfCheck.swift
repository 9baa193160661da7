public import Logging
import Metrics
public import ServiceLifecycle
import Synchronization

/// The nodes of the fleet, as one that asks them.
public protocol FleetPeers: Sendable {
    /// The names of all nodes heard of lately.
    func names() async throws -> [String]
    /// What a node holds, in the order of the questions; it throws where the node does not answer.
    func ask(_ node: String, _ questions: [HeldQuestion]) async throws -> [HeldAnswer]
}

/// A node that would have served what a write had made void, longer after it than was promised.
public struct Suspect: Sendable, Equatable {
    /// Which node.
    public let node: String
    /// The write that it had missed.
    public let invalidation: Invalidation
    /// How long after it the node was asked.
    public let after: Duration
    /// What it said.
    public let answer: HeldAnswer
    /// When, in milliseconds since 1970.
    public let foundAt: Int64

    /// What stands for the key in logs, where ids do not belong: a hash of its bytes.
    public var keyHash: String {
        let text = String(Checksum.of(self.invalidation.key.bytes, from: 0), radix: 16)
        return String(repeating: "0", count: 16 - text.utf8.count) + text
    }
}

/// What the checks of one delay came to.
public struct SelfCheckCounts: Sendable, Equatable {
    /// How long after the write.
    public let after: Duration
    /// Writes of which every node said in time that it serves nothing older.
    public let consistent: Int
    /// Writes of which a node said that it would.
    public let stale: Int
    /// Writes of which a node did not answer, or not in time.
    public let unanswered: Int
    /// The share of consistent ones among the last 600 that were answered; nil: there are none.
    public let share: Double?
}

/// Checks in production what is promised: samples writes that this node acknowledged, asks every node of the fleet some time
/// later whether it would still serve, without asking anybody, what is older, and counts the answers.
///
/// Only writes that went out before they were acknowledged are sampled: the bound of the others runs from the relay's next
/// pass. A node that does not answer counts as unanswered, never as consistent.
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
    private let log: Logger
    private let metrics = SelfCheckMetrics()
    private let now: @Sendable () -> ContinuousClock.Instant
    private let wallClock: @Sendable () -> Int64

    /// - Parameters:
    ///   - interval: At least this long between two writes that are checked.
    ///   - node: The name of this node, which is asked without a call.
    ///   - wallClock: Milliseconds since 1970, for the trace.
    public init(
        interval: Duration,
        node: String,
        keeper: CoherenceKeeper,
        peers: any FleetPeers,
        log: Logger,
        now: @escaping @Sendable () -> ContinuousClock.Instant = { .now },
        wallClock: @escaping @Sendable () -> Int64
    ) {
        self.state = Mutex(State(plan: SelfCheckPlan(interval: interval)))
        self.node = node
        self.keeper = keeper
        self.peers = peers
        self.log = log
        self.now = now
        self.wallClock = wallClock
    }

    /// Hears of writes that are about to be acknowledged, their invalidations published.
    public func acknowledged(_ invalidations: [Invalidation]) {
        guard let one = invalidations.randomElement() else { return }
        let now = self.now()
        _ = self.state.withLock { $0.plan.acknowledged(one, at: now) }
    }

    /// What the checks came to since the start of this node, the shortest delay first.
    public var counts: [SelfCheckCounts] {
        let tallies = self.state.withLock { $0.plan.tallies }
        return zip(SelfCheckPlan.delays, tallies).map { delay, tally in
            SelfCheckCounts(
                after: delay,
                consistent: tally.count(.consistent),
                stale: tally.count(.stale),
                unanswered: tally.count(.unanswered),
                share: tally.share
            )
        }
    }

    /// Writes that are still to be asked about.
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
        let questions = checks.map { HeldQuestion(key: $0.invalidation.key, version: $0.invalidation.version) }
        let answered = await self.answers(of: Set(names ?? []).union([self.node]), to: questions)
        guard !Task.isCancelled else { return }
        for (index, check) in checks.enumerated() {
            let replies = answered.map { SelfCheckPlan.Reply(node: $0.node, answer: $0.answers?[index], at: $0.at) }
            let (verdict, breaches, share) = self.state.withLock { state in
                let (verdict, breaches) = state.plan.judge(check, by: replies, isFleetKnown: names != nil)
                return (verdict, breaches, state.plan.tallies[check.delay].share)
            }
            self.metrics.judged(verdict, check.delay, share)
            for breach in breaches { self.suspected(breach, check) }
        }
    }

    private typealias Answered = (node: String, answers: [HeldAnswer]?, at: ContinuousClock.Instant)

    private func answers(of nodes: Set<String>, to questions: [HeldQuestion]) async -> [Answered] {
        await withTaskGroup(of: Answered.self) { group in
            for node in nodes {
                group.addTask {
                    guard node != self.node else {
                        return (node, questions.map { self.keeper.held($0) }, self.now())
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
            invalidation: check.invalidation,
            after: SelfCheckPlan.delays[check.delay],
            answer: answer,
            foundAt: self.wallClock()
        )
        self.state.withLock { state in
            if state.suspects.count == Self.suspects { state.suspects.removeFirst() }
            state.suspects.append(suspect)
        }
        self.metrics.suspects.increment()
        self.log.warning(
            "a node would serve what a write has made void",
            metadata: [
                "node": "\(suspect.node)",
                "key_hash": "\(suspect.keyHash)",
                "version": "\(check.invalidation.version)",
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

    private let counters: [[Counter]]
    let suspects = Counter(label: "vireo_self_check_suspects_total")

    init() {
        self.counters = Self.names.map { within in
            SelfCheckPlan.Verdict.allCases.map { verdict in
                Counter(
                    label: "vireo_self_check_writes_total",
                    dimensions: [("within", within), ("result", "\(verdict)")]
                )
            }
        }
    }

    func judged(_ verdict: SelfCheckPlan.Verdict, _ delay: Int, _ share: Double?) {
        self.counters[delay][verdict.rawValue].increment()
        guard let share else { return }
        // Made when there is something to say: a share of 0 would be an alarm.
        Gauge(label: "vireo_self_check_consistent_share", dimensions: [("within", Self.names[delay])]).record(share)
    }
}

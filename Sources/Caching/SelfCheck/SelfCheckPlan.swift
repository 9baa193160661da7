/// Which changes are asked about, when, and how the answers count: each kind by itself.
///
/// A write is asked about by its own version alone: what a later write of the same owner makes void is older than that write's
/// version, and what it leaves is newer than this one's, so neither can be taken for the other.
struct SelfCheckPlan: Sendable {
    typealias Instant = ContinuousClock.Instant

    /// How long after a write its nodes are asked.
    static let delays: [Duration] = [.seconds(1), .seconds(5), .seconds(60)]
    /// An answer that comes later than this after its time says nothing of that time, unless it is a bad one.
    static let slack = Duration.milliseconds(500)
    /// Questions of one round.
    static let batch = 100
    /// Writes that are waited with; more are not checked.
    static let capacity = 10_000
    /// Of how many writes the share is.
    static let window = 600

    enum Verdict: Int, CaseIterable, Sendable {
        /// Every node said, in time, that it would serve nothing older.
        case consistent
        /// A node said that it would.
        case stale
        /// A node did not answer, or not in time, or it is not known which nodes there are.
        case unanswered
    }

    /// A write whose time to be asked about has come.
    struct Check: Sendable, Equatable {
        let subject: SelfCheckSubject
        /// When it was acknowledged, or brought.
        let at: Instant
        /// Which of ``delays``.
        let delay: Int

        var dueAt: Instant { self.at.advanced(by: SelfCheckPlan.delays[self.delay]) }
    }

    /// What a node said, and when that was here; nil: nothing.
    struct Reply: Sendable {
        let node: String
        let answer: HeldAnswer?
        let at: Instant
    }

    /// What came of the checks of one delay.
    struct Tally: Sendable, Equatable {
        private(set) var counts = [Int](repeating: 0, count: Verdict.allCases.count)
        /// Of the newest that had an answer, oldest first.
        private var recent: [Bool] = []

        func count(_ verdict: Verdict) -> Int { self.counts[verdict.rawValue] }

        /// The share of writes that were consistent, of the newest that were answered; nil: there are none.
        var share: Double? {
            self.recent.isEmpty
                ? nil : Double(self.recent.lazy.filter { $0 }.count) / Double(self.recent.count)
        }

        mutating func add(_ verdict: Verdict) {
            self.counts[verdict.rawValue] += 1
            guard verdict != .unanswered else { return }
            if self.recent.count == SelfCheckPlan.window { self.recent.removeFirst() }
            self.recent.append(verdict == .consistent)
        }
    }

    /// At least this long between two of a kind that are checked.
    private let interval: Duration
    private var sampledAt: [SelfCheckKind: Instant] = [:]
    /// Of each delay, what is still to be asked about, in the order of its time.
    private var waiting = [[Check]](repeating: [], count: delays.count)
    private var tallies: [SelfCheckKind: [Tally]] = [:]

    init(interval: Duration) {
        self.interval = interval
    }

    /// What is still to be asked about after the longest delay.
    var pending: Int { self.waiting[Self.delays.count - 1].count }

    /// What came of the checks of a kind after a delay.
    func tally(_ kind: SelfCheckKind, _ delay: Int) -> Tally { self.tallies[kind]?[delay] ?? Tally() }

    /// Notes a change, unless one of its kind was noted within the interval. True: it will be asked about.
    mutating func noted(_ subject: SelfCheckSubject, at now: Instant) -> Bool {
        if let sampledAt = self.sampledAt[subject.kind], now - sampledAt < self.interval { return false }
        guard self.pending < Self.capacity else { return false }
        self.sampledAt[subject.kind] = now
        for delay in Self.delays.indices {
            self.waiting[delay].append(Check(subject: subject, at: now, delay: delay))
        }
        return true
    }

    /// Gives up asking about an owner's writes.
    mutating func forget(_ key: CacheKey) {
        for delay in Self.delays.indices { self.waiting[delay].removeAll { $0.subject.owner == key } }
    }

    /// Takes what is to be asked now, the shortest delay first.
    mutating func due(at now: Instant) -> [Check] {
        var due: [Check] = []
        for delay in Self.delays.indices {
            let ready = self.waiting[delay].prefix(Self.batch - due.count).prefix { $0.dueAt <= now }
            due += ready
            self.waiting[delay].removeFirst(ready.count)
        }
        return due
    }

    /// Judges a change by what the nodes said.
    ///
    /// - Parameters:
    ///   - replies: One of each node that was asked.
    ///   - isFleetKnown: Whether all nodes were asked that there are.
    /// - Returns: The verdict, and who broke the promise: what is held for less than the node's own lease is stale and no breach.
    mutating func judge(_ check: Check, by replies: [Reply], isFleetKnown: Bool) -> (
        verdict: Verdict, breaches: [Reply]
    ) {
        let latest = check.dueAt.advanced(by: Self.slack)
        let stale = replies.filter { $0.answer?.isStale ?? false }
        let isAnswered =
            isFleetKnown && !replies.isEmpty
            && replies.allSatisfy { reply in
                guard let answer = reply.answer, reply.at <= latest else { return false }
                // A node of the version before does not know the question.
                return check.subject.kind != .tombstone || answer.denies != nil
            }
        let verdict: Verdict = !stale.isEmpty ? .stale : isAnswered ? .consistent : .unanswered
        self.tallies[check.subject.kind, default: [Tally](repeating: Tally(), count: Self.delays.count)][check.delay]
            .add(verdict)
        let delay = Self.delays[check.delay].milliseconds
        return (verdict, stale.filter { $0.answer.map { $0.leaseMilliseconds <= delay } ?? false })
    }
}

import RecommendationCore
import RecommendationEngine
import Synchronization

/// The time of one read, and what each of its stages may take of it.
///
/// Of the whole time, from the request on:
/// - The user's own pool has three quarters: the look in L2, another's computation, the user, the computation.
/// - The lists that stand in for it have until seven eighths, as far as a store is asked for them.
/// - Frequency caps have until fifteen sixteenths.
/// - The final stage, and lists that no store is asked for, have the rest.
///
/// No rule gives way: what could not be verified or counted in time counts as what cannot be. As the time gets short, what is
/// optional is dropped in the order of ``Extra``, and answers say so.
///
/// It belongs to the task of a request. What is done in the background, for whoever comes next, has none.
package final class StageBudget: Sendable {
    package typealias Instant = ContinuousClock.Instant

    /// Of the request that the task answers; nil: it may take as long as it takes.
    @TaskLocal static var current: StageBudget?

    /// Does something for a request.
    package static func within<Value>(_ budget: StageBudget, _ body: () async -> Value) async -> Value {
        await Self.$current.withValue(budget) { await body() }
    }

    /// What a list can do without, the first dropped first.
    enum Extra: CaseIterable {
        /// A pool of the policy's size: a smaller one is for this request alone.
        case candidates
        /// The second replacement of what frequency caps refuse.
        case replacement
        /// Places for what nothing is known of yet.
        case exploration
        /// Maximal marginal relevance.
        case reranking
    }

    /// When each part ends.
    let pool: Instant
    let standIn: Instant
    let caps: Instant
    private let end: Instant
    private let whole: Duration
    private let now: @Sendable () -> Instant
    private let drewFewer = Atomic(false)

    /// - Parameter time: From now on.
    package convenience init(_ time: Duration) {
        let start = ContinuousClock.now
        self.init(
            time,
            pool: start + time * 3 / 4,
            standIn: start + time * 7 / 8,
            caps: start + time * 15 / 16,
            end: start + time
        )
    }

    init(
        _ whole: Duration,
        pool: Instant,
        standIn: Instant,
        caps: Instant,
        end: Instant,
        now: @escaping @Sendable () -> Instant = { ContinuousClock.now }
    ) {
        self.whole = whole
        self.pool = pool
        self.standIn = standIn
        self.caps = caps
        self.end = end
        self.now = now
    }

    /// When half of what is left for frequency caps is over: what they can do without may take no longer.
    var halfOfCaps: Instant {
        let now = self.now()
        return now + max(.zero, self.caps - now) / 2
    }

    /// Whether there is too little time left for an extra: a share of the whole, and never more than what it may take.
    func isShort(for extra: Extra) -> Bool {
        let (end, share, most): (Instant, Duration, Duration) =
            switch extra {
            case .candidates: (self.pool, self.whole / 8, .milliseconds(20))
            case .replacement: (self.caps, self.whole / 4, .milliseconds(200))
            case .exploration: (self.end, self.whole / 8, .milliseconds(20))
            case .reranking: (self.end, self.whole / 16, .milliseconds(10))
            }
        return end - self.now() < min(share, most)
    }

    /// Whether the pool was drawn smaller than it should be.
    var isOfFewer: Bool { self.drewFewer.load(ordering: .relaxed) }

    func drawFewer() { self.drewFewer.store(true, ordering: .relaxed) }
}

/// What the final stage does without.
struct Economy {
    static let none = Economy()

    var exploration = false
    var reranking = false

    private init() {}

    /// What the time that is left does not suffice for, of what a policy asks for.
    init(_ budget: StageBudget?, _ state: TenantState) {
        guard let budget else { return }
        self.exploration = state.policy.exploration.share > 0 && budget.isShort(for: .exploration)
        self.reranking = state.rules.compiled.choice?.lambda != nil && budget.isShort(for: .reranking)
    }

    var degraded: [Degradation] {
        (self.exploration ? [.exploration] : []) + (self.reranking ? [.reranking] : [])
    }
}

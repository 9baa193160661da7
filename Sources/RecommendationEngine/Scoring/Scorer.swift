package import RecommendationCore

/// Scores one user at a time: from a history to a pool of candidates.
///
/// A scorer is scratch memory of the size of the catalogue, made once per thread and used by one caller at a time; it
/// grows to the largest snapshot it is given. Only items that some history item leads to are looked at, and the head of the
/// popularity order: any other item has popularity alone, and the order says which of those are best.
///
/// Components are sums over the history, divided by their largest value over the unseen candidates and weighted by the
/// policy. Two cases the rule leaves open: where no unseen candidate has a value above 0, the divisor is the largest
/// magnitude; and no component falls below minus its weight, however much negative feedback there is.
package final class Scorer {
    /// Seen items in a pool.
    package static let seenLimit = 50
    /// The largest pool, whatever the policy says.
    package static let poolLimit = 10_000

    private var workspace = ScoringWorkspace()

    package init() {}

    /// The pool of a user.
    ///
    /// - Parameters:
    ///   - history: The user's events, newest first; any order is right, but others cost a sort. The newest 500 are
    ///     weighed, all of them say what was seen, hidden or disliked.
    ///   - excluded: A bit by item number, lowest first, of items that are no candidates; it may be short or empty.
    ///   - keepsSeen: Whether items the user has had are in the pool, too; else they are counted.
    ///   - fresh: What the snapshot does not know.
    package func pool(
        history: [HistoryEvent],
        snapshot: Snapshot,
        policy: Policy,
        excluded: [UInt64],
        keepsSeen: Bool,
        fresh: FreshItems = .none
    ) -> CandidatePool {
        self.workspace.pool(
            history,
            snapshot: snapshot,
            policy: policy,
            excluded: excluded,
            keepsSeen: keepsSeen,
            fresh: fresh
        )
    }

    /// The items that go best with the positive part of a history by the model's own score, which is the sum over the history
    /// of weight times the neighbour's weight; where too few have a score above 0, the most popular after them. What the user
    /// has seen, hidden or disliked is left out.
    package func ranked(
        history: [HistoryEvent],
        snapshot: Snapshot,
        limit: Int,
        policy: Policy = .builtIn
    ) -> [Item.Number] {
        var ranked: [Item.Number] = []
        self.rank(history.span, snapshot: snapshot, limit: limit, terms: EventTerms(policy), into: &ranked)
        return ranked
    }

    /// The same for many histories, without allocation: the list takes the place of what was in `ranked`.
    package func rank(
        _ history: Span<HistoryEvent>,
        snapshot: Snapshot,
        limit: Int,
        terms: EventTerms,
        into ranked: inout [Item.Number]
    ) {
        self.workspace.rank(history, snapshot: snapshot, limit: limit, terms: terms, into: &ranked)
    }
}

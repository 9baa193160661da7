import RecommendationCore
import RecommendationEngine

/// From what is known of a user to the pool: consent and suppressions are kept here, whatever the scorer does.
struct UserPool {
    let state: TenantState
    let snapshot: Snapshot
    /// What no pool of this kind holds; nil: what the state leaves out.
    var excluded: Bitmap?
    /// As ``Asked/keepsSeen``.
    let keepsSeen: Bool
    /// Which items are tried out: of the user and the day.
    var lot: UInt64 = 0
    /// How many candidates that are not seen it has at most, whatever the policy says.
    var largest = Int.max
    let now: Timestamp

    /// The pool of a user. Without consent it is the cold list. What the user suppresses is in none; others take the places, and
    /// the pool tells of how many of the best candidates that was.
    func pool(of user: UserState, scorer: Scorer) -> CandidatePool {
        let history = user.consent ? user.history : []
        var pool = self.pool(history, excluded: self.excluded ?? self.state.excluded, scorer: scorer)
        guard !user.suppressions.isEmpty else {
            pool.facts = self.state.rules.facts(of: user, suppressed: Bitmap(), self.state.catalog)
            return pool
        }
        let suppressed = self.state.catalog.suppressed(by: user.suppressions)
        var kept = pool
        let count = pool.unseen.count { suppressed[Int($0.item)] }
        if count > 0 || (pool.seen + pool.tried).contains(where: { suppressed[Int($0.item)] }) {
            var excluded = self.excluded ?? self.state.excluded
            excluded.formUnion(suppressed)
            kept = self.pool(history, excluded: excluded, scorer: scorer)
        }
        kept.suppressedCount = count
        kept.facts = self.state.rules.facts(of: user, suppressed: suppressed, self.state.catalog)
        kept.suppressions = user.suppressions.filter { $0.kind != .item }
        // An item that is suppressed explains no other.
        let unnamed = Set(kept.seeds.indices.filter { suppressed[Int(kept.seeds[$0])] }.map { UInt8($0) })
        if !unnamed.isEmpty {
            for index in kept.unseen.indices where unnamed.contains(kept.unseen[index].seed) {
                kept.unseen[index].seed = CandidatePool.noSeed
            }
            for index in kept.seen.indices where unnamed.contains(kept.seen[index].seed) {
                kept.seen[index].seed = CandidatePool.noSeed
            }
        }
        return kept
    }

    private func pool(_ history: [HistoryEvent], excluded: Bitmap, scorer: Scorer) -> CandidatePool {
        var policy = self.state.policy
        policy.poolSize = min(policy.poolSize, self.largest)
        return scorer.pool(
            history: history,
            snapshot: self.snapshot,
            policy: policy,
            excluded: excluded.words,
            keepsSeen: self.keepsSeen,
            fresh: self.state.freshIndex(of: self.snapshot).items(
                self.state.policy.exploration,
                lot: self.lot,
                now: self.now,
                excluded: excluded
            )
        )
    }
}

import RecommendationEngine
import Synchronization

/// Scorers to lend: each is scratch memory of the catalogue's size and serves one caller at a time.
final class ScorerPool: Sendable {
    // A scorer is not Sendable; it is owned by the pool or by the one borrower it was taken out for, never by both.
    private struct Idle: @unchecked Sendable {
        var scorers: [Scorer] = []
    }

    private let idle = Mutex(Idle())

    func withScorer<Result>(_ body: (Scorer) -> Result) -> Result {
        let lent = self.idle.withLock { idle in Lent(idle.scorers.popLast() ?? Scorer()) }
        defer { self.idle.withLock { $0.scorers.append(lent.scorer) } }
        return body(lent.scorer)
    }

    private struct Lent: @unchecked Sendable {
        let scorer: Scorer
        init(_ scorer: Scorer) { self.scorer = scorer }
    }
}

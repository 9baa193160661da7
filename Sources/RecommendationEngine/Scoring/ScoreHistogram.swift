/// Finds a score below the best ones of a run without sorting it: a histogram of the leading bits of the scores.
///
/// The bins are the steps of 7 bits of fraction within the eight binary orders below the largest score.
struct ScoreHistogram {
    private static let binCount = 1_024

    private var counts = [UInt32](repeating: 0, count: Self.binCount)

    /// A score that at least `count` of the first scores reach; minus infinity where the bins do not tell one.
    mutating func bound(reachedBy count: Int, ofFirst scoreCount: Int, _ scores: [Float]) -> Float {
        let scores = scores.span
        var counts = self.counts.mutableSpan
        var top: UInt32 = 0
        for index in 0..<scoreCount { top = max(top, RankKey.order(scores[unchecked: index]) >> 16) }
        let base = top - min(top, UInt32(Self.binCount - 1))
        for bin in counts.indices { counts[unchecked: bin] = 0 }
        for index in 0..<scoreCount {
            let bin = max(RankKey.order(scores[unchecked: index]) >> 16, base) - base
            counts[unchecked: Int(bin)] += 1
        }
        var reached = 0
        // The lowest bin holds whatever is below, too.
        for bin in stride(from: Self.binCount - 1, to: 0, by: -1) {
            reached += Int(counts[unchecked: bin])
            if reached >= count { return RankKey.score(order: (UInt32(bin) + base) << 16) }
        }
        return -.infinity
    }
}

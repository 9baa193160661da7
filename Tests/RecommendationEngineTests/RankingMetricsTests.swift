import Glibc
import RecommendationEngine
import Testing

@Suite struct RankingMetricsTests {
    @Test("recall, gain and hits of two users by hand")
    func knownAnswer() {
        var metrics = RankingMetrics(cutoff: 3)
        metrics.add(recommended: [1, 2, 3, 4], relevant: [2, 4, 9])
        metrics.add(recommended: [5], relevant: [5])
        #expect(metrics.users == 2)
        #expect(abs(metrics.recall - (1.0 / 3 + 1) / 2) < 1e-12)
        let gain = (1 / log2(3.0)) / (1 + 1 / log2(3.0) + 0.5)
        #expect(abs(metrics.ndcg - (gain + 1) / 2) < 1e-12)
        #expect(metrics.hitRate == 1)
        #expect(metrics.coverage(of: 8) == 0.5)
    }

    @Test("the best possible gain is that of as many items as are held back, at most the cut-off")
    func ideal() {
        var metrics = RankingMetrics(cutoff: 2)
        metrics.add(recommended: [1, 2], relevant: [1, 2, 3])
        #expect(metrics.ndcg == 1)
        #expect(abs(metrics.recall - 2.0 / 3) < 1e-12)
    }

    @Test("a user without a list counts 0, one without held-back items not at all")
    func missing() {
        var metrics = RankingMetrics(cutoff: 2)
        metrics.add(recommended: [1], relevant: [1])
        metrics.add(recommended: [], relevant: [1])
        metrics.add(recommended: [1], relevant: [])
        #expect(metrics.users == 2)
        #expect(metrics.recall == 0.5)
        #expect(metrics.hitRate == 0.5)
    }

    @Test("repeated items count once, on both sides")
    func repeated() {
        var metrics = RankingMetrics(cutoff: 3)
        metrics.add(recommended: [1, 1, 2], relevant: [1, 1, 5])
        #expect(metrics.recall == 0.5)
    }

    @Test("nothing added and nothing counted give 0", arguments: [0, 5])
    func nothing(cutoff: Int) {
        var metrics = RankingMetrics(cutoff: cutoff)
        #expect(metrics.recall == 0)
        #expect(metrics.coverage(of: 0) == 0)
        metrics.add(recommended: [], relevant: [1])
        #expect(metrics.ndcg == 0)
    }
}

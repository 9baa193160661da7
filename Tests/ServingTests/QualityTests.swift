import RecommendationCore
import Testing

@testable import Serving

@Suite("Online quality")
struct QualityTests {
    private struct Store: QualityRepository {
        func counts(
            since time: Timestamp,
            surface: String?,
            limit: Int,
            tenant: Tenant.ID
        ) async throws(RepositoryError) -> [SlateCounts] {
            if surface == "away" { throw .unavailable("told to") }
            return [
                SlateCounts(
                    source: Attribution.Source(model: 1, policy: "p8", variant: "", surface: "home"),
                    slates: 3,
                    impressions: 8,
                    clicks: 2,
                    purchases: 1,
                    pairs: 10,
                    alike: 4,
                    items: [0, 19],
                    shown: [3, 1]
                )
            ]
        }
    }

    @Test("shares of what was shown and of what could be, and bits by the popularity of the model")
    func report() async throws {
        let node = try await PolicyServingTests.Node(items: { item in
            if ["i3", "i4", "i5", "i6"].contains(item.id.string) { item.hidden = true }
        }) { _ in }
        let service = QualityService(repository: Store(), control: node.control, wallClock: { Fixture.now })
        let report = try await service.report(.day, surface: nil, tenant: .default)
        #expect(report.since == Timestamp(microseconds: Fixture.now.microseconds - 86_400_000_000))
        let figures = try #require(report.figures.first)
        #expect(figures.clickThrough.rate == 0.25 && figures.conversion.rate == 0.125)
        #expect(figures.coverage == 2.0 / 16 && figures.diversity == 0.6)
        // i0 was used 21 times, i19 twice, all twenty 230 times, at one moment: none has decayed.
        let novelty = try #require(figures.novelty)
        let expected = (3 * 3.4531713 + 6.8454901) / 4
        #expect(abs(novelty - expected) < 0.01, "\(novelty)")
        await #expect(throws: ServingError.storeUnavailable) {
            try await service.report(.hour, surface: "away", tenant: .default)
        }
    }

    @Test("what nobody has used is as new as the least used, and without any use nothing is known")
    func novelty() async throws {
        let node = try await PolicyServingTests.Node { _ in }
        let snapshot = try #require(node.control.state(of: .default)?.model?.snapshot)
        let novelty = Novelty(snapshot)
        #expect(novelty.bits(19) == novelty.bits(4_000))
        #expect(try #require(novelty.bits(0)) < #require(novelty.bits(19)))
        #expect(novelty.mean([], []) == nil)
    }

    @Test("sources beyond the most that are told apart are counted as others")
    func bounded() {
        let metrics = QualityMetrics()
        for model in 1...Int64(QualityMetrics.maximumSources + 5) {
            let source = Attribution.Source(model: model, policy: "p0", variant: "", surface: "home")
            metrics.shown(source, items: 1, categories: 1)
            metrics.done(.click, source)
            metrics.done(.view, source)
        }
        #expect(metrics.count == QualityMetrics.maximumSources)
    }
}

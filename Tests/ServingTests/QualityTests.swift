import Foundation
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

    @Test("shares of what was shown and of what could be, and what was shown by its popularity")
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
        // Of twenty items i0 was used most, 21 times, and i19 twice; both are counted by the logarithm of one more.
        let novelty = try #require(figures.novelty)
        #expect(abs(novelty - (1 - log1p(2) / log1p(21)) / 4) < 1e-3, "\(novelty)")
        await #expect(throws: ServingError.storeUnavailable) {
            try await service.report(.hour, surface: "away", tenant: .default)
        }
    }

    @Test("what nobody has used is as new as can be, and of nothing there is no mean")
    func novelty() async throws {
        let node = try await PolicyServingTests.Node { _ in }
        let snapshot = try #require(node.control.state(of: .default)?.model?.snapshot)
        func novelty(_ items: [Item.Number]) -> Double? {
            let counts = SlateCounts(
                source: Attribution.Source(model: 1, policy: "p8", variant: "", surface: "home"),
                slates: 1,
                impressions: items.count,
                clicks: 0,
                purchases: 0,
                pairs: 0,
                alike: 0,
                items: items,
                shown: items.map { _ in 1 }
            )
            return QualityService.novelty(counts, snapshot)
        }
        #expect(novelty([4_000]) == 1 && novelty([0]) == 0 && novelty([]) == nil)
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

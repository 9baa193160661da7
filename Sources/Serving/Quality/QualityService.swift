import Foundation
package import RecommendationCore
import RecommendationEngine

/// Reports how slates did online.
package struct QualityService: Sendable {
    private let repository: any QualityRepository
    private let control: ControlState
    private let wallClock: @Sendable () -> Timestamp

    package init(
        repository: any QualityRepository,
        control: ControlState,
        wallClock: @escaping @Sendable () -> Timestamp
    ) {
        self.repository = repository
        self.control = control
        self.wallClock = wallClock
    }

    /// - Parameter surface: A surface, or the name of a list; nil: all.
    package func report(
        _ window: QualityReport.Window,
        surface: String?,
        tenant: Tenant.ID
    ) async throws(ServingError) -> QualityReport {
        guard let state = self.control.state(of: tenant) else { throw .notReady }
        let since = Timestamp(microseconds: self.wallClock().microseconds - window.seconds * 1_000_000)
        let counts = try await AdminService.reading { () async throws(RepositoryError) in
            try await self.repository.counts(
                since: since,
                surface: surface,
                limit: QualityReport.maximumSources,
                tenant: tenant
            )
        }
        let servable = (0..<state.catalog.count).count { number in
            let item = Item.Number(number)
            return state.catalog.holds(item) && !state.excluded[number]
        }
        let novelty = state.model.map { Novelty($0.snapshot) }
        return QualityReport(
            since: since,
            figures: counts.map { counts in
                QualityReport.Figures(
                    source: counts.source,
                    slates: counts.slates,
                    clickThrough: Proportion(counts.clicks, of: counts.impressions),
                    conversion: Proportion(counts.purchases, of: counts.impressions),
                    // What was shown may be denied since.
                    coverage: servable > 0 ? min(1, Double(counts.items.count) / Double(servable)) : nil,
                    diversity: counts.pairs > 0 ? 1 - Double(counts.alike) / Double(counts.pairs) : nil,
                    novelty: novelty.flatMap { $0.mean(counts.items, counts.shown) }
                )
            }
        )
    }
}

/// How little known items are.
struct Novelty {
    private let snapshot: Snapshot
    private let total: Double
    /// As which an item counts that nobody has used.
    private let least: Double

    init(_ snapshot: Snapshot) {
        self.snapshot = snapshot
        self.total = snapshot.popularity.reduce(0) { $0 + max(0, Double($1)) }
        self.least = snapshot.popularity.lazy.filter { $0 > 0 }.min().map(Double.init) ?? 0
    }

    /// In bits; nil: nothing is known of any item.
    func bits(_ item: Item.Number) -> Double? {
        guard self.total > 0 else { return nil }
        let popularity = max(Double(self.snapshot.popularity(of: item)), self.least)
        return log2(self.total / popularity)
    }

    /// The mean over what was shown, each as often as it was.
    func mean(_ items: [Item.Number], _ shown: [Int]) -> Double? {
        var (sum, count) = (0.0, 0)
        for (item, times) in zip(items, shown) {
            guard let bits = self.bits(item) else { return nil }
            sum += bits * Double(times)
            count += times
        }
        return count > 0 ? sum / Double(count) : nil
    }
}

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
                    novelty: state.model.flatMap { Self.novelty(counts, $0.snapshot) }
                )
            }
        )
    }

    /// One less the mean popularity of what was shown, each item as often as it was (Vargas and Castells, RecSys 2011: the expected
    /// popularity complement); nil: nothing was shown.
    static func novelty(_ counts: SlateCounts, _ snapshot: Snapshot) -> Double? {
        var (sum, count) = (0.0, 0)
        for (item, times) in zip(counts.items, counts.shown) {
            sum += (1 - Double(snapshot.popularity(of: item))) * Double(times)
            count += times
        }
        return count > 0 ? sum / Double(count) : nil
    }
}

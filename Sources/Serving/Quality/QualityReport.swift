package import RecommendationCore

/// How slates did with those who saw them, by what they were made of.
package struct QualityReport: Sendable {
    /// How far back it looks.
    package enum Window: String, CaseIterable, Sendable {
        case hour = "1h"
        case day = "24h"
        case week = "7d"
        case month = "30d"

        var seconds: Int64 {
            switch self {
            case .hour: 3_600
            case .day: 86_400
            case .week: 604_800
            case .month: 2_592_000
            }
        }
    }

    /// The figures of one source.
    package struct Figures: Sendable {
        package let source: Attribution.Source
        package let slates: Int
        /// Of what was shown, what was clicked and what was bought.
        package let clickThrough: Proportion
        package let conversion: Proportion
        /// The share of the servable items that was shown; nil: there are none.
        package let coverage: Double?
        /// One less the share of a slate's pairs that are of the same first category; nil: no slate had two items.
        package let diversity: Double?
        /// One less the mean popularity of what was shown, 0 to 1; nil: no model is loaded.
        package let novelty: Double?

        package init(
            source: Attribution.Source,
            slates: Int,
            clickThrough: Proportion,
            conversion: Proportion,
            coverage: Double?,
            diversity: Double?,
            novelty: Double?
        ) {
            self.source = source
            self.slates = slates
            self.clickThrough = clickThrough
            self.conversion = conversion
            self.coverage = coverage
            self.diversity = diversity
            self.novelty = novelty
        }
    }

    /// The most sources of a report.
    static let maximumSources = 100

    package let since: Timestamp
    /// Most shown first.
    package let figures: [Figures]

    package init(since: Timestamp, figures: [Figures]) {
        self.since = since
        self.figures = figures
    }
}

import Metrics
import RecommendationCore
import Synchronization

/// Counts what is shown and what comes of it, by what slates were made of.
///
/// Models and policies come and go for as long as a process runs: beyond ``maximumSources`` the labels say `other`.
package final class QualityMetrics: Sendable {
    static let maximumSources = 200

    private struct Handles {
        let shown: Counter
        let done: [EventType: Counter]
        let diversity: Recorder

        init(_ source: Attribution.Source) {
            let dimensions = [
                ("surface", source.surface), ("model", source.model == 0 ? "none" : ModelVersion.name(source.model)),
                ("policy", source.policy), ("variant", source.variant),
            ]
            self.init(dimensions)
        }

        init(_ dimensions: [(String, String)]) {
            self.shown = Counter(label: "vireo_shown_items_total", dimensions: dimensions)
            self.done = Dictionary(
                uniqueKeysWithValues: [EventType.click, .purchase].map { type in
                    (
                        type,
                        Counter(
                            label: "vireo_attributed_events_total",
                            dimensions: [("type", type.rawValue)] + dimensions
                        )
                    )
                }
            )
            self.diversity = Recorder(label: "vireo_shown_categories", dimensions: dimensions, aggregate: true)
        }
    }

    private let handles = Mutex<[Attribution.Source: Handles]>([:])
    private let others = Handles(["surface", "model", "policy", "variant"].map { ($0, "other") })

    package init() {}

    /// How many sources are told apart.
    var count: Int { self.handles.withLock { $0.count } }

    /// Items of one slate were shown that had not been before.
    ///
    /// - Parameter categories: Of the first categories of them, how many there are.
    func shown(_ source: Attribution.Source, items: Int, categories: Int) {
        let handles = self.handles(of: source)
        handles.shown.increment(by: items)
        handles.diversity.record(categories)
    }

    /// An event that came of a slate was stored.
    func done(_ type: EventType, _ source: Attribution.Source) {
        self.handles(of: source).done[type]?.increment()
    }

    private func handles(of source: Attribution.Source) -> Handles {
        self.handles.withLock { handles in
            if let known = handles[source] { return known }
            guard handles.count < Self.maximumSources else { return self.others }
            let made = Handles(source)
            handles[source] = made
            return made
        }
    }
}

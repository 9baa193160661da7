import Metrics

/// What the final stage keeps out of slates: the correctness of what caches hold, seen where it is served.
struct FinalStageMetrics: Sendable {
    private enum Reason: String, CaseIterable {
        case tombstone, unavailable, seen, suppressed, policy, diversity
        case frequencyCap = "frequency_cap"

        func count(in filtered: FilteredCounts) -> Int {
            switch self {
            case .tombstone: filtered.tombstone
            case .unavailable: filtered.unavailable
            case .seen: filtered.seen
            case .suppressed: filtered.suppressed
            case .policy: filtered.policy
            case .diversity: filtered.diversity
            case .frequencyCap: filtered.frequencyCap
            }
        }
    }

    /// By ``Tier/index``.
    private let rejections: [[(reason: Reason, counter: Counter)]] = Tier.allCases.map { tier in
        Reason.allCases.map { reason in
            let dimensions = [("reason", reason.rawValue), ("path", tier.rawValue)]
            return (
                reason: reason,
                counter: Counter(label: "vireo_final_stage_rejections_total", dimensions: dimensions)
            )
        }
    }
    private let suppressionHits = Tier.allCases.map {
        Counter(label: "vireo_suppression_hits_total", dimensions: [("path", $0.rawValue)])
    }

    /// Counts one slate.
    ///
    /// - Parameter suppressedBefore: How many of `filtered.suppressed` were kept out when the pool was computed; the others
    ///   were in the pool, and only the final stage stood between them and the user.
    func served(_ filtered: FilteredCounts, from tier: Tier, suppressedBefore: Int) {
        for (reason, counter) in self.rejections[tier.index] {
            let count = reason.count(in: filtered)
            if count > 0 { counter.increment(by: count) }
        }
        let late = filtered.suppressed - suppressedBefore
        if late > 0 { self.suppressionHits[tier.index].increment(by: late) }
    }
}

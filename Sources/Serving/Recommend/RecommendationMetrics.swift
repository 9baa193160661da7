import Metrics

/// What serving counts. Handles are looked up when it is made, and found by number after that.
struct RecommendationMetrics: Sendable {
    /// The stages an answer may have, in the order of their handles.
    private static let stageNames: [StaticString] = ["control", "cache", "compute", "final", "fallback"]

    /// The handles of a tier.
    private struct ByTier: Sendable {
        let served: Counter
        let age: Metrics.Timer
        let stages: [Metrics.Timer]

        init(_ tier: Tier) {
            self.served = Counter(label: "vireo_recommendations_total", dimensions: [("tier", tier.rawValue)])
            self.age = Metrics.Timer(label: "vireo_pool_age_seconds", dimensions: [("tier", tier.rawValue)])
            self.stages = RecommendationMetrics.stageNames.map { name in
                let dimensions = [("stage", name.description), ("cache", tier.rawValue)]
                return Metrics.Timer(label: "vireo_stage_seconds", dimensions: dimensions)
            }
        }
    }

    let undecodable = Counter(label: "vireo_pools_undecodable_total")
    let poolSize = Recorder(label: "vireo_pool_candidates", aggregate: true)
    private let byTier = Tier.allCases.map(ByTier.init)
    private let byFallback: [Fallback: Counter] = Dictionary(
        uniqueKeysWithValues: Fallback.allCases.map {
            ($0, Counter(label: "vireo_fallbacks_total", dimensions: [("fallback", $0.rawValue)]))
        }
    )

    private let byDegradation: [Degradation: Counter] = Dictionary(
        uniqueKeysWithValues: Degradation.allCases.map {
            ($0, Counter(label: "vireo_degraded_total", dimensions: [("part", $0.rawValue)]))
        }
    )

    /// Counts an answer, once it is whole.
    func served(_ answer: Recommendation) {
        let tier = self.byTier[answer.tier.index]
        tier.served.increment()
        if let fallback = answer.fallback { self.byFallback[fallback]?.increment() }
        for degradation in answer.degraded { self.byDegradation[degradation]?.increment() }
        tier.age.recordMilliseconds(answer.ageMilliseconds)
        for stage in answer.stages {
            guard let index = Self.index(of: stage.name) else { continue }
            tier.stages[index].recordNanoseconds(stage.duration.wholeNanoseconds)
        }
    }

    private static func index(of name: StaticString) -> Int? {
        Self.stageNames.firstIndex { known in
            known.utf8CodeUnitCount == name.utf8CodeUnitCount
                && UnsafeBufferPointer(start: known.utf8Start, count: known.utf8CodeUnitCount)
                    .elementsEqual(UnsafeBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount))
        }
    }
}

extension Tier {
    /// The place among all tiers.
    var index: Int {
        switch self {
        case .l1: 0
        case .l2: 1
        case .stale: 2
        case .precomputed: 3
        case .computed: 4
        case .fallback: 5
        }
    }
}

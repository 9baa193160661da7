/// What a `PrometheusRegistry` is told once, at start.
package struct PrometheusSettings: Sendable {
    /// Help texts by exposed name (`vireo_compute_seconds`, not `vireo.compute`).
    package var help: [String: String]
    /// Upper bounds, in seconds, of every timer without bounds of its own.
    package var timerBuckets: [Double]
    /// Upper bounds of every aggregating recorder without bounds of its own.
    package var recorderBuckets: [Double]
    /// Upper bounds by exposed name.
    package var buckets: [String: [Double]]
    /// The most series one name may have; further label sets are counted and not kept.
    package var seriesLimit: Int

    package init(
        help: [String: String] = [:],
        timerBuckets: [Double] = Self.latencyBuckets,
        recorderBuckets: [Double] = Self.sizeBuckets,
        buckets: [String: [Double]] = [:],
        seriesLimit: Int = 2_000
    ) {
        self.help = help
        self.timerBuckets = timerBuckets
        self.recorderBuckets = recorderBuckets
        self.buckets = buckets
        self.seriesLimit = seriesLimit
    }

    /// 50 µs to 10 s.
    package static let latencyBuckets: [Double] = [
        0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
    ]

    /// 1 to a million, for counts and bytes.
    package static let sizeBuckets: [Double] = [
        1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 1_000_000,
    ]
}

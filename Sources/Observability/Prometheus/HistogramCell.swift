import Metrics
import Synchronization

/// One histogram series: a timer, or a recorder that aggregates.
///
/// An observation is two atomic additions: one to its own bucket, one to the sum. `_count` is the sum of the buckets as
/// read, so it always agrees with `+Inf`; `_sum` may be ahead or behind by the observations under way during a scrape.
final class HistogramCell: RecorderHandler, TimerHandler {
    let series: SeriesID
    private let shape: HistogramShape
    private let counts: AtomicCounts
    private let nanoseconds = Atomic<UInt64>(0)
    private let sum = Atomic<Double>(0)

    init(series: SeriesID, shape: HistogramShape) {
        self.series = series
        self.shape = shape
        counts = AtomicCounts(count: shape.labels.count)
    }

    func record(_ value: Int64) { record(Double(value)) }

    /// What is not finite would spoil the sum for good, and is ignored.
    func record(_ value: Double) {
        guard value.isFinite else { return }
        counts.increment(at: shape.bucket(of: value))
        sum.add(value)
    }

    /// A clock that went back counts as no time.
    func recordNanoseconds(_ duration: Int64) {
        let duration = max(duration, 0)
        counts.increment(at: shape.bucket(ofNanoseconds: duration))
        nanoseconds.wrappingAdd(UInt64(duration), ordering: .relaxed)
    }

    func render(to out: inout [UInt8]) {
        var cumulative: UInt64 = 0
        for (index, bound) in shape.labels.enumerated() {
            cumulative &+= counts.value(at: index)
            Exposition.appendSample(
                name: series.name,
                suffix: "_bucket",
                labels: series.labels,
                bound: bound,
                value: String(cumulative),
                to: &out
            )
        }
        let total = sum.load(ordering: .relaxed) + Double(nanoseconds.load(ordering: .relaxed)) / 1e9
        let count = String(cumulative)
        Exposition.appendSample(
            name: series.name,
            suffix: "_sum",
            labels: series.labels,
            value: Exposition.number(total),
            to: &out
        )
        Exposition.appendSample(name: series.name, suffix: "_count", labels: series.labels, value: count, to: &out)
    }
}

/// A fixed row of counters.
///
/// Unchecked, because of the pointer: it is set once, and what it points at is atomic.
private struct AtomicCounts: ~Copyable, @unchecked Sendable {
    private let cells: UnsafeMutableBufferPointer<Atomic<UInt64>>

    init(count: Int) {
        cells = .allocate(capacity: count)
        for index in 0..<count { cells.initializeElement(at: index, to: Atomic(0)) }
    }

    deinit {
        cells.deinitialize()
        cells.deallocate()
    }

    func increment(at index: Int) {
        precondition(cells.indices.contains(index))
        cells[index].wrappingAdd(1, ordering: .relaxed)
    }

    func value(at index: Int) -> UInt64 {
        precondition(cells.indices.contains(index))
        return cells[index].load(ordering: .relaxed)
    }
}

import Metrics
import Synchronization

/// One counter series, fed by integer and floating-point counters alike.
///
/// Whole increments are one atomic addition. At 2⁶⁴ they wrap, which Prometheus takes for a restart.
final class CounterCell: CounterHandler, FloatingPointCounterHandler {
    let series: SeriesID
    private let whole = Atomic<UInt64>(0)
    private let fractional = Atomic<Double>(0)

    init(series: SeriesID) {
        self.series = series
    }

    /// Counters do not go back: an amount that is not positive is ignored.
    func increment(by amount: Int64) {
        guard amount > 0 else { return }
        whole.wrappingAdd(UInt64(amount), ordering: .relaxed)
    }

    func increment(by amount: Double) {
        guard amount > 0, amount.isFinite else { return }
        fractional.add(amount)
    }

    func reset() {
        whole.store(0, ordering: .relaxed)
        fractional.store(0, ordering: .relaxed)
    }

    func render(to out: inout [UInt8]) {
        let count = whole.load(ordering: .relaxed)
        let rest = fractional.load(ordering: .relaxed)
        let value = rest == 0 ? String(count) : Exposition.number(Double(count) + rest)
        Exposition.appendSample(name: series.name, labels: series.labels, value: value, to: &out)
    }
}

extension Atomic where Value == Double {
    /// Adds by compare-and-exchange; there is no atomic addition of floating-point numbers.
    func add(_ amount: Double) {
        var current = load(ordering: .relaxed)
        while true {
            let (exchanged, original) = weakCompareExchange(
                expected: current,
                desired: current + amount,
                ordering: .relaxed
            )
            if exchanged { return }
            current = original
        }
    }
}

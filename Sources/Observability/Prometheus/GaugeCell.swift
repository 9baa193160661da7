import Metrics
import Synchronization

/// One gauge series: a meter, or a recorder that does not aggregate.
final class GaugeCell: MeterHandler, RecorderHandler {
    let series: SeriesID
    private let value = Atomic<Double>(0)

    init(series: SeriesID) {
        self.series = series
    }

    func set(_ value: Int64) { self.value.store(Double(value), ordering: .relaxed) }
    func set(_ value: Double) { self.value.store(value, ordering: .relaxed) }
    func record(_ value: Int64) { set(value) }
    func record(_ value: Double) { set(value) }

    func increment(by amount: Double) {
        guard amount.isFinite else { return }
        value.add(amount)
    }

    func decrement(by amount: Double) {
        increment(by: -amount)
    }

    func render(to out: inout [UInt8]) {
        let number = Exposition.number(value.load(ordering: .relaxed))
        Exposition.appendSample(name: series.name, labels: series.labels, value: number, to: &out)
    }
}

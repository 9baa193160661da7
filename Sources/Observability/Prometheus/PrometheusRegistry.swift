package import Metrics
import Synchronization

/// The process's metrics, as swift-metrics makes them and Prometheus reads them.
///
/// Making a handle takes the registry's lock; using one takes none. The same label and dimensions, in any order, give the
/// same handler, so a destroyed handle takes the series from everybody who holds one. Counters are exposed as `…_total`,
/// timers as histograms in `…_seconds`.
package final class PrometheusRegistry: MetricsFactory {
    package typealias Collector = @Sendable (inout SampleWriter) -> Void

    package static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    private struct State {
        var table: MetricTable
        var collectors: [Collector] = []
    }

    private let settings: PrometheusSettings
    private let state: Mutex<State>

    package init(settings: PrometheusSettings = PrometheusSettings()) {
        var settings = settings
        settings.help.merge(
            [MetricName.conflicts: MetricName.conflictsHelp, MetricName.droppedSeries: MetricName.droppedSeriesHelp],
            uniquingKeysWith: { given, _ in given }
        )
        self.settings = settings
        state = Mutex(State(table: MetricTable(seriesLimit: settings.seriesLimit)))
    }

    package convenience init(help: [String: String]) {
        self.init(settings: PrometheusSettings(help: help))
    }

    /// Adds values that are computed when Prometheus asks.
    ///
    /// A collector runs at each scrape, outside the registry's lock, on the scraping thread: it must not block.
    package func addCollector(_ collector: @escaping Collector) {
        state.withLock { $0.collectors.append(collector) }
    }

    package func render() -> [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity(16 * 1024)
        render(into: &out)
        return out
    }

    /// Appends the exposition: what the registry holds by name, then what the collectors wrote by name.
    package func render(into out: inout [UInt8]) {
        let (table, collectors) = state.withLock { ($0.table, $0.collectors) }
        var samples = SampleWriter(owners: table.owners, help: settings.help, seriesLimit: settings.seriesLimit)
        for collector in collectors { collector(&samples) }
        table.conflicts.increment(by: Int64(samples.refused))

        for family in table.families.values.sorted(by: { $0.name < $1.name }) {
            family.render(help: settings.help[family.name], to: &out)
        }
        samples.render(to: &out)
    }
}

extension PrometheusRegistry {
    package func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        counter(label, dimensions) ?? NOOPMetricsHandler.instance
    }

    package func makeFloatingPointCounter(
        label: String,
        dimensions: [(String, String)]
    ) -> any FloatingPointCounterHandler {
        counter(label, dimensions) ?? NOOPMetricsHandler.instance
    }

    package func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
        gauge(label, dimensions) ?? NOOPMetricsHandler.instance
    }

    package func makeRecorder(
        label: String,
        dimensions: [(String, String)],
        aggregate: Bool
    ) -> any RecorderHandler {
        if !aggregate { return gauge(label, dimensions) ?? NOOPMetricsHandler.instance }
        let name = MetricName.metric(label)
        return histogram(name, dimensions, buckets: settings.recorderBuckets) ?? NOOPMetricsHandler.instance
    }

    package func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        let name = MetricName.metric(label, suffix: "_seconds")
        return histogram(name, dimensions, buckets: settings.timerBuckets) ?? NOOPMetricsHandler.instance
    }

    private func counter(_ label: String, _ dimensions: [(String, String)]) -> CounterCell? {
        let labels = LabelSet(dimensions, reservingBucketLabel: false)
        let series = SeriesID(name: MetricName.metric(label, suffix: "_total"), labels: labels)
        guard case .counter(let cell) = state.withLock({ $0.table.cell(.counter, of: series) }) else { return nil }
        return cell
    }

    private func gauge(_ label: String, _ dimensions: [(String, String)]) -> GaugeCell? {
        let labels = LabelSet(dimensions, reservingBucketLabel: false)
        let series = SeriesID(name: MetricName.metric(label), labels: labels)
        guard case .gauge(let cell) = state.withLock({ $0.table.cell(.gauge, of: series) }) else { return nil }
        return cell
    }

    private func histogram(_ name: String, _ dimensions: [(String, String)], buckets: [Double]) -> HistogramCell? {
        let series = SeriesID(name: name, labels: LabelSet(dimensions, reservingBucketLabel: true))
        let bounds = settings.buckets[name] ?? buckets
        let cell = state.withLock { $0.table.cell(.histogram, of: series, bounds: bounds) }
        guard case .histogram(let cell) = cell else { return nil }
        return cell
    }
}

extension PrometheusRegistry {
    package func destroyCounter(_ handler: any CounterHandler) {
        if let cell = handler as? CounterCell { remove(cell.series, cell) }
    }

    package func destroyFloatingPointCounter(_ handler: any FloatingPointCounterHandler) {
        if let cell = handler as? CounterCell { remove(cell.series, cell) }
    }

    package func destroyMeter(_ handler: any MeterHandler) {
        if let cell = handler as? GaugeCell { remove(cell.series, cell) }
    }

    package func destroyRecorder(_ handler: any RecorderHandler) {
        if let cell = handler as? GaugeCell { remove(cell.series, cell) }
        if let cell = handler as? HistogramCell { remove(cell.series, cell) }
    }

    package func destroyTimer(_ handler: any TimerHandler) {
        if let cell = handler as? HistogramCell { remove(cell.series, cell) }
    }

    private func remove(_ series: SeriesID, _ handler: any AnyObject & Sendable) {
        state.withLock { $0.table.remove(series, ifHeldBy: handler) }
    }
}

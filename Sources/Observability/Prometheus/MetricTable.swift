/// The types of the text format that the registry knows.
enum MetricKind: String {
    case counter
    case gauge
    case histogram
}

/// Where a handler's series is in the table.
struct SeriesID {
    let name: String
    let labels: LabelSet
}

/// The metric families and their series: a value, so a scrape takes a copy and renders outside the lock.
struct MetricTable {
    enum Cell {
        case counter(CounterCell)
        case gauge(GaugeCell)
        case histogram(HistogramCell)
    }

    struct Family {
        let name: String
        let kind: MetricKind
        let shape: HistogramShape
        private(set) var cells: [Cell] = []
        private var positions: [LabelSet: Int] = [:]

        init(name: String, kind: MetricKind, bounds: [Double] = []) {
            self.name = name
            self.kind = kind
            shape = HistogramShape(bounds: bounds)
        }
    }

    private(set) var families: [String: Family] = [:]
    /// Every sample name in use and the family it belongs to: a histogram has three beside its own.
    private(set) var owners: [String: String] = [:]
    let conflicts: CounterCell
    private let seriesLimit: Int

    init(seriesLimit: Int) {
        self.seriesLimit = max(1, seriesLimit)
        let series = SeriesID(name: MetricName.conflicts, labels: .none)
        conflicts = CounterCell(series: series)
        var family = Family(name: series.name, kind: .counter)
        family.insert(.counter(conflicts), at: .none)
        families[series.name] = family
        owners[series.name] = series.name
    }

    /// The series' cell, made at the first call; nil, and counted, if the name is another type's or has no series left.
    mutating func cell(_ kind: MetricKind, of series: SeriesID, bounds: [Double] = []) -> Cell? {
        guard claim(series.name, as: kind) else {
            conflicts.increment(by: Int64(1))
            return nil
        }
        let cell = families[series.name, default: Family(name: series.name, kind: kind, bounds: bounds)]
            .cell(for: series, limit: seriesLimit)
        if cell == nil, series.name != MetricName.droppedSeries {
            countDropped(from: series.name)
        }
        return cell
    }

    /// Forgets a series whose handler was destroyed, and with its last one the name.
    mutating func remove(_ series: SeriesID, ifHeldBy handler: AnyObject) {
        guard families[series.name]?.remove(series.labels, ifHeldBy: handler) == true else { return }
        guard let family = families[series.name], family.cells.isEmpty else { return }
        families[series.name] = nil
        for name in Self.sampleNames(of: series.name, kind: family.kind) { owners[name] = nil }
    }

    private mutating func claim(_ name: String, as kind: MetricKind) -> Bool {
        if let family = families[name] { return family.kind == kind }
        let names = Self.sampleNames(of: name, kind: kind)
        guard names.allSatisfy({ owners[$0] == nil }) else { return false }
        for sample in names { owners[sample] = name }
        return true
    }

    private mutating func countDropped(from name: String) {
        let labels = LabelSet([("metric", name)], reservingBucketLabel: false)
        let series = SeriesID(name: MetricName.droppedSeries, labels: labels)
        if case .counter(let dropped) = cell(.counter, of: series) { dropped.increment(by: Int64(1)) }
    }

    private static func sampleNames(of name: String, kind: MetricKind) -> [String] {
        kind == .histogram ? [name, name + "_bucket", name + "_sum", name + "_count"] : [name]
    }
}

extension MetricTable.Family {
    mutating func cell(for series: SeriesID, limit: Int) -> MetricTable.Cell? {
        if let position = positions[series.labels] { return cells[position] }
        guard cells.count < limit else { return nil }
        let cell: MetricTable.Cell =
            switch kind {
            case .counter: .counter(CounterCell(series: series))
            case .gauge: .gauge(GaugeCell(series: series))
            case .histogram: .histogram(HistogramCell(series: series, shape: shape))
            }
        insert(cell, at: series.labels)
        return cell
    }

    mutating func insert(_ cell: MetricTable.Cell, at labels: LabelSet) {
        positions[labels] = cells.count
        cells.append(cell)
    }

    /// The last series takes the place of the one removed.
    mutating func remove(_ labels: LabelSet, ifHeldBy handler: AnyObject) -> Bool {
        guard let position = positions[labels], cells[position].handler === handler else { return false }
        positions[labels] = nil
        let last = cells.removeLast()
        if position < cells.count {
            cells[position] = last
            positions[last.series.labels] = position
        }
        return true
    }

    func render(help: String?, to out: inout [UInt8]) {
        Exposition.appendHeader(name: name, type: kind, help: help, to: &out)
        for cell in cells { cell.render(to: &out) }
    }
}

extension MetricTable.Cell {
    var handler: AnyObject {
        switch self {
        case .counter(let cell): cell
        case .gauge(let cell): cell
        case .histogram(let cell): cell
        }
    }

    var series: SeriesID {
        switch self {
        case .counter(let cell): cell.series
        case .gauge(let cell): cell.series
        case .histogram(let cell): cell.series
        }
    }

    func render(to out: inout [UInt8]) {
        switch self {
        case .counter(let cell): cell.render(to: &out)
        case .gauge(let cell): cell.render(to: &out)
        case .histogram(let cell): cell.render(to: &out)
        }
    }
}

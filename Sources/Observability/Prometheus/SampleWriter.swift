/// Takes the samples that collectors compute during one scrape.
///
/// All samples of a name stand together in the output, whichever collector wrote them. A sample is refused, and counted as a
/// conflict, when the registry has a metric of that name, when the name has another type or all its series already, or when
/// the series was written before.
package struct SampleWriter {
    private struct Family {
        let kind: MetricKind
        let help: String?
        private(set) var samples: [(labels: LabelSet, value: Double)] = []
        private var seen: Set<LabelSet> = []

        init(kind: MetricKind, help: String?) {
            self.kind = kind
            self.help = help
        }

        mutating func append(_ labels: LabelSet, _ value: Double, as kind: MetricKind, limit: Int) -> Bool {
            guard kind == self.kind, samples.count < limit, seen.insert(labels).inserted else { return false }
            samples.append((labels, value))
            return true
        }
    }

    private var families: [String: Family] = [:]
    private let owners: [String: String]
    private let help: [String: String]
    private let seriesLimit: Int
    private(set) var refused = 0

    init(owners: [String: String], help: [String: String], seriesLimit: Int) {
        self.owners = owners
        self.help = help
        self.seriesLimit = seriesLimit
    }

    /// A value that only grows; the name gets `_total` if it lacks it.
    package mutating func counter(
        _ name: String,
        _ value: Double,
        labels: [(String, String)] = [],
        help: String? = nil
    ) {
        write(MetricName.metric(name, suffix: "_total"), .counter, value, labels, help)
    }

    /// A value that goes up and down.
    package mutating func gauge(_ name: String, _ value: Double, labels: [(String, String)] = [], help: String? = nil) {
        write(MetricName.metric(name), .gauge, value, labels, help)
    }

    private mutating func write(
        _ name: String,
        _ kind: MetricKind,
        _ value: Double,
        _ dimensions: [(String, String)],
        _ help: String?
    ) {
        let labels = LabelSet(dimensions, reservingBucketLabel: false)
        guard owners[name] == nil else {
            refused += 1
            return
        }
        let taken = families[name, default: Family(kind: kind, help: self.help[name] ?? help)]
            .append(labels, value, as: kind, limit: seriesLimit)
        if !taken { refused += 1 }
    }

    func render(to out: inout [UInt8]) {
        for (name, family) in families.sorted(by: { $0.key < $1.key }) {
            Exposition.appendHeader(name: name, type: family.kind, help: family.help, to: &out)
            for sample in family.samples {
                let value = Exposition.number(sample.value)
                Exposition.appendSample(name: name, labels: sample.labels, value: value, to: &out)
            }
        }
    }
}

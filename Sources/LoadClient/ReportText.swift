import Histogram

/// How reports write figures for a person.
package enum ReportText {
    fileprivate static let percentiles = [("p50", 50.0), ("p90", 90.0), ("p99", 99.0), ("p99_9", 99.9)]

    /// To two decimals, where there are any.
    package static func number(_ value: Double) -> String {
        let rounded = (value * 100).rounded() / 100
        return rounded == rounded.rounded() && rounded.magnitude < 1e15 ? String(Int64(rounded)) : rounded.description
    }

    /// In the order of the names.
    package static func counts(_ counts: some Sequence<(key: String, value: Int)>) -> String {
        let texts = counts.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
        return texts.isEmpty ? "none" : texts.joined(separator: "  ")
    }

    /// Milliseconds at p50, p90, p99 and p99.9, and the largest, in columns.
    package static func row(_ durations: Durations) -> String {
        let values = self.percentiles.map { durations.valueAtPercentile($0.1) } + [durations.max]
        return values.map { value in
            let text = self.number(Double(value) / 1_000)
            return String(repeating: " ", count: max(1, 10 - text.utf8.count)) + text
        }.joined().dropFirst(2).description
    }
}

extension JSONWriter {
    /// An object of milliseconds by percentile.
    package mutating func member(_ name: String, _ durations: Durations) {
        self.open(name)
        for (name, percentile) in ReportText.percentiles {
            self.member(name, Double(durations.valueAtPercentile(percentile)) / 1_000)
        }
        self.member("max", Double(durations.max) / 1_000)
        self.member("count", Int(durations.totalCount))
        self.close()
    }

    /// An object of counts, in the order of their names.
    package mutating func member(_ name: String, _ counts: [String: Int]) {
        self.open(name)
        for (word, count) in counts.sorted(by: { $0.key < $1.key }) { self.member(word, count) }
        self.close()
    }
}

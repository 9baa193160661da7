/// The names that Prometheus accepts, made from whatever a library calls its metrics.
enum MetricName {
    static let conflictsHelp = "Metric handles refused because the name already belongs to another type."
    static let conflicts = "vireo_metric_conflicts_total"
    static let droppedSeries = "vireo_metric_series_dropped_total"
    static let droppedSeriesHelp = "Metric handles refused because the name has all the series it may have."

    /// `[a-zA-Z_:][a-zA-Z0-9_:]*`; every other scalar becomes an underscore.
    static func metric(_ label: String, suffix: String = "") -> String {
        let name = sanitised(label, allowingColon: true)
        return suffix.isEmpty || name.hasSuffix(suffix) ? name : name + suffix
    }

    /// `[a-zA-Z_][a-zA-Z0-9_]*`, without the leading `__` that Prometheus keeps for itself.
    static func label(_ label: String) -> String {
        let name = sanitised(label, allowingColon: false)
        guard name.utf8.starts(with: "__".utf8) else { return name }
        return "_" + name.drop { $0 == "_" }
    }

    private static func sanitised(_ text: String, allowingColon: Bool) -> String {
        func isAllowed(_ scalar: Unicode.Scalar) -> Bool {
            switch scalar {
            case "a"..."z", "A"..."Z", "0"..."9", "_": true
            case ":": allowingColon
            default: false
            }
        }
        guard let first = text.unicodeScalars.first else { return "_" }
        let startsWithDigit = ("0"..."9").contains(first)
        if !startsWithDigit, text.unicodeScalars.allSatisfy(isAllowed) { return text }

        var name = String.UnicodeScalarView()
        if startsWithDigit { name.append("_") }
        name.append(contentsOf: text.unicodeScalars.lazy.map { isAllowed($0) ? $0 : "_" })
        return String(name)
    }
}

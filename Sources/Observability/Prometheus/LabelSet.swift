/// The labels of one series as they are exposed, `a="1",b="2"`: sorted by name, so it is also the series' identity.
struct LabelSet: Hashable {
    let text: String

    static let none = LabelSet(text: "")

    /// Labels that are equal after sanitising are one label, and the first value given wins.
    ///
    /// An empty value is no label,
    /// as it is to Prometheus. Where `le` is the exposition's own, the caller's becomes `exported_le`.
    init(_ dimensions: [(String, String)], reservingBucketLabel: Bool) {
        guard !dimensions.isEmpty else {
            self = .none
            return
        }
        var pairs: [(name: String, value: String)] = []
        pairs.reserveCapacity(dimensions.count)
        for (label, value) in dimensions where !value.isEmpty {
            var name = MetricName.label(label)
            if reservingBucketLabel, name == "le" { name = "exported_le" }
            if !pairs.contains(where: { $0.name == name }) { pairs.append((name, value)) }
        }
        pairs.sort { $0.name < $1.name }

        var bytes: [UInt8] = []
        for pair in pairs {
            if !bytes.isEmpty { bytes.append(UInt8(ascii: ",")) }
            bytes += pair.name.utf8
            bytes += "=\"".utf8
            Exposition.append(escaping: pair.value, quotes: true, to: &bytes)
            bytes.append(UInt8(ascii: "\""))
        }
        self.init(text: String(decoding: bytes, as: UTF8.self))
    }

    private init(text: String) {
        self.text = text
    }
}

/// The buckets that all series of one histogram share.
struct HistogramShape {
    let bounds: [Double]
    /// The same bounds taken as seconds, so that a timer compares integers.
    let nanosecondBounds: [Int64]
    /// The same bounds as `le` values, with `+Inf` at the end.
    let labels: [String]

    init(bounds: [Double]) {
        let bounds = Set(bounds.filter(\.isFinite)).sorted()
        self.bounds = bounds
        nanosecondBounds = bounds.map { Int64(exactly: ($0 * 1e9).rounded()) ?? ($0 < 0 ? .min : .max) }
        labels = bounds.map(Exposition.number) + ["+Inf"]
    }

    func bucket(of value: Double) -> Int {
        Self.bucket(of: value, in: bounds)
    }

    func bucket(ofNanoseconds value: Int64) -> Int {
        Self.bucket(of: value, in: nanosecondBounds)
    }

    /// The first bound that is not less than the value.
    private static func bucket<Value: Comparable>(of value: Value, in bounds: [Value]) -> Int {
        var low = 0
        var high = bounds.count
        while low < high {
            let middle = (low + high) / 2
            if bounds[middle] < value { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

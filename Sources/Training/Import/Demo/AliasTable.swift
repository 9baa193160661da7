/// Draws an index by weight in constant time (Walker's alias method, built as Vose did).
struct AliasTable: Sendable {
    private var thresholds: [Double]
    private var aliases: [UInt32]

    /// - Parameter weights: At least one, none negative, not all zero. An index of weight zero is never drawn.
    init(_ weights: [Double]) {
        let mean = weights.reduce(0, +) / Double(weights.count)
        self.thresholds = weights.map { $0 / mean }
        self.aliases = (0..<UInt32(weights.count)).map(\.self)
        var small: [UInt32] = []
        var large: [UInt32] = []
        for index in self.aliases {
            if self.thresholds[Int(index)] < 1 { small.append(index) } else { large.append(index) }
        }
        while let low = small.last, let high = large.last {
            small.removeLast()
            self.aliases[Int(low)] = high
            self.thresholds[Int(high)] -= 1 - self.thresholds[Int(low)]
            if self.thresholds[Int(high)] < 1 {
                large.removeLast()
                small.append(high)
            }
        }
        // What rounding left over is about 1, or a weight of zero that found no partner.
        let heaviest = weights.indices.max { weights[$0] < weights[$1] } ?? 0
        for index in small + large {
            let isNever = weights[Int(index)] == 0
            self.thresholds[Int(index)] = isNever ? 0 : 1
            if isNever { self.aliases[Int(index)] = UInt32(heaviest) }
        }
    }

    var count: Int { self.thresholds.count }

    func draw(using generator: inout SplitMix64) -> Int {
        let index = generator.below(self.thresholds.count)
        return generator.unit() < self.thresholds[index] ? index : Int(self.aliases[index])
    }
}

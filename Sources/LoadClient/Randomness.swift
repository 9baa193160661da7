import Glibc

/// SplitMix64 (Steele, Lea, Flood 2014). One is made for each request from the seed and the request's number, so that
/// request 1,000 is the same whatever became of the 999 before it.
package struct SplitMix: RandomNumberGenerator {
    private var state: UInt64

    package init(seed: UInt64, number: UInt64 = 0) {
        self.state = seed
        // Mixed twice: states that lie one step apart would share all but one of their numbers.
        self.state = self.next() ^ (number &* 0xD134_2543_DE82_EF95)
        self.state = self.next()
    }

    package mutating func next() -> UInt64 {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var z = self.state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

/// Draws 0 ..< count, where k has the probability (k + 1)^-exponent over the sum of all.
package struct ZipfDistribution: Sendable {
    /// The probability of k or less.
    private let cumulative: [Double]

    package init(count: Int, exponent: Double) {
        var sum = 0.0
        var cumulative: [Double] = []
        cumulative.reserveCapacity(count)
        for k in 1...max(1, count) {
            sum += pow(Double(k), -exponent)
            cumulative.append(sum)
        }
        self.cumulative = cumulative.map { $0 / sum }
    }

    package func draw(using generator: inout some RandomNumberGenerator) -> Int {
        let point = Double.random(in: 0..<1, using: &generator)
        var low = 0
        var high = self.cumulative.count - 1
        while low < high {
            let middle = (low + high) / 2
            if self.cumulative[middle] > point { high = middle } else { low = middle + 1 }
        }
        return low
    }
}

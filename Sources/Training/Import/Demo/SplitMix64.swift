/// Steele, Lea, Flood: "Fast Splittable Pseudorandom Number Generators" (2014).
///
/// The same numbers for ever and everywhere, which neither the standard library's generators nor its ways of drawing from one
/// promise.
struct SplitMix64: Sendable {
    private var state: UInt64

    init(state: UInt64) {
        self.state = state
    }

    /// A generator of its own for one thing of one kind.
    init(seed: UInt64, stream: UInt64, index: Int = 0) {
        self.state = Self.mix(seed &+ Self.mix(stream &+ 1)) &+ Self.mix(UInt64(truncatingIfNeeded: index) &+ 1)
    }

    mutating func next() -> UInt64 {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        return Self.mix(self.state)
    }

    /// 0 up to a bound, the bound excluded; its bias is below 2^-32 for bounds below 2^32.
    mutating func below(_ bound: Int) -> Int {
        Int(self.next().multipliedFullWidth(by: UInt64(bound)).high)
    }

    /// 0 up to 1, 1 excluded.
    mutating func unit() -> Double {
        Double(self.next() >> 11) * 0x1p-53
    }

    /// About normal, mean 0 and deviation 1: the sum of twelve uniform numbers, which needs no logarithm.
    mutating func normal() -> Double {
        var sum = 0
        for _ in 0..<3 {
            let bits = self.next()
            sum += Int(bits & 0xFFFF) + Int(bits >> 16 & 0xFFFF) + Int(bits >> 32 & 0xFFFF) + Int(bits >> 48)
        }
        return Double(sum) / 65_536 - 6
    }

    private static func mix(_ value: UInt64) -> UInt64 {
        var value = value
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}

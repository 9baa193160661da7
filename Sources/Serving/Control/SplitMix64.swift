/// The generator by Steele, Lea and Flood, of which digests and lots take the finalizer: https://doi.org/10.1145/2660193.2660195.
enum SplitMix64 {
    /// What the state grows by from one number to the next: it keeps 0 from being mixed to 0.
    static let step: UInt64 = 0x9E37_79B9_7F4A_7C15
}

extension UInt64 {
    /// The number that SplitMix64 makes of this state: each bit depends on all.
    var mixed: UInt64 {
        var z = self
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

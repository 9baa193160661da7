/// Non-negative 16-bit floats, kept as bit patterns.
///
/// The x86-64 baseline has no instruction for `Float16`, and the library call costs more than the addition it feeds.
/// Without a sign, a shift puts exponent and fraction in place and a multiplication corrects the bias, exactly, for
/// subnormal numbers too.
enum HalfFloat {
    /// The largest finite pattern; anything above is infinite, not a number, or negative.
    static let largest: UInt16 = 0x7BFF

    private static let bias = Float(sign: .plus, exponent: 112, significand: 1)

    @inline(__always)
    static func decode(_ bits: UInt16) -> Float {
        Float(bitPattern: UInt32(bits) << 13) * Self.bias
    }

    /// The nearest pattern; below 0 and not a number become 0, what is too large the largest.
    static func encode(_ value: Float) -> UInt16 {
        guard value > 0 else { return 0 }
        return min(Float16(value).bitPattern, Self.largest)
    }
}

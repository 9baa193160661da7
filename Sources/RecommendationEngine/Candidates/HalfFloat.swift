/// 16-bit floats, kept as bit patterns.
///
/// The x86-64 baseline has no instruction for `Float16`, and the library call costs more than the addition it feeds. A shift
/// puts exponent and fraction in place and a multiplication corrects the bias, exactly, for subnormal numbers too.
enum HalfFloat {
    /// The largest finite pattern; a pattern whose ``magnitude`` is above it is infinite or no number.
    static let largest: UInt16 = 0x7BFF
    static let smallestNormal = Float(sign: .plus, exponent: -14, significand: 1)

    private static let bias = Float(sign: .plus, exponent: 112, significand: 1)

    @inline(__always)
    static func decode(_ bits: UInt16) -> Float {
        // The sign goes along in the shift and leaves its copies in the high bits of the exponent.
        let extended = UInt32(bitPattern: Int32(Int16(bitPattern: bits)) << 13) & 0x8FFF_E000
        return Float(bitPattern: extended) * Self.bias
    }

    /// The nearest pattern, ties to even; not a number becomes 0, what is too large the largest of its sign.
    @inline(__always)
    static func encode(_ value: Float) -> UInt16 {
        let sign = UInt16(truncatingIfNeeded: value.bitPattern >> 16) & 0x8000
        let magnitude = value.bitPattern & 0x7FFF_FFFF
        if magnitude < 0x3880_0000 {
            // Half floats below the smallest normal one are multiples of the last place of 0.5.
            let pattern = UInt16((Float(bitPattern: magnitude) + 0.5).bitPattern - 0x3F00_0000)
            return pattern == 0 ? 0 : sign | pattern
        }
        guard magnitude <= 0x7F80_0000 else { return 0 }
        guard magnitude < 0x477F_F000 else { return sign | Self.largest }
        let rebased = magnitude - 0x3800_0000
        return sign | UInt16((rebased + 0xFFF + (rebased >> 13 & 1)) >> 13)
    }

    /// The pattern without its sign.
    @inline(__always)
    static func magnitude(_ bits: UInt16) -> UInt16 { bits & 0x7FFF }

    /// Bits in the order of the numbers.
    @inline(__always)
    static func order(_ bits: UInt16) -> UInt16 { bits & 0x8000 == 0 ? bits | 0x8000 : ~bits }

    /// The pattern of ``order(_:)``.
    @inline(__always)
    static func pattern(order: UInt16) -> UInt16 { order & 0x8000 == 0 ? ~order : order & 0x7FFF }
}

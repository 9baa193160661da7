/// Base64 with the URL alphabet and no padding (RFC 4648, section 5).
enum Base64URL {
    private static var alphabet: StaticString { "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_" }
    private static let values: [UInt8] = {
        var values = [UInt8](repeating: 255, count: 256)
        for value in 0..<64 { values[Int(Self.character(UInt64(value)))] = UInt8(value) }
        return values
    }()

    /// The character of the lowest six bits.
    @inline(__always)
    private static func character(_ bits: UInt64) -> UInt8 { Self.alphabet.utf8Start[Int(bits & 63)] }

    /// Writes the four characters of three bytes, the lowest 24 bits of `group`.
    @inline(__always)
    static func write(_ group: UInt64, to target: UnsafeMutablePointer<UInt8>) {
        target[0] = Self.character(group >> 18)
        target[1] = Self.character(group >> 12)
        target[2] = Self.character(group >> 6)
        target[3] = Self.character(group)
    }

    static func encode(_ bytes: [UInt8]) -> String {
        String(unsafeUninitializedCapacity: (bytes.count * 4 + 2) / 3) { buffer in
            var output = 0
            var index = 0
            while index < bytes.count {
                let left = min(3, bytes.count - index)
                var group: UInt32 = 0
                for position in 0..<3 { group = group << 8 | (position < left ? UInt32(bytes[index + position]) : 0) }
                for position in 0...left {
                    buffer[output] = Self.character(UInt64(group >> UInt32(18 - 6 * position)))
                    output += 1
                }
                index += 3
            }
            return output
        }
    }

    /// The bytes of canonical text; nil for any other.
    static func decode(_ text: Substring) -> [UInt8]? {
        var bytes: [UInt8] = []
        var group: UInt32 = 0
        var bits = 0
        for character in text.utf8 {
            let value = Self.values[Int(character)]
            guard value != 255 else { return nil }
            group = group << 6 | UInt32(value)
            bits += 6
            if bits >= 8 {
                bits -= 8
                bytes.append(UInt8(truncatingIfNeeded: group >> UInt32(bits)))
                group &= (1 << UInt32(bits)) - 1
            }
        }
        return bits < 6 && group == 0 ? bytes : nil
    }
}

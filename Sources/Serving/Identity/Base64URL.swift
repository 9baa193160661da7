/// Base64 with the URL alphabet and no padding (RFC 4648, section 5).
enum Base64URL {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
    private static let values: [UInt8] = {
        var values = [UInt8](repeating: 255, count: 256)
        for (value, character) in Self.alphabet.enumerated() { values[Int(character)] = UInt8(value) }
        return values
    }()

    static func encode(_ bytes: [UInt8]) -> String {
        String(unsafeUninitializedCapacity: (bytes.count * 4 + 2) / 3) { buffer in
            var output = 0
            var index = 0
            while index < bytes.count {
                let left = min(3, bytes.count - index)
                var group: UInt32 = 0
                for position in 0..<3 { group = group << 8 | (position < left ? UInt32(bytes[index + position]) : 0) }
                for position in 0...left {
                    buffer[output] = Self.alphabet[Int(group >> UInt32(18 - 6 * position) & 63)]
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

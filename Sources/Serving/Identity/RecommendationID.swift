/// A ULID: 48 bits of milliseconds, 80 random bits, 26 characters of Crockford's base 32 (github.com/ulid/spec).
package struct RecommendationID: Sendable, Hashable {
    package let high: UInt64
    package let low: UInt64

    /// - Parameter random: 80 bits of it are taken. Two words rather than their generator, whose type a caller in another
    ///   module would have looked up for each of them.
    package init(milliseconds: Int64, random: (UInt64, UInt64)) {
        self.high = UInt64(bitPattern: milliseconds) << 16 | random.0 >> 48
        self.low = random.1
    }

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// The id that a text writes, as ``string`` does; nil for any other.
    package init?(_ text: String) {
        guard text.utf8.count == Self.length else { return nil }
        var (high, low): (UInt64, UInt64) = (0, 0)
        for character in text.utf8 {
            guard let digit = Self.digit(character) else { return nil }
            // The first character of 26 has three bits of 128.
            guard high >> 59 == 0 else { return nil }
            high = high << 5 | low >> 59
            low = low << 5 | digit
        }
        self.init(high: high, low: low)
    }

    /// When the answer was given, since 1970.
    package var milliseconds: Int64 { Int64(self.high >> 16) }

    package var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(16)
        for word in [self.high, self.low] {
            for shift in stride(from: 56, through: 0, by: -8) {
                bytes.append(UInt8(truncatingIfNeeded: word >> UInt64(shift)))
            }
        }
        return bytes
    }

    package var string: String {
        String(unsafeUninitializedCapacity: Self.length) { buffer in
            self.write(to: buffer.baseAddress!)
            return Self.length
        }
    }

    /// How many characters an id has.
    package static let length = 26

    /// Writes the id to memory that has room for ``length`` bytes.
    package func write(to target: UnsafeMutablePointer<UInt8>) {
        var high = self.high
        var low = self.low
        for index in stride(from: Self.length - 1, through: 0, by: -1) {
            target[index] = Self.alphabet.utf8Start[Int(low & 31)]
            low = low >> 5 | high << 59
            high >>= 5
        }
    }

    private static func digit(_ character: UInt8) -> UInt64? {
        (0..<32).first { Self.alphabet.utf8Start[$0] == character }.map { UInt64($0) }
    }

    private static var alphabet: StaticString { "0123456789ABCDEFGHJKMNPQRSTVWXYZ" }
}

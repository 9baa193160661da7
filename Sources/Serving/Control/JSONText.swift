/// The contents of JSON strings: what must be escaped is, everything else stays as it is (RFC 8259, section 7).
package enum JSONText {
    /// How many bytes a text takes.
    package static func length(_ text: UnsafeBufferPointer<UInt8>) -> Int {
        var length = text.count
        for byte in text where Self.isEscaped(byte) { length += Self.hasShortForm(byte) ? 1 : 5 }
        return length
    }

    /// Writes a text to memory that has room for ``length(_:)`` bytes; how many were written.
    @discardableResult
    package static func write(_ text: UnsafeBufferPointer<UInt8>, to target: UnsafeMutablePointer<UInt8>) -> Int {
        var cursor = target
        for byte in text {
            guard Self.isEscaped(byte) else {
                cursor.pointee = byte
                cursor += 1
                continue
            }
            cursor[0] = UInt8(ascii: "\\")
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): cursor[1] = byte
            case UInt8(ascii: "\n"): cursor[1] = UInt8(ascii: "n")
            case UInt8(ascii: "\r"): cursor[1] = UInt8(ascii: "r")
            case UInt8(ascii: "\t"): cursor[1] = UInt8(ascii: "t")
            default:
                cursor[1] = UInt8(ascii: "u")
                cursor[2] = UInt8(ascii: "0")
                cursor[3] = UInt8(ascii: "0")
                cursor[4] = byte < 0x10 ? UInt8(ascii: "0") : UInt8(ascii: "1")
                cursor[5] = Self.hexadecimal(byte & 15)
                cursor += 4
            }
            cursor += 2
        }
        return cursor - target
    }

    private static func isEscaped(_ byte: UInt8) -> Bool {
        byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\")
    }

    private static func hasShortForm(_ byte: UInt8) -> Bool {
        byte >= 0x20 || byte == UInt8(ascii: "\n") || byte == UInt8(ascii: "\r") || byte == UInt8(ascii: "\t")
    }

    private static func hexadecimal(_ digit: UInt8) -> UInt8 {
        digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10
    }
}

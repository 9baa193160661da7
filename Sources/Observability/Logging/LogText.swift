/// Text from anywhere, made safe for one line of a log.
enum LogText {
    /// The bytes of one string that are kept; what a client sends may be of any size.
    static let limit = 16 * 1024

    /// A JSON string, quotation marks included.
    static func appendQuoted(_ text: String, to out: inout [UInt8]) {
        out.append(UInt8(ascii: "\""))
        append(text, quoting: true, to: &out)
        out.append(UInt8(ascii: "\""))
    }

    /// The text with everything escaped that could end the line, steer a terminal or reorder what is read.
    ///
    /// That is C0 and C1 controls, line and paragraph separators and bidirectional controls, and with `quoting`, as JSON
    /// asks, `"` and `\`.
    static func append(_ text: String, quoting: Bool, to out: inout [UInt8]) {
        var text = text
        text.withUTF8 { bytes in
            var end = bytes.count
            if end > limit {
                end = limit
                while end > 0, bytes[end] & 0xC0 == 0x80 { end -= 1 }
            }
            append(UnsafeBufferPointer(rebasing: bytes[..<end]), quoting: quoting, to: &out)
            if end < bytes.count { out += "… (\(bytes.count) bytes)".utf8 }
        }
    }

    private static func append(_ bytes: UnsafeBufferPointer<UInt8>, quoting: Bool, to out: inout [UInt8]) {
        out.reserveCapacity(out.count + bytes.count)
        var index = 0
        while index < bytes.count {
            let byte = bytes[index]
            index += 1
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                if quoting { out.append(UInt8(ascii: "\\")) }
                out.append(byte)
            case UInt8(ascii: "\n"): out += "\\n".utf8
            case UInt8(ascii: "\r"): out += "\\r".utf8
            case UInt8(ascii: "\t"): out += "\\t".utf8
            case 0..<0x20, 0x7F: appendEscape(UInt16(byte), to: &out)
            case 0xC2 where bytes[index] < 0xA0:
                appendEscape(UInt16(bytes[index]), to: &out)
                index += 1
            case 0xE2:
                // A Swift string is valid UTF-8, so the two continuation bytes are there.
                let scalar = 0x2000 | UInt16(bytes[index] & 0x3F) << 6 | UInt16(bytes[index + 1] & 0x3F)
                if isLayoutControl(scalar) {
                    appendEscape(scalar, to: &out)
                } else {
                    out.append(byte)
                    out.append(bytes[index])
                    out.append(bytes[index + 1])
                }
                index += 2
            default: out.append(byte)
            }
        }
    }

    private static func isLayoutControl(_ scalar: UInt16) -> Bool {
        switch scalar {
        case 0x200E, 0x200F, 0x2028...0x202E, 0x2066...0x2069: true
        default: false
        }
    }

    private static func appendEscape(_ unit: UInt16, to out: inout [UInt8]) {
        out += "\\u".utf8
        for shift in [UInt16(12), 8, 4, 0] {
            let digit = UInt8(truncatingIfNeeded: unit >> shift & 0xF)
            out.append(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10)
        }
    }
}

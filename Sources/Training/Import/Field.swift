import RecommendationCore

/// Values of the fields of a line.
enum Field {
    /// UTF-8 that PostgreSQL can hold: no NUL.
    static func text(_ bytes: ArraySlice<UInt8>, _ column: String) throws(Rejection) -> String {
        guard let text = String(validating: bytes, as: UTF8.self), !bytes.contains(0) else {
            throw .invalidText(column: column)
        }
        return text
    }

    static func id<Entity>(_ bytes: ArraySlice<UInt8>, _ column: String) throws(Rejection) -> Identifier<Entity> {
        // Nearly all ids are of printable ASCII, where one look at each byte is all there is to check.
        let plain = bytes.withUnsafeBufferPointer { bytes -> String? in
            guard (1...IdentifierError.maximumLength).contains(bytes.count) else { return nil }
            guard bytes.allSatisfy({ (0x20..<0x7F).contains($0) }) else { return nil }
            return String(decoding: bytes, as: UTF8.self)
        }
        if let plain { return Identifier(trusted: plain) }
        guard let text = String(validating: bytes, as: UTF8.self) else { throw .invalidText(column: column) }
        do throws(IdentifierError) {
            return try Self.identifier(text)
        } catch {
            throw .invalidID(column: column, error)
        }
    }

    /// As `Identifier(validating:)`, which goes by characters where this goes by bytes.
    static func identifier<Entity>(_ text: String) throws(IdentifierError) -> Identifier<Entity> {
        guard Self.isIdentifier(text) else { return try Identifier(validating: text) }
        return Identifier(trusted: text)
    }

    static func isIdentifier(_ text: String) -> Bool {
        var text = text
        return text.withUTF8 { bytes in
            guard (1...IdentifierError.maximumLength).contains(bytes.count) else { return false }
            var last: UInt8 = 0
            for byte in bytes {
                // U+0080 to U+009F are C2 80 to C2 9F.
                if byte < 0x20 || byte == 0x7F || (last == 0xC2 && byte < 0xA0) { return false }
                last = byte
            }
            return true
        }
    }

    static func isStorable(_ text: String) -> Bool { !text.utf8.contains(0) }

    static func integer(_ bytes: ArraySlice<UInt8>, _ column: String) throws(Rejection) -> Int64 {
        let digits = bytes.first == UInt8(ascii: "-") ? bytes.dropFirst() : bytes
        guard !digits.isEmpty, digits.allSatisfy({ (0x30...0x39).contains($0) }) else {
            throw .badNumber(column: column)
        }
        // Digits only: what does not fit is out of range, not malformed.
        guard let value = Int64(String(decoding: bytes, as: UTF8.self)) else { throw .outOfRange(column: column) }
        return value
    }

    /// A decimal number; not the hexadecimal ones, infinities and NaNs that Swift reads as well.
    static func number(
        _ bytes: ArraySlice<UInt8>,
        _ column: String,
        in allowed: ClosedRange<Float>
    ) throws(Rejection) -> Float {
        let text = String(decoding: bytes, as: UTF8.self)
        guard Self.isDecimal(text), let value = Float(text) else { throw .badNumber(column: column) }
        guard allowed.contains(value) else { throw .outOfRange(column: column) }
        return value
    }

    static func isDecimal(_ text: String) -> Bool {
        text.utf8.allSatisfy { byte in
            switch byte {
            case 0x30...0x39, UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "+"), UInt8(ascii: "e"),
                UInt8(ascii: "E"):
                true
            default: false
            }
        }
    }
}

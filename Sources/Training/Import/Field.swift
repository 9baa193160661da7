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
        guard let text = String(validating: bytes, as: UTF8.self) else { throw .invalidText(column: column) }
        do throws(IdentifierError) {
            return try Identifier(validating: text)
        } catch {
            throw .invalidID(column: column, error)
        }
    }

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
        let isDecimal = bytes.allSatisfy { byte in
            switch byte {
            case 0x30...0x39, UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "+"), UInt8(ascii: "e"),
                UInt8(ascii: "E"):
                true
            default: false
            }
        }
        guard isDecimal, let value = Float(String(decoding: bytes, as: UTF8.self)) else {
            throw .badNumber(column: column)
        }
        guard allowed.contains(value) else { throw .outOfRange(column: column) }
        return value
    }
}

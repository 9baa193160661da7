import Postgres
import RecommendationCore

/// Labels as PostgreSQL writes them: a `jsonb` object of strings.
///
/// They are written as two arrays, by `jsonb_object(names, values)`, so that only reading takes a parser, and that of what
/// the server has normalised.
enum LabelDocument {
    static func decode(_ row: borrowing PostgresRow, _ column: Int) throws(PostgresError) -> [String: String] {
        let text = try row.decode(column, as: PostgresJSON.self).text
        if text == "{}" { return [:] }
        guard let labels = Self.parse(text) else { throw row.refusal(of: column, as: PostgresJSON.self) }
        return labels
    }

    /// Appends the names and the values, each an array, in the same order.
    static func bind(_ labels: [String: String], to bindings: inout PostgresBindings) {
        let members = labels.sorted { $0.key < $1.key }
        bindings.append(members.map(\.key))
        bindings.append(members.map(\.value))
    }

    /// The next field of a COPY.
    static func decode(_ row: inout PostgresCopyRow) throws -> [String: String] {
        let text = try row.decode(as: PostgresJSON.self).text
        if text == "{}" { return [:] }
        guard let labels = Self.parse(text) else { throw RepositoryError.corrupt("labels that are not strings") }
        return labels
    }

    /// The members of an object of strings; nil for any other text.
    static func parse(_ text: String) -> [String: String]? {
        var rest = Array(text.utf8)[...]
        var labels: [String: String] = [:]
        func skip(_ byte: UInt8) -> Bool {
            while rest.first == 0x20 { rest.removeFirst() }
            guard rest.first == byte else { return false }
            rest.removeFirst()
            return true
        }
        guard skip(UInt8(ascii: "{")) else { return nil }
        if skip(UInt8(ascii: "}")) { return rest.isEmpty ? labels : nil }
        repeat {
            guard skip(UInt8(ascii: "\"")), let name = Self.string(&rest), skip(UInt8(ascii: ":")),
                skip(UInt8(ascii: "\"")), let value = Self.string(&rest)
            else { return nil }
            labels[name] = value
        } while skip(UInt8(ascii: ","))
        return skip(UInt8(ascii: "}")) && rest.isEmpty ? labels : nil
    }

    /// The rest of a string after its opening quote. PostgreSQL writes a character outside ASCII as itself; only control
    /// characters, the quote and the backslash are escaped.
    private static func string(_ rest: inout ArraySlice<UInt8>) -> String? {
        var bytes: [UInt8] = []
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "\""): return String(validating: bytes, as: UTF8.self)
            case UInt8(ascii: "\\"):
                guard let escaped = Self.escaped(&rest) else { return nil }
                bytes.append(escaped)
            default: bytes.append(byte)
            }
        }
        return nil
    }

    private static func escaped(_ rest: inout ArraySlice<UInt8>) -> UInt8? {
        switch rest.popFirst() {
        case UInt8(ascii: "\""): return UInt8(ascii: "\"")
        case UInt8(ascii: "\\"): return UInt8(ascii: "\\")
        case UInt8(ascii: "/"): return UInt8(ascii: "/")
        case UInt8(ascii: "b"): return 0x08
        case UInt8(ascii: "f"): return 0x0C
        case UInt8(ascii: "n"): return 0x0A
        case UInt8(ascii: "r"): return 0x0D
        case UInt8(ascii: "t"): return 0x09
        case UInt8(ascii: "u"):
            let digits = rest.prefix(4)
            rest = rest.dropFirst(4)
            guard digits.count == 4, let unit = UInt16(String(decoding: digits, as: UTF8.self), radix: 16), unit < 0x80
            else { return nil }
            return UInt8(unit)
        default: return nil
        }
    }
}

/// A JSON document as it was sent: members in order, strings as the bytes they are.
enum JSONValue: Sendable {
    case null
    case bool(Bool)
    /// A number that is written as an integer and fits.
    case integer(Int64)
    /// Any other number; infinite where it is out of range.
    case number(Double)
    case string(String)
    case array([JSONValue])
    case object([JSONMember])
}

struct JSONMember: Sendable {
    let name: String
    let value: JSONValue
}

/// Why bytes are not a JSON document that is taken.
struct JSONError: Error, Sendable, Equatable {
    enum Reason: String, Sendable {
        case unexpectedEnd = "the document ends too early"
        case unexpectedByte = "unexpected byte"
        case trailingBytes = "there is something after the document"
        case badNumber = "not a JSON number"
        case badEscape = "not a JSON escape"
        case controlCharacter = "a control character in a string must be escaped"
        case badUTF8 = "a string is not UTF-8"
        case tooDeep = "nested too deeply"
        case duplicateName = "a name comes twice"
    }

    let reason: Reason
    /// The byte at which reading stopped.
    let offset: Int
    /// The value that was being read.
    let pointer: Pointer
}

extension Problem {
    init(_ error: JSONError) {
        let code = error.reason == .duplicateName ? "duplicate_key" : "malformed_json"
        self = .malformed(
            code,
            "\(error.reason.rawValue), at byte \(error.offset)",
            errors: [FieldError(pointer: error.pointer.string, code: code, allowed: nil)]
        )
    }
}

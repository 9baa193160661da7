package import RecommendationCore

/// Why a line of a file was left out.
package enum Rejection: Error, Equatable, Sendable {
    case missingColumn(expected: Int, found: Int)
    case tooManyColumns(expected: Int)
    /// A quoted field that does not end, or goes on after its closing quote.
    case badQuoting
    /// What is wrong, and at which byte of the line, from 1.
    case malformedJSON(String, at: Int)
    case notAnObject
    case unknownField(String)
    case repeatedField(String)
    case missingField(String)
    case badField(String, allowed: String)
    case invalidText(column: String)
    case invalidID(column: String, IdentifierError)
    case badNumber(column: String)
    case outOfRange(column: String)
    case unknownType(String)
    /// The file names the item, or the user, before; the first line counts.
    case duplicateItem
    case duplicateUser
    /// The file has the event before; found by a validation only, an import stores it once.
    case duplicateEvent
    /// The catalogue has no such item.
    case unknownItem
    /// An item as its own neighbour.
    case selfNeighbour
    /// The file has this neighbour of the item before; the first line counts.
    case duplicateNeighbour

    /// The reason as a program reads it.
    package var code: String {
        switch self {
        case .missingColumn: "missing_column"
        case .tooManyColumns: "too_many_columns"
        case .badQuoting: "bad_quoting"
        case .malformedJSON: "malformed_json"
        case .notAnObject: "not_an_object"
        case .unknownField: "unknown_field"
        case .repeatedField: "repeated_field"
        case .missingField: "missing_field"
        case .badField: "bad_field"
        case .invalidText: "invalid_text"
        case .invalidID: "invalid_id"
        case .badNumber: "bad_number"
        case .outOfRange: "out_of_range"
        case .unknownType: "unknown_type"
        case .duplicateItem: "duplicate_item"
        case .duplicateUser: "duplicate_user"
        case .duplicateEvent: "duplicate_event"
        case .unknownItem: "unknown_item"
        case .selfNeighbour: "self_neighbour"
        case .duplicateNeighbour: "duplicate_neighbour"
        }
    }
}

extension Rejection: CustomStringConvertible {
    package var description: String {
        switch self {
        case .missingColumn(let expected, let found): "missing column: \(found) of \(expected)"
        case .tooManyColumns(let expected): "more than \(expected) columns"
        case .badQuoting: "bad quoting"
        case .malformedJSON(let what, let place): "malformed JSON at byte \(place): \(what)"
        case .notAnObject: "not a JSON object"
        case .unknownField(let name): "unknown field \"\(name.printable)\""
        case .repeatedField(let name): "\(name) comes twice"
        case .missingField(let name): "\(name) is missing"
        case .badField(let name, let allowed): "\(name) must be \(allowed)"
        case .invalidText(let column): "\(column) is not UTF-8 text without NUL"
        case .invalidID(let column, let error):
            switch error {
            case .empty: "\(column) is empty"
            case .tooLong(let length): "\(column) has \(length) bytes, \(IdentifierError.maximumLength) are allowed"
            case .controlCharacter: "\(column) holds a control character"
            }
        case .badNumber(let column): "\(column) is not a number"
        case .outOfRange(let column): "\(column) is out of range"
        case .unknownType(let name): "unknown type \"\(name.printable)\"; it must be \(FeedbackDocument.types)"
        case .duplicateItem: "duplicate item"
        case .duplicateUser: "duplicate user"
        case .duplicateEvent: "duplicate event"
        case .unknownItem: "unknown item"
        case .selfNeighbour: "an item is its own neighbour"
        case .duplicateNeighbour: "duplicate neighbour"
        }
    }
}

extension String {
    /// Without control characters, which a terminal would obey.
    fileprivate var printable: String {
        String(
            String.UnicodeScalarView(self.unicodeScalars.map { $0.properties.generalCategory == .control ? "?" : $0 })
        )
    }
}

/// A line of a file that was left out.
package struct RejectedLine: Equatable, Sendable, CustomStringConvertible {
    package var file: String
    /// From 1; the header is line 1.
    package var line: Int
    package var reason: Rejection

    package init(file: String, line: Int, reason: Rejection) {
        self.file = file
        self.line = line
        self.reason = reason
    }

    package var description: String { "\(self.file):\(self.line): \(self.reason)" }
}

/// How many lines were left out, and the first of them.
package struct RejectedLines: Equatable, Sendable {
    package static let kept = 100

    package private(set) var count = 0
    package private(set) var first: [RejectedLine] = []
    /// By the code of the reason.
    package private(set) var reasons: [String: Int] = [:]

    package init() {}

    mutating func add(_ line: RejectedLine) {
        self.count += 1
        self.reasons[line.reason.code, default: 0] += 1
        if self.first.count < Self.kept { self.first.append(line) }
    }

    /// Lines of a later part of the import.
    mutating func add(_ later: RejectedLines) {
        self.count += later.count
        self.reasons.merge(later.reasons, uniquingKeysWith: +)
        self.first.append(contentsOf: later.first.prefix(Self.kept - self.first.count))
    }

    /// Lines of the same chunk that were found out after it was read: they belong between those the parser rejected.
    mutating func add(_ lines: [Int], file: String, reason: Rejection) {
        guard !lines.isEmpty else { return }
        self.count += lines.count
        self.reasons[reason.code, default: 0] += lines.count
        self.first += lines.sorted().prefix(Self.kept).map { RejectedLine(file: file, line: $0, reason: reason) }
        self.first.sort { $0.line < $1.line }
        self.first.removeLast(max(0, self.first.count - Self.kept))
    }
}

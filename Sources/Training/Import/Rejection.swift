package import RecommendationCore

/// Why a line of a file was left out.
package enum Rejection: Error, Equatable, Sendable {
    case missingColumn(expected: Int, found: Int)
    case tooManyColumns(expected: Int)
    /// A quoted field that does not end on its line, or goes on after its closing quote.
    case badQuoting
    case invalidText(column: String)
    case invalidID(column: String, IdentifierError)
    case badNumber(column: String)
    case outOfRange(column: String)
    /// The file names the item before; the first line counts.
    case duplicateItem
    /// The catalogue has no such item.
    case unknownItem
}

extension Rejection: CustomStringConvertible {
    package var description: String {
        switch self {
        case .missingColumn(let expected, let found): "missing column: \(found) of \(expected)"
        case .tooManyColumns(let expected): "more than \(expected) columns"
        case .badQuoting: "bad quoting"
        case .invalidText(let column): "\(column) is not UTF-8 text"
        case .invalidID(let column, let error):
            switch error {
            case .empty: "\(column) is empty"
            case .tooLong(let length): "\(column) has \(length) bytes, \(IdentifierError.maximumLength) are allowed"
            case .controlCharacter: "\(column) holds a control character"
            }
        case .badNumber(let column): "\(column) is not a number"
        case .outOfRange(let column): "\(column) is out of range"
        case .duplicateItem: "duplicate item"
        case .unknownItem: "unknown item"
        }
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

    package init() {}

    mutating func add(_ line: RejectedLine) {
        self.count += 1
        if self.first.count < Self.kept { self.first.append(line) }
    }

    /// Lines of a later part of the import.
    mutating func add(_ later: RejectedLines) {
        self.count += later.count
        self.first.append(contentsOf: later.first.prefix(Self.kept - self.first.count))
    }

    /// Lines of the same chunk that the store does not know the item of: they belong between those the parser rejected.
    mutating func add(unknownItems lines: [Int], file: String) {
        self.count += lines.count
        self.first += lines.sorted().prefix(Self.kept).map { RejectedLine(file: file, line: $0, reason: .unknownItem) }
        self.first.sort { $0.line < $1.line }
        self.first.removeLast(max(0, self.first.count - Self.kept))
    }
}

package import RecommendationCore

/// Why an import could not begin or go on.
///
/// What it stored before stays: the same import run again goes on from there.
package enum ImportError: Error, Equatable, Sendable {
    case unreadable(path: String, reason: String)
    case badHeader(path: String, expected: String, found: String)
    /// A line longer than what is read at once: not a file of lines.
    case lineTooLong(path: String, line: Int)
    /// A size of demo data outside what is allowed.
    case outOfRange(name: String, value: Int, allowed: ClosedRange<Int>)
    /// A format without the kind it needs, or with one it does not take.
    case badUsage(String)
    case repository(RepositoryError, reached: ImportPosition)
    case cancelled(reached: ImportPosition)
}

/// How far an import got.
package struct ImportPosition: Equatable, Sendable {
    package enum Generation: Equatable, Sendable {
        /// Nothing had changed.
        case untouched
        /// Raised for what had changed.
        case raised
        /// Something changed and the generation could not be raised: results computed before may be served on.
        case due
    }

    /// Items that were dealt with, whether they were new or not.
    package var items: Int
    /// Users that were dealt with, whether they were new or not.
    package var users: Int
    /// Interactions that were dealt with, whether they were new or not.
    package var interactions: Int
    package var generation: Generation

    package init(items: Int = 0, users: Int = 0, interactions: Int = 0, generation: Generation = .untouched) {
        self.items = items
        self.users = users
        self.interactions = interactions
        self.generation = generation
    }
}

extension ImportError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .unreadable(let path, let reason): "cannot read \(path): \(reason)"
        case .badHeader(let path, let expected, let found):
            "\(path) begins with \"\(found)\"; expected \"\(expected)\""
        case .lineTooLong(let path, let line):
            "\(path) line \(line) is longer than \(LineReader.maximumLength) bytes"
        case .outOfRange(let name, let value, let allowed):
            "\(name) must be \(allowed.lowerBound) to \(allowed.upperBound), not \(value)"
        case .badUsage(let what): what
        case .repository(let error, let reached): "\(Self.describe(error)), \(reached)"
        case .cancelled(let reached): "cancelled, \(reached)"
        }
    }

    private static func describe(_ error: RepositoryError) -> String {
        switch error {
        case .unavailable(let what): "the store cannot be used (\(what))"
        case .outcomeUnknown: "the connection was lost while committing"
        case .conflict(let what): "the store refused (\(what))"
        case .corrupt(let what): "stored data is damaged (\(what))"
        case .failed(let what): "the store answered with an error (\(what))"
        }
    }
}

extension ImportPosition: CustomStringConvertible {
    package var description: String {
        let users = self.users > 0 ? ", \(self.users) users" : ""
        let done = "after \(self.items) items\(users) and \(self.interactions) interactions; run it again to go on"
        return self.generation == .due ? "\(done); results computed before are still served" : done
    }
}

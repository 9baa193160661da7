import FoundationEssentials
import Observability
import Synchronization

/// A sink that keeps its lines.
final class LogCapture: Sendable {
    private let kept = Mutex<[[UInt8]]>([])

    var sink: LogSink {
        { line in self.kept.withLock { $0.append(line) } }
    }

    var lines: [String] {
        kept.withLock { $0.map { String(decoding: $0, as: UTF8.self) } }
    }

    func records() throws -> [JSONValue] {
        try kept.withLock { $0 }.map { try JSONDecoder().decode(JSONValue.self, from: Data($0)) }
    }
}

enum JSONValue: Decodable, Equatable {
    case bool(Bool)
    case number(Double)
    case string(String)
    case array([JSONValue])
    case object([String: JSONValue])

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let value = try? container.decode(Bool.self) {
            self = .bool(value)
        } else if let value = try? container.decode(Double.self) {
            self = .number(value)
        } else if let value = try? container.decode(String.self) {
            self = .string(value)
        } else if let value = try? container.decode([JSONValue].self) {
            self = .array(value)
        } else {
            self = .object(try container.decode([String: JSONValue].self))
        }
    }

    subscript(key: String) -> JSONValue? {
        if case .object(let fields) = self { fields[key] } else { nil }
    }
}

extension JSONValue: ExpressibleByStringLiteral {
    init(stringLiteral value: String) { self = .string(value) }
}

import RecommendationCore

/// The fields of one document, by the place of their names; a field that is null is as one that is absent.
struct Document: Sendable {
    let names: [String]
    private(set) var values: [DocumentValue?]

    init(_ names: [String]) {
        self.names = names
        self.values = Array(repeating: nil, count: names.count)
    }

    mutating func clear() {
        for index in self.values.indices { self.values[index] = nil }
    }

    mutating func set(_ field: Int, to value: DocumentValue?) { self.values[field] = value }

    // MARK: Values

    func identifier<Entity>(_ field: Int) throws(Rejection) -> Identifier<Entity> {
        guard let value = self.values[field] else { throw .missingField(self.names[field]) }
        return try self.identifier(value, field)
    }

    func optionalIdentifier<Entity>(_ field: Int) throws(Rejection) -> Identifier<Entity>? {
        guard let value = self.values[field] else { return nil }
        return try self.identifier(value, field)
    }

    func text(_ field: Int, maximum: Int) throws(Rejection) -> String? {
        guard let value = self.values[field] else { return nil }
        return try self.text(value, field, maximum: maximum)
    }

    func flag(_ field: Int) throws(Rejection) -> Bool? {
        switch self.values[field] {
        case nil: nil
        case .bool(let flag): flag
        case .cell("true"): true
        case .cell("false"): false
        default: throw self.bad(field, "true or false")
        }
    }

    /// Read as what it is stored as, so that no digit is rounded twice.
    func number<Number: LosslessStringConvertible & BinaryFloatingPoint>(
        _ field: Int,
        in allowed: ClosedRange<Number>
    ) throws(Rejection) -> Number? {
        let text: String
        switch self.values[field] {
        case nil: return nil
        case .number(let number): text = number
        case .cell(let cell) where Field.isDecimal(cell): text = cell
        default: throw .badNumber(column: self.names[field])
        }
        guard let number = Number(text) else { throw .badNumber(column: self.names[field]) }
        guard allowed.contains(number) else { throw .outOfRange(column: self.names[field]) }
        return number
    }

    func integer(_ field: Int, in allowed: ClosedRange<Int>) throws(Rejection) -> Int? {
        let text: String
        switch self.values[field] {
        case nil: return nil
        case .number(let number): text = number
        case .cell(let cell): text = cell
        default: throw .badNumber(column: self.names[field])
        }
        guard let number = Int(text) else { throw .badNumber(column: self.names[field]) }
        guard allowed.contains(number) else { throw .outOfRange(column: self.names[field]) }
        return number
    }

    func timestamp(_ field: Int) throws(Rejection) -> Timestamp? {
        let text: String
        switch self.values[field] {
        case nil: return nil
        case .string(let string): text = string
        case .cell(let cell): text = cell
        default: throw self.bad(field, TimestampText.allowed)
        }
        guard let timestamp = TimestampText.parse(text) else { throw self.bad(field, TimestampText.allowed) }
        return timestamp
    }

    /// Strings; in a cell they are joined by `|`.
    func list(_ field: Int, maximum: Int) throws(Rejection) -> [String] {
        let allowed = "up to \(maximum) names of \(IdentifierError.allowed)"
        let names: [String]
        switch self.values[field] {
        case nil: return []
        case .array(let elements):
            var strings: [String] = []
            for element in elements {
                guard case .string(let string) = element else { throw self.bad(field, allowed) }
                strings.append(string)
            }
            names = strings
        case .cell(let cell):
            names = cell.utf8.split(separator: UInt8(ascii: "|")).map { String(Substring($0)) }
        default: throw self.bad(field, allowed)
        }
        guard names.count <= maximum else { throw self.bad(field, allowed) }
        for name in names {
            guard Field.isIdentifier(name) else { throw self.bad(field, allowed) }
        }
        return names
    }

    /// Strings by name; in a cell they are a JSON object.
    func labels(_ field: Int) throws(Rejection) -> [String: String] {
        let members: [DocumentValue.Member]
        switch self.values[field] {
        case nil: return [:]
        case .object(let object): members = object
        case .cell(let cell):
            guard case .object(let object) = try JSONLine.value(Array(cell.utf8)[...]) else {
                throw self.bad(field, Self.allowedLabels)
            }
            members = object
        default: throw self.bad(field, Self.allowedLabels)
        }
        guard members.count <= Self.maximumLabels else { throw self.bad(field, Self.allowedLabels) }
        var labels: [String: String] = [:]
        for member in members {
            guard case .string(let text) = member.value, Field.isIdentifier(member.name),
                text.utf8.count <= Self.maximumLabelLength, Field.isStorable(text),
                // Names that are equal as text, of other bytes, are one label to whoever reads them.
                labels.updateValue(text, forKey: member.name) == nil
            else { throw self.bad(field, Self.allowedLabels) }
        }
        return labels
    }

    static let maximumLabels = 100
    static let maximumLabelLength = 1_024
    private static let allowedLabels = "an object of up to 100 strings of up to 1024 bytes"

    func bad(_ field: Int, _ allowed: String) -> Rejection { .badField(self.names[field], allowed: allowed) }

    private func identifier<Entity>(_ value: DocumentValue, _ field: Int) throws(Rejection) -> Identifier<Entity> {
        let string: String
        switch value {
        case .string(let text), .cell(let text): string = text
        default: throw self.bad(field, IdentifierError.allowed)
        }
        do throws(IdentifierError) {
            return try Field.identifier(string)
        } catch {
            throw .invalidID(column: self.names[field], error)
        }
    }

    private func text(_ value: DocumentValue, _ field: Int, maximum: Int) throws(Rejection) -> String {
        switch value {
        case .string(let text), .cell(let text):
            guard text.utf8.count <= maximum, Field.isStorable(text) else {
                throw self.bad(field, "a string of up to \(maximum) bytes without U+0000")
            }
            return text
        default: throw self.bad(field, "a string")
        }
    }
}

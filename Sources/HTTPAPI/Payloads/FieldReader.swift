import RecommendationCore

/// Takes the fields of a JSON object one by one and gathers what is wrong with them.
///
/// A field that is null is as one that is absent.
struct FieldReader {
    private let members: [JSONMember]
    private let base: Pointer
    private(set) var errors = FieldErrors()

    /// - Parameters:
    ///   - document: What the value must be, for the answer where it is something else.
    ///   - base: Where the value stands in the body.
    init(
        _ value: JSONValue,
        fields: [String],
        document: String,
        at base: Pointer = .root
    ) throws(Problem) {
        guard case .object(let members) = value else {
            throw .invalid([FieldError(pointer: base.string, code: "invalid", allowed: document)])
        }
        let unknown = members.map(\.name).filter { name in !fields.contains { $0.hasSameBytes(as: name) } }
        guard unknown.isEmpty else { throw .unknownParameters(unknown, allowed: fields, at: base) }
        self.members = members
        self.base = base
    }

    /// Where a field stands in the body.
    func pointer(_ field: String) -> Pointer {
        var pointer = self.base
        pointer.append(field)
        return pointer
    }

    /// Whether something is said of a field.
    func has(_ field: String) -> Bool {
        switch self.members.first(where: { field.hasSameBytes(as: $0.name) })?.value {
        case nil, .null: false
        default: true
        }
    }

    /// Throws all that was found wrong, if anything was.
    func check() throws(Problem) {
        try self.errors.check()
    }

    /// Adds an error that takes more than one field, or the time, to see.
    mutating func add(_ field: String, _ code: String, allowed: String?) {
        self.errors.add(self.pointer(field), code, allowed: allowed)
    }

    /// Adds what is wrong with a part of the body that another reader has read.
    mutating func add(_ errors: FieldErrors) {
        self.errors.add(errors.list)
    }

    mutating func identifier<Entity>(_ field: String, required: Bool) -> Identifier<Entity>? {
        guard let value = self.value(field, required: required) else { return nil }
        return self.identifier(value, at: self.pointer(field))
    }

    /// One to `maximum` ids.
    mutating func identifiers<Entity>(_ field: String, maximum: Int) -> [Identifier<Entity>] {
        guard let value = self.value(field, required: true) else { return [] }
        guard case .array(let elements) = value, (1...maximum).contains(elements.count) else {
            self.add(field, "invalid", allowed: "an array of 1 to \(maximum) ids")
            return []
        }
        var identifiers: [Identifier<Entity>] = []
        for (index, element) in elements.enumerated() {
            var pointer = self.pointer(field)
            pointer.append(index)
            if let identifier: Identifier<Entity> = self.identifier(element, at: pointer) {
                identifiers.append(identifier)
            }
        }
        return identifiers
    }

    /// Up to `maximum` ids, or one by itself; none where the field is absent.
    mutating func list<Entity>(_ field: String, maximum: Int) -> [Identifier<Entity>] {
        guard let value = self.value(field, required: false) else { return [] }
        if case .string = value { return self.identifier(value, at: self.pointer(field)).map { [$0] } ?? [] }
        guard case .array(let elements) = value, elements.count <= maximum else {
            self.add(field, "invalid", allowed: "a string, or an array of at most \(maximum)")
            return []
        }
        var identifiers: [Identifier<Entity>] = []
        for (index, element) in elements.enumerated() {
            var pointer = self.pointer(field)
            pointer.append(index)
            if let identifier: Identifier<Entity> = self.identifier(element, at: pointer) {
                identifiers.append(identifier)
            }
        }
        return identifiers
    }

    /// One to `maximum` values of any kind.
    mutating func elements(_ field: String, maximum: Int, of kind: String) -> [JSONValue] {
        guard let value = self.value(field, required: true) else { return [] }
        guard case .array(let elements) = value, (1...maximum).contains(elements.count) else {
            self.add(field, "invalid", allowed: "an array of 1 to \(maximum) \(kind)")
            return []
        }
        return elements
    }

    /// Up to `maximum` values of any kind with their places; none where the field is absent.
    mutating func places(_ field: String, maximum: Int, of kind: String) -> [(pointer: Pointer, value: JSONValue)] {
        guard let value = self.value(field, required: false) else { return [] }
        guard case .array(let elements) = value, elements.count <= maximum else {
            self.add(field, "invalid", allowed: "an array of up to \(maximum) \(kind)")
            return []
        }
        return elements.enumerated().map { (self.pointer(field).element($0), $1) }
    }

    /// A whole number within bounds, however it is written (`5`, `5.0`, `5e0`); nil where the field is absent.
    mutating func integer(_ field: String, in range: ClosedRange<Int64>, allowed: String) -> Int64? {
        let integer: Int64?
        switch self.value(field, required: false) {
        case nil: return nil
        case .integer(let value): integer = value
        case .number(let value): integer = Int64(exactly: value)
        default: integer = nil
        }
        guard let integer, range.contains(integer) else {
            self.add(field, "out_of_range", allowed: allowed)
            return nil
        }
        return integer
    }

    /// Text that stands for something; nil where the field is absent.
    mutating func word<Value>(_ field: String, allowed: String, _ make: (String) -> Value?) -> Value? {
        guard let value = self.value(field, required: false) else { return nil }
        guard case .string(let text) = value, let made = make(text) else {
            self.add(field, "invalid", allowed: allowed)
            return nil
        }
        return made
    }

    /// Text of up to `maximum` bytes.
    mutating func text(_ field: String, required: Bool = false, maximum: Int) -> String? {
        guard let value = self.value(field, required: required) else { return nil }
        guard case .string(let text) = value, text.utf8.count <= maximum, !text.utf8.contains(0) else {
            self.add(field, "invalid", allowed: "a string of up to \(maximum) bytes without U+0000")
            return nil
        }
        return text
    }

    mutating func number(_ field: String, required: Bool = false) -> Double? {
        switch self.value(field, required: required) {
        case nil: return nil
        case .integer(let integer): return Double(integer)
        case .number(let number) where number.isFinite: return number
        case .number: self.add(field, "out_of_range", allowed: "a finite number")
        default: self.add(field, "invalid", allowed: "a number")
        }
        return nil
    }

    mutating func flag(_ field: String, required: Bool = false) -> Bool? {
        guard let value = self.value(field, required: required) else { return nil }
        guard case .bool(let flag) = value else {
            self.add(field, "invalid", allowed: "true|false")
            return nil
        }
        return flag
    }

    mutating func timestamp(_ field: String) -> Timestamp? {
        guard let value = self.value(field, required: false) else { return nil }
        guard case .string(let text) = value, let timestamp = Timestamp(rfc3339: text) else {
            self.add(field, "invalid", allowed: "an RFC 3339 time, for example 2026-09-01T10:00:00Z")
            return nil
        }
        return timestamp
    }

    /// One of a few words.
    mutating func choice<Value>(
        _ field: String,
        among words: [String],
        code: String = "invalid",
        _ make: (String) -> Value?
    ) -> Value? {
        guard let value = self.value(field, required: true) else { return nil }
        guard case .string(let text) = value, let choice = make(text) else {
            self.add(field, code, allowed: words.joined(separator: "|"))
            return nil
        }
        return choice
    }

    /// The type of an event.
    mutating func eventType() -> EventType? {
        self.choice("type", among: EventType.allCases.map(\.rawValue), code: "unknown_type") { text in
            EventType(rawValue: text)
        }
    }

    /// Up to `maximum` names, each like an id; nil where there are none to be read.
    mutating func names(_ field: String, maximum: Int) -> [String]? {
        guard let value = self.value(field, required: false) else { return nil }
        guard case .array(let elements) = value, elements.count <= maximum else {
            self.add(field, "invalid", allowed: "an array of up to \(maximum) names")
            return nil
        }
        return elements.enumerated().compactMap { index, element in
            var pointer = Pointer(field)
            pointer.append(index)
            let name: Identifier<FieldReader>? = self.identifier(element, at: pointer)
            return name?.string
        }
    }

    /// Labels: strings by name. Those that are null come as nil where `mayBeNull`, and are wrong elsewhere.
    mutating func labels(_ field: String, mayBeNull: Bool) -> [String: String?]? {
        guard let value = self.value(field, required: false) else { return nil }
        guard case .object(let members) = value, members.count <= ItemRules.maximumLabels else {
            self.add(field, "invalid", allowed: "an object of up to \(ItemRules.maximumLabels) strings")
            return nil
        }
        var labels: [String: String?] = [:]
        for member in members {
            var pointer = Pointer(field)
            pointer.append(member.name)
            guard let name: Identifier<FieldReader> = self.errors.identifier(member.name, at: pointer) else { continue }
            let isNew = labels[name.string] == nil
            switch member.value {
            case .string(let text)
            where text.utf8.count <= ItemRules.maximumLabelLength && !text.utf8.contains(0) && isNew:
                labels.updateValue(text, forKey: name.string)
            case .null where mayBeNull && isNew: labels.updateValue(nil, forKey: name.string)
            default:
                // Names that are equal as text, of other bytes, are one label to whoever reads them.
                self.errors.add(
                    pointer,
                    isNew ? "invalid" : "duplicate",
                    allowed: isNew ? "a string of up to \(ItemRules.maximumLabelLength) bytes without U+0000" : nil
                )
            }
        }
        return labels
    }

    /// Whether a field is there, be it null.
    func names(_ field: String) -> Bool {
        self.members.contains { field.hasSameBytes(as: $0.name) }
    }

    private mutating func identifier<Entity>(_ value: JSONValue, at pointer: Pointer) -> Identifier<Entity>? {
        guard case .string(let string) = value else {
            self.errors.add(pointer, "invalid", allowed: IdentifierError.allowed)
            return nil
        }
        return self.errors.identifier(string, at: pointer)
    }

    private mutating func value(_ field: String, required: Bool) -> JSONValue? {
        let value = self.members.first { field.hasSameBytes(as: $0.name) }?.value
        switch value {
        case nil, .null:
            if required { self.add(field, "required", allowed: nil) }
            return nil
        default:
            return value
        }
    }
}

extension String {
    /// Equality as names have it; `==` takes some strings of other bytes for equal.
    func hasSameBytes(as other: String) -> Bool {
        self.utf8.elementsEqual(other.utf8)
    }
}

import RecommendationCore

/// Walks a nested document and gathers all that is wrong with it, unknown names too, so that a caller learns all of it at once.
///
/// A member that is null is as one that is absent where it may be null, and wrong elsewhere.
struct DocumentReader {
    /// An object of the document, and where it stands.
    struct Object {
        let pointer: Pointer
        let members: [JSONMember]

        /// Whether a member is there and null.
        func isNull(_ name: String) -> Bool {
            self.members.contains { name.hasSameBytes(as: $0.name) && $0.value.isNull }
        }

        subscript(_ name: String) -> JSONValue? {
            let value = self.members.first { name.hasSameBytes(as: $0.name) }?.value
            if case .null = value { return nil }
            return value
        }
    }

    private var errors = FieldErrors(maximum: 100)
    private var hasUnknownNames = false

    mutating func add(_ pointer: Pointer, _ code: String, allowed: String?) {
        self.errors.add(pointer, code, allowed: allowed)
    }

    /// Throws all that was found wrong, if anything was: 400 where a name is unknown, else 422.
    func check() throws(Problem) {
        guard self.hasUnknownNames else { return try self.errors.check() }
        let list = self.errors.list
        throw .malformed("unknown_parameter", list.map(\.sentence).joined(separator: "; "), errors: list)
    }

    /// - Parameters:
    ///   - known: The names it may have; nil: the caller looks at them.
    ///   - nullable: Those that may be null.
    mutating func object(
        _ value: JSONValue,
        at pointer: Pointer,
        known: [String]?,
        nullable: [String] = []
    ) -> Object? {
        guard case .object(let members) = value else {
            self.add(pointer, "invalid", allowed: "one object")
            return nil
        }
        if let known {
            for member in members where !known.contains(where: { $0.hasSameBytes(as: member.name) }) {
                self.hasUnknownNames = true
                self.add(pointer.member(member.name), "unknown_parameter", allowed: known.joined(separator: "|"))
            }
        }
        for member in members where member.value.isNull && !nullable.contains(member.name) {
            self.add(pointer.member(member.name), "invalid", allowed: "a value; it may be left out")
        }
        return Object(pointer: pointer, members: members)
    }

    /// The elements of an array with their places.
    mutating func array(
        _ value: JSONValue,
        at pointer: Pointer,
        count: ClosedRange<Int>,
        of what: String
    ) -> [(pointer: Pointer, value: JSONValue)] {
        guard case .array(let elements) = value, count.contains(elements.count) else {
            self.add(pointer, "invalid", allowed: "an array of \(count.lowerBound) to \(count.upperBound) \(what)")
            return []
        }
        return elements.enumerated().map { (pointer.element($0), $1) }
    }

    /// An array of values that are there once each.
    mutating func distinct<Value: Hashable>(
        _ value: JSONValue,
        at pointer: Pointer,
        count: ClosedRange<Int>,
        of what: String,
        _ read: (inout Self, JSONValue, Pointer) -> Value?
    ) -> [Value] {
        var values: [Value] = []
        var known: Set<Value> = []
        for (place, element) in self.array(value, at: pointer, count: count, of: what) {
            guard let value = read(&self, element, place) else { continue }
            if known.insert(value).inserted {
                values.append(value)
            } else {
                self.add(place, "duplicate", allowed: "each of the \(what) once")
            }
        }
        return values
    }

    mutating func number(_ value: JSONValue, at pointer: Pointer, in range: ClosedRange<Double>) -> Double? {
        let number: Double
        switch value {
        case .integer(let integer): number = Double(integer)
        case .number(let double): number = double
        default:
            self.add(pointer, "invalid", allowed: "a number from \(Self.text(range))")
            return nil
        }
        guard range.contains(number) else {
            self.add(pointer, "out_of_range", allowed: Self.text(range))
            return nil
        }
        return number
    }

    mutating func integer(_ value: JSONValue, at pointer: Pointer, in range: ClosedRange<Int>) -> Int? {
        let allowed = "\(range.lowerBound)..\(range.upperBound)"
        switch value {
        case .integer(let integer):
            guard let integer = Int(exactly: integer), range.contains(integer) else { break }
            return integer
        case .number(let number) where number == number.rounded():
            guard let integer = Int(exactly: number), range.contains(integer) else { break }
            return integer
        default:
            self.add(pointer, "invalid", allowed: "an integer from \(allowed)")
            return nil
        }
        self.add(pointer, "out_of_range", allowed: allowed)
        return nil
    }

    mutating func flag(_ value: JSONValue, at pointer: Pointer) -> Bool? {
        guard case .bool(let flag) = value else {
            self.add(pointer, "invalid", allowed: "true|false")
            return nil
        }
        return flag
    }

    /// One of a few words.
    mutating func choice<Value>(
        _ value: JSONValue,
        at pointer: Pointer,
        among words: [String],
        code: String = "invalid",
        _ make: (String) -> Value?
    ) -> Value? {
        guard case .string(let text) = value, words.contains(where: { $0.hasSameBytes(as: text) }),
            let choice = make(text)
        else {
            self.add(pointer, code, allowed: words.joined(separator: "|"))
            return nil
        }
        return choice
    }

    mutating func identifier<Entity>(_ value: JSONValue, at pointer: Pointer) -> Identifier<Entity>? {
        guard case .string(let text) = value else {
            self.add(pointer, "invalid", allowed: IdentifierError.allowed)
            return nil
        }
        return self.errors.identifier(text, at: pointer)
    }

    /// `0..1`, without the points of whole numbers.
    private static func text(_ range: ClosedRange<Double>) -> String {
        func text(_ number: Double) -> String { number == number.rounded() ? String(Int(number)) : number.description }
        return "\(text(range.lowerBound))..\(text(range.upperBound))"
    }
}

extension JSONValue {
    var isNull: Bool { if case .null = self { true } else { false } }
}

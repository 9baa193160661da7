/// The members of an object in a scenario's document, each of a known name.
struct Fields {
    private let container: KeyedDecodingContainer<AnyKey>

    init(_ decoder: any Decoder, _ known: [String]) throws {
        self.container = try decoder.container(keyedBy: AnyKey.self)
        for key in self.container.allKeys where !known.contains(key.stringValue) {
            throw ScenarioError(
                self.container.codingPath,
                "nobody knows \"\(key.stringValue)\"; known are \(known.joined(separator: ", "))"
            )
        }
    }

    func error(_ name: String, _ reason: String) -> ScenarioError {
        ScenarioError(self.container.codingPath + [AnyKey(name)], reason)
    }

    func optional<Value: Decodable>(_ name: String) throws -> Value? {
        try self.container.decodeIfPresent(Value.self, forKey: AnyKey(name))
    }

    func required<Value: Decodable>(_ name: String) throws -> Value {
        guard let value: Value = try self.optional(name) else { throw self.error(name, "is required") }
        return value
    }

    func number(_ name: String, in range: ClosedRange<Double>) throws -> Double? {
        guard let number: Double = try self.optional(name) else { return nil }
        guard range.contains(number) else {
            throw self.error(name, "must be \(range.lowerBound)..\(range.upperBound)")
        }
        return number
    }

    func word<Word: RawRepresentable & CaseIterable>(_ name: String) throws -> Word? where Word.RawValue == String {
        guard let text: String = try self.optional(name) else { return nil }
        guard let word = Word(rawValue: text) else {
            throw self.error(name, "must be \(Word.allCases.map(\.rawValue).joined(separator: "|"))")
        }
        return word
    }

    func nested<Value>(_ name: String, _ read: (any Decoder) throws -> Value) throws -> Value? {
        guard self.container.contains(AnyKey(name)) else { return nil }
        return try read(try self.container.superDecoder(forKey: AnyKey(name)))
    }

    func list<Value>(_ name: String, _ read: (any Decoder) throws -> Value) throws -> [Value] {
        guard self.container.contains(AnyKey(name)) else { return [] }
        var elements = try self.container.nestedUnkeyedContainer(forKey: AnyKey(name))
        var values: [Value] = []
        while !elements.isAtEnd { values.append(try read(try elements.superDecoder())) }
        return values
    }
}

struct AnyKey: CodingKey {
    let stringValue: String
    let intValue: Int? = nil

    init(_ name: String) { self.stringValue = name }
    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
}

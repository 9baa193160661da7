/// A `jsonb` document as its text.
public struct PostgresJSON: Sendable, Hashable {
    /// The JSON text; PostgreSQL normalises spaces, key order and duplicates.
    public var text: String

    /// Takes JSON text, which the server checks.
    public init(_ text: String) {
        self.text = text
    }
}

extension PostgresJSON: PostgresEncodable, PostgresDecodable {
    /// `jsonb`.
    public static var postgresType: PostgresType { .jsonb }

    /// The version byte of the format, then the text.
    public func encode(into buffer: inout [UInt8]) -> Bool {
        buffer.append(1)
        buffer.append(contentsOf: text.utf8)
        return true
    }

    /// Reads `jsonb` and `json`.
    public static func decode(_ bytes: RawSpan, type: PostgresType) throws(PostgresDecodingFailure) -> Self {
        try check(type, isIn: .jsonb, .json)
        if type == .json { return Self(try .utf8(bytes)) }
        guard try bytes.integer(as: UInt8.self) == 1 else { throw .malformed }
        return Self(try .utf8(bytes.extracting(droppingFirst: 1)))
    }
}

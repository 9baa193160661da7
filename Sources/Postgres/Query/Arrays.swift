/// A type that can be the element of a Swift array parameter or column.
///
/// `UInt8` is the odd one: an array of it is `bytea`.
public protocol PostgresArrayElement: Sendable {
    /// The type of the array.
    static var postgresArrayType: PostgresType { get }

    /// Appends the binary form of an array.
    static func encodeArray(_ elements: [Self], into buffer: inout [UInt8])

    /// Reads the binary form of an array.
    static func decodeArray(_ bytes: RawSpan, type: PostgresType) throws(PostgresDecodingFailure) -> [Self]
}

extension PostgresArrayElement where Self: PostgresEncodable & PostgresDecodable {
    /// Appends a one-dimensional array: dimensions, has-null flag, element type, length, lower bound, fields.
    public static func encodeArray(_ elements: [Self], into buffer: inout [UInt8]) {
        buffer.appendInteger(Int32(elements.isEmpty ? 0 : 1))
        let flag = buffer.count
        buffer.appendInteger(Int32(0))
        buffer.appendInteger(postgresType.rawValue)
        guard !elements.isEmpty else { return }
        buffer.appendInteger(Int32(elements.count))
        buffer.appendInteger(Int32(1))
        var hasNull = false
        for element in elements {
            if buffer.appendField(element) { hasNull = true }
        }
        if hasNull { buffer.setInteger(1, at: flag) }
    }

    /// Reads a one-dimensional or empty array; `.malformed` for others.
    public static func decodeArray(
        _ bytes: RawSpan,
        type: PostgresType
    ) throws(PostgresDecodingFailure) -> [Self] {
        // Bytes that are no array mean another type, unless the server says that it is this one.
        let refusal: PostgresDecodingFailure =
            type == .unspecified || type == postgresArrayType ? .malformed : .typeMismatch
        guard bytes.byteCount >= 12 else { throw refusal }
        let dimensions: Int32 = try bytes.integer(at: 0)
        let element = PostgresType(rawValue: try bytes.integer(at: 8))
        if dimensions == 0, bytes.byteCount == 12 {
            guard element == postgresType || type == .unspecified else { throw .typeMismatch }
            return []
        }
        guard dimensions == 1, bytes.byteCount >= 20 else { throw refusal }
        let count = Int(try bytes.integer(at: 12, as: Int32.self))
        // Each element takes four bytes at least, so no count can ask for more memory than the bytes justify.
        guard count >= 0, count <= (bytes.byteCount - 20) / 4 else { throw refusal }
        var elements: [Self] = []
        elements.reserveCapacity(count)
        var offset = 20
        for _ in 0..<count {
            let length = Int(try bytes.integer(at: offset, as: Int32.self))
            offset += 4
            guard length >= 0 else {
                elements.append(try Self.decodeNull())
                continue
            }
            guard length <= bytes.byteCount - offset else { throw .malformed }
            elements.append(try Self.decode(bytes.extracting(offset..<(offset + length)), type: element))
            offset += length
        }
        return elements
    }
}

extension Array: PostgresTyped where Element: PostgresArrayElement {
    /// The array type of the element.
    public static var postgresType: PostgresType { Element.postgresArrayType }
}

extension Array: PostgresEncodable where Element: PostgresArrayElement {
    /// Never NULL.
    public func encode(into buffer: inout [UInt8]) -> Bool {
        Element.encodeArray(self, into: &buffer)
        return true
    }
}

extension Array: PostgresDecodable where Element: PostgresArrayElement {
    /// Reads an array.
    public static func decode(_ bytes: RawSpan, type: PostgresType) throws(PostgresDecodingFailure) -> [Element] {
        try Element.decodeArray(bytes, type: type)
    }
}

extension UInt8: PostgresArrayElement {
    /// `bytea`.
    public static var postgresArrayType: PostgresType { .bytea }

    /// The bytes themselves.
    public static func encodeArray(_ elements: [UInt8], into buffer: inout [UInt8]) {
        buffer.append(contentsOf: elements)
    }

    /// Reads `bytea`.
    public static func decodeArray(
        _ bytes: RawSpan,
        type: PostgresType
    ) throws(PostgresDecodingFailure) -> [UInt8] {
        guard type == .unspecified || type == .bytea else { throw .typeMismatch }
        return unsafe bytes.withUnsafeBytes { unsafe [UInt8]($0) }
    }
}

extension Array: PostgresArrayElement where Element == UInt8 {
    /// `bytea[]`.
    public static var postgresArrayType: PostgresType { .byteaArray }
}

extension Optional: PostgresArrayElement
where Wrapped: PostgresArrayElement & PostgresEncodable & PostgresDecodable {
    /// The same as without NULLs.
    public static var postgresArrayType: PostgresType { Wrapped.postgresArrayType }
}

extension Bool: PostgresArrayElement {
    /// `boolean[]`.
    public static var postgresArrayType: PostgresType { .boolArray }
}

extension Int16: PostgresArrayElement {
    /// `smallint[]`.
    public static var postgresArrayType: PostgresType { .int2Array }
}

extension Int32: PostgresArrayElement {
    /// `integer[]`.
    public static var postgresArrayType: PostgresType { .int4Array }
}

extension Int64: PostgresArrayElement {
    /// `bigint[]`.
    public static var postgresArrayType: PostgresType { .int8Array }
}

extension Int: PostgresArrayElement {
    /// `bigint[]`.
    public static var postgresArrayType: PostgresType { .int8Array }
}

extension UInt64: PostgresArrayElement {
    /// `xid8[]`.
    public static var postgresArrayType: PostgresType { .xid8Array }
}

extension Float: PostgresArrayElement {
    /// `real[]`.
    public static var postgresArrayType: PostgresType { .float4Array }
}

extension Double: PostgresArrayElement {
    /// `double precision[]`.
    public static var postgresArrayType: PostgresType { .float8Array }
}

extension String: PostgresArrayElement {
    /// `text[]`.
    public static var postgresArrayType: PostgresType { .textArray }
}

extension PostgresTimestamp: PostgresArrayElement {
    /// `timestamptz[]`.
    public static var postgresArrayType: PostgresType { .timestamptzArray }
}

extension PostgresJSON: PostgresArrayElement {
    /// `jsonb[]`.
    public static var postgresArrayType: PostgresType { .jsonbArray }
}

/// One row of a COPY, read field by field in place; valid inside the closure only.
///
/// COPY sends no types: a number must be asked for as exactly the column's type, or it is refused for its length.
@safe
public struct PostgresCopyRow: ~Copyable {
    /// Signature, flags and length of the extension, which no server sends.
    static let headerLength = 19

    private let message: UnsafeRawBufferPointer
    private var offset: Int
    private var field = 0

    /// The number of fields.
    public let fieldCount: Int

    /// nil for the trailer and for an empty message; `message` must outlive the row.
    @unsafe
    init?(message: UnsafeRawBufferPointer, skipping header: Int) {
        guard message.count >= header + 2 else { return nil }
        let count = unsafe Int16(bigEndian: message.loadUnaligned(fromByteOffset: header, as: Int16.self))
        guard count >= 0 else { return nil }
        unsafe self.message = unsafe message
        offset = header + 2
        fieldCount = Int(count)
    }

    /// Whether the next field is NULL.
    public var isNextNull: Bool {
        guard unsafe message.count - offset >= 4 else { return false }
        return unsafe message.loadUnaligned(fromByteOffset: offset, as: Int32.self) == -1
    }

    /// Passes over the next field.
    public mutating func skip() throws(PostgresError) {
        _ = try next(.unspecified)
    }

    /// Reads a `boolean`.
    public mutating func bool() throws(PostgresError) -> Bool { try number(.bool, as: UInt8.self) != 0 }

    /// Reads a `smallint`.
    public mutating func int16() throws(PostgresError) -> Int16 { try number(.int2) }

    /// Reads an `integer`.
    public mutating func int32() throws(PostgresError) -> Int32 { try number(.int4) }

    /// Reads a `bigint`.
    public mutating func int64() throws(PostgresError) -> Int64 { try number(.int8) }

    /// Reads a `real`.
    public mutating func float() throws(PostgresError) -> Float { Float(bitPattern: try number(.float4)) }

    /// Reads a `double precision`.
    public mutating func double() throws(PostgresError) -> Double { Double(bitPattern: try number(.float8)) }

    /// Reads a `timestamptz`.
    public mutating func timestamp() throws(PostgresError) -> PostgresTimestamp {
        PostgresTimestamp(wire: try number(.timestamptz))
    }

    /// Reads text; `withBytes` avoids the String.
    public mutating func string() throws(PostgresError) -> String { try decode() }

    /// Calls `body` with the bytes of the next field in place, nil for NULL: UTF-8 for text.
    public mutating func withBytes<Result>(_ body: (RawSpan?) -> Result) throws(PostgresError) -> Result {
        guard let length = try next(.unspecified) else { return body(nil) }
        return body(unsafe bytes(length).bytes)
    }

    /// Reads the next field as any type, Optionals and arrays included.
    public mutating func decode<Value: PostgresDecodable>(
        as type: Value.Type = Value.self
    ) throws(PostgresError) -> Value {
        let length = try next(Value.postgresType)
        do throws(PostgresDecodingFailure) {
            guard let length else { return try Value.decodeNull() }
            return try Value.decode(unsafe bytes(length).bytes, type: .unspecified)
        } catch {
            throw failure(error, Value.postgresType)
        }
    }

    @inline(__always)
    private mutating func number<Value: FixedWidthInteger & BitwiseCopyable>(
        _ type: PostgresType,
        as _: Value.Type = Value.self
    ) throws(PostgresError) -> Value {
        let size = MemoryLayout<Value>.size
        // Nearly every field passes here: its length and its bytes are there, in one look.
        if field < fieldCount, unsafe message.count - offset >= 4 + size,
            unsafe message.loadUnaligned(fromByteOffset: offset, as: Int32.self) == Int32(size).bigEndian
        {
            let value = unsafe message.loadUnaligned(fromByteOffset: offset + 4, as: Value.self)
            field += 1
            offset += 4 + size
            return Value(bigEndian: value)
        }
        let length = try next(type)
        throw failure(length == nil ? .null : .malformed, type)
    }

    /// Moves behind the next field; returns its length, nil for NULL.
    private mutating func next(_ type: PostgresType) throws(PostgresError) -> Int? {
        field += 1
        guard field <= fieldCount else { throw failure(.noSuchColumn, type) }
        guard unsafe message.count - offset >= 4 else { throw failure(.malformed, type) }
        let length = unsafe Int32(bigEndian: message.loadUnaligned(fromByteOffset: offset, as: Int32.self))
        offset += 4
        if length == -1 { return nil }
        guard length >= 0, unsafe Int(length) <= message.count - offset else { throw failure(.malformed, type) }
        offset += Int(length)
        return Int(length)
    }

    /// The bytes of the field just passed.
    @unsafe
    private func bytes(_ length: Int) -> UnsafeRawBufferPointer {
        unsafe UnsafeRawBufferPointer(rebasing: message[(offset - length)..<offset])
    }

    private func failure(_ reason: PostgresDecodingFailure, _ expected: PostgresType) -> PostgresError {
        .decoding(
            PostgresDecodingError(
                column: field - 1,
                name: nil,
                expected: expected,
                actual: .unspecified,
                reason: reason
            )
        )
    }
}

/// A Swift type that stands for a PostgreSQL type.
public protocol PostgresTyped: Sendable {
    /// The type declared to the server for parameters, and named in errors.
    static var postgresType: PostgresType { get }
}

/// A Swift type that can be a parameter or a COPY field.
public protocol PostgresEncodable: PostgresTyped {
    /// Appends the binary form, or appends nothing and returns false for NULL.
    func encode(into buffer: inout [UInt8]) -> Bool
}

/// A Swift type that a column can be read as.
public protocol PostgresDecodable: PostgresTyped {
    /// Reads the binary form of a value of the given type.
    static func decode(_ bytes: RawSpan, type: PostgresType) throws(PostgresDecodingFailure) -> Self

    /// What stands for NULL; throws for all but Optionals.
    static func decodeNull() throws(PostgresDecodingFailure) -> Self
}

/// Why a value cannot be read; the row adds the column.
public typealias PostgresDecodingFailure = PostgresDecodingError.Reason

extension PostgresDecodingError.Reason: Error {}

extension PostgresDecodable {
    /// Refuses NULL.
    public static func decodeNull() throws(PostgresDecodingFailure) -> Self { throw .null }

    /// Throws unless the type is one of `accepted`, or not known.
    @inline(__always)
    static func check(_ type: PostgresType, isIn accepted: PostgresType...) throws(PostgresDecodingFailure) {
        if type != .unspecified, !accepted.contains(type) { throw .typeMismatch }
    }
}

extension Optional: PostgresTyped where Wrapped: PostgresTyped {
    /// The type of the value.
    public static var postgresType: PostgresType { Wrapped.postgresType }
}

extension Optional: PostgresEncodable where Wrapped: PostgresEncodable {
    /// nil is NULL.
    public func encode(into buffer: inout [UInt8]) -> Bool {
        guard let self else { return false }
        return self.encode(into: &buffer)
    }
}

extension Optional: PostgresDecodable where Wrapped: PostgresDecodable {
    /// Reads a value that is not NULL.
    public static func decode(_ bytes: RawSpan, type: PostgresType) throws(PostgresDecodingFailure) -> Self {
        try Wrapped.decode(bytes, type: type)
    }

    /// NULL is nil.
    public static func decodeNull() throws(PostgresDecodingFailure) -> Self { .none }
}

// MARK: Bytes in network order

extension RawSpan {
    /// The integer at an offset; throws `.malformed` if it does not lie within the span.
    func integer<Value: FixedWidthInteger & BitwiseCopyable>(
        at offset: Int = 0,
        as type: Value.Type = Value.self
    ) throws(PostgresDecodingFailure) -> Value {
        guard offset >= 0, byteCount - offset >= MemoryLayout<Value>.size else { throw .malformed }
        return Value(bigEndian: unsafe unsafeLoadUnaligned(fromByteOffset: offset, as: Value.self))
    }

    /// The integer that the span consists of.
    func wholeInteger<Value: FixedWidthInteger & BitwiseCopyable>(
        as type: Value.Type = Value.self
    ) throws(PostgresDecodingFailure) -> Value {
        guard byteCount == MemoryLayout<Value>.size else { throw .malformed }
        return try integer()
    }
}

extension [UInt8] {
    mutating func appendInteger(_ value: some FixedWidthInteger) {
        unsafe Swift.withUnsafeBytes(of: value.bigEndian) { unsafe append(contentsOf: $0) }
    }

    mutating func setInteger(_ value: Int32, at offset: Int) {
        unsafe Swift.withUnsafeBytes(of: value.bigEndian) { bytes in
            for index in 0..<4 { self[offset + index] = unsafe bytes[index] }
        }
    }

    /// Appends the four bytes of length and the value, as arrays and COPY rows hold them.
    ///
    /// Returns whether it was NULL.
    @discardableResult
    mutating func appendField(_ value: some PostgresEncodable) -> Bool {
        let start = count
        appendInteger(Int32(-1))
        guard value.encode(into: &self) else { return true }
        // A length that does not fit turns negative, which the server refuses.
        setInteger(Int32(truncatingIfNeeded: count - start - 4), at: start)
        return false
    }
}

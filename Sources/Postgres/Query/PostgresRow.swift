internal import CLibpq

/// One row of a result, valid inside the decoding closure only.
@safe
public struct PostgresRow: ~Copyable {
    private let result: OpaquePointer
    private let index: CInt
    /// Of the columns; the same for all rows of the result.
    private let types: UnsafeBufferPointer<PostgresType>

    /// `result` and `types` must outlive the row.
    @unsafe
    init(result: OpaquePointer, index: CInt, types: UnsafeBufferPointer<PostgresType>) {
        unsafe self.result = unsafe result
        self.index = index
        unsafe self.types = unsafe types
    }

    /// The number of columns.
    public var columnCount: Int { unsafe types.count }

    /// Reads the column at an index, from 0, as the type that the context or `type` asks for.
    public func decode<Value: PostgresDecodable>(
        _ column: Int,
        as type: Value.Type = Value.self
    ) throws(PostgresError) -> Value {
        try read(column)
    }

    /// Calls `body` with the bytes of a column in place, or nil for NULL.
    public func withBytes<Result>(_ column: Int, _ body: (RawSpan?) -> Result) throws(PostgresError) -> Result {
        guard column >= 0, column < columnCount else { throw failure(.noSuchColumn, column, .unspecified) }
        guard let bytes = unsafe bytes(of: column) else { return body(nil) }
        return body(unsafe bytes.bytes)
    }

    @inline(__always)
    private func read<Value: PostgresDecodable>(_ column: Int) throws(PostgresError) -> Value {
        guard column >= 0, column < columnCount else { throw failure(.noSuchColumn, column, Value.postgresType) }
        do throws(PostgresDecodingFailure) {
            guard let bytes = unsafe bytes(of: column) else { return try Value.decodeNull() }
            return try Value.decode(unsafe bytes.bytes, type: unsafe types[column])
        } catch {
            throw failure(error, column, Value.postgresType)
        }
    }

    /// The value of a column that exists, nil for NULL.
    @unsafe
    @inline(__always)
    private func bytes(of column: Int) -> UnsafeRawBufferPointer? {
        let number = CInt(truncatingIfNeeded: column)
        let length = unsafe PQgetlength(result, index, number)
        // NULL has no length either.
        if length == 0, unsafe PQgetisnull(result, index, number) != 0 { return nil }
        return unsafe UnsafeRawBufferPointer(start: PQgetvalue(result, index, number), count: Int(length))
    }

    /// The error for a value of the right type and the wrong meaning, such as an unknown enumeration value.
    public func refusal<Value: PostgresDecodable>(of column: Int, as type: Value.Type) -> PostgresError {
        failure(.refused, column, Value.postgresType)
    }

    @inline(never)
    private func failure(
        _ reason: PostgresDecodingFailure,
        _ column: Int,
        _ expected: PostgresType
    ) -> PostgresError {
        let exists = column >= 0 && column < columnCount
        let name = exists ? unsafe PQfname(result, CInt(column)).map { unsafe String(cString: $0) } : nil
        let actual = exists ? unsafe types[column] : .unspecified
        return .decoding(
            PostgresDecodingError(column: column, name: name, expected: expected, actual: actual, reason: reason)
        )
    }
}

/// The types that most columns have: without a generic call from another module for each field.
extension PostgresRow {
    /// Reads `boolean`.
    public func decode(_ column: Int, as _: Bool.Type = Bool.self) throws(PostgresError) -> Bool { try read(column) }

    /// Reads `smallint`.
    public func decode(_ column: Int, as _: Int16.Type = Int16.self) throws(PostgresError) -> Int16 { try read(column) }

    /// Reads `integer` or `smallint`.
    public func decode(_ column: Int, as _: Int32.Type = Int32.self) throws(PostgresError) -> Int32 { try read(column) }

    /// Reads `bigint`, `integer` or `smallint`.
    public func decode(_ column: Int, as _: Int64.Type = Int64.self) throws(PostgresError) -> Int64 { try read(column) }

    /// Reads `bigint`, `integer` or `smallint`.
    public func decode(_ column: Int, as _: Int.Type = Int.self) throws(PostgresError) -> Int { try read(column) }

    /// Reads `real`.
    public func decode(_ column: Int, as _: Float.Type = Float.self) throws(PostgresError) -> Float { try read(column) }

    /// Reads `double precision` or `real`.
    public func decode(_ column: Int, as _: Double.Type = Double.self) throws(PostgresError) -> Double {
        try read(column)
    }

    /// Reads `timestamptz`.
    public func decode(_ column: Int, as _: PostgresTimestamp.Type = PostgresTimestamp.self) throws(PostgresError)
        -> PostgresTimestamp
    { try read(column) }

    /// Reads text.
    public func decode(_ column: Int, as _: String.Type = String.self) throws(PostgresError) -> String {
        try read(column)
    }
}

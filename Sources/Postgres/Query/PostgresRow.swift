internal import CLibpq

/// One row of a result, valid inside the decoding closure only.
@safe
public struct PostgresRow: ~Copyable {
    private let result: OpaquePointer
    private let index: CInt

    /// `result` must outlive the row.
    @unsafe
    init(result: OpaquePointer, index: CInt) {
        unsafe self.result = unsafe result
        self.index = index
    }

    /// The number of columns.
    public var columnCount: Int { unsafe Int(PQnfields(result)) }

    /// Reads the column at an index, from 0, as the type that the context or `type` asks for.
    public func decode<Value: PostgresDecodable>(
        _ column: Int,
        as type: Value.Type = Value.self
    ) throws(PostgresError) -> Value {
        guard column >= 0, column < columnCount else { throw failure(.noSuchColumn, column, Value.postgresType) }
        let number = CInt(truncatingIfNeeded: column)
        do throws(PostgresDecodingFailure) {
            if unsafe PQgetisnull(result, index, number) != 0 { return try Value.decodeNull() }
            let bytes = unsafe UnsafeRawBufferPointer(
                start: PQgetvalue(result, index, number),
                count: Int(PQgetlength(result, index, number))
            )
            let found = unsafe PostgresType(rawValue: PQftype(result, number))
            return try Value.decode(unsafe bytes.bytes, type: found)
        } catch {
            throw failure(error, column, Value.postgresType)
        }
    }

    /// Calls `body` with the bytes of a column in place, or nil for NULL.
    public func withBytes<Result>(_ column: Int, _ body: (RawSpan?) -> Result) throws(PostgresError) -> Result {
        guard column >= 0, column < columnCount else { throw failure(.noSuchColumn, column, .unspecified) }
        let number = CInt(truncatingIfNeeded: column)
        if unsafe PQgetisnull(result, index, number) != 0 { return body(nil) }
        let bytes = unsafe UnsafeRawBufferPointer(
            start: PQgetvalue(result, index, number),
            count: Int(PQgetlength(result, index, number))
        )
        return body(unsafe bytes.bytes)
    }

    /// The error for a value of the right type and the wrong meaning, such as an unknown enumeration value.
    public func refusal<Value: PostgresDecodable>(of column: Int, as type: Value.Type) -> PostgresError {
        failure(.refused, column, Value.postgresType)
    }

    private func failure(
        _ reason: PostgresDecodingFailure,
        _ column: Int,
        _ expected: PostgresType
    ) -> PostgresError {
        let exists = column >= 0 && column < columnCount
        let name = exists ? unsafe PQfname(result, CInt(column)).map { unsafe String(cString: $0) } : nil
        let actual = exists ? unsafe PostgresType(rawValue: PQftype(result, CInt(column))) : .unspecified
        return .decoding(
            PostgresDecodingError(column: column, name: name, expected: expected, actual: actual, reason: reason)
        )
    }
}

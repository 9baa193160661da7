internal import CLibpq

/// The owner of a result of libpq, decoded to Swift values on the driver thread: it never crosses an `await`.
@safe
struct ServerResult: ~Copyable {
    private let pointer: OpaquePointer

    /// Takes over a result made by `PQgetResult`.
    init(owning pointer: OpaquePointer) {
        unsafe self.pointer = unsafe pointer
    }

    deinit {
        unsafe PQclear(pointer)
    }

    var status: ExecStatusType { unsafe PQresultStatus(pointer) }
    var columnCount: Int { unsafe Int(PQnfields(pointer)) }

    /// The rows a command touched, or a SELECT returned.
    var affectedRows: Int {
        unsafe Int(String(cString: PQcmdTuples(pointer))) ?? 0
    }

    /// What the server reported; nil if libpq made the error up, which it does when the connection breaks.
    var serverError: PostgresServerError? {
        guard let state = field(vireo_pg_diag_sqlstate) else { return nil }
        return PostgresServerError(
            sqlState: SQLState(state),
            message: field(vireo_pg_diag_message_primary) ?? "",
            detail: field(vireo_pg_diag_message_detail),
            constraint: field(vireo_pg_diag_constraint_name),
            table: field(vireo_pg_diag_table_name)
        )
    }

    /// Calls `decode` for each row; an error of its own becomes `.rowRefused`.
    func decodeRows<Row>(
        _ decode: (borrowing PostgresRow) throws -> Row
    ) throws(PostgresError) -> [Row] {
        let count = unsafe PQntuples(pointer)
        guard count > 0 else { return [] }
        do {
            return try unsafe withUnsafeTemporaryAllocation(of: PostgresType.self, capacity: columnCount) { types in
                for column in types.indices {
                    unsafe types.initializeElement(
                        at: column,
                        to: PostgresType(rawValue: PQftype(pointer, CInt(truncatingIfNeeded: column)))
                    )
                }
                let types = UnsafeBufferPointer(types)
                return try unsafe [Row](unsafeUninitializedCapacity: Int(count)) { rows, decoded in
                    for index in 0..<count {
                        let row = unsafe PostgresRow(result: pointer, index: index, types: types)
                        unsafe rows.initializeElement(at: decoded, to: try decode(row))
                        decoded += 1
                    }
                }
            }
        } catch let error as PostgresError {
            throw error
        } catch {
            throw .rowRefused(error: "\(type(of: error))")
        }
    }

    private func field(_ code: CInt) -> String? {
        guard let text = unsafe PQresultErrorField(pointer, code) else { return nil }
        return unsafe String(cString: text)
    }
}

/// The calls that clients and sessions share.
extension ConnectionPool {
    func query<Row: Sendable>(
        _ statement: PostgresStatement,
        _ bindings: PostgresBindings,
        timeout: Duration?,
        decode: @escaping @Sendable (borrowing PostgresRow) throws -> Row
    ) async throws(PostgresError) -> [Row] {
        try await withConnection(timeout: timeout) { connection throws(PostgresError) in
            try connection.run(statement, bindings).decodeRows(decode)
        }
    }

    func read<Row: Sendable>(
        _ statement: PostgresStatement,
        _ bindings: PostgresBindings,
        timeout: Duration?,
        decode: @escaping @Sendable (borrowing PostgresRow) throws -> Row
    ) async throws(PostgresError) -> [Row] {
        try await withResult(of: statement, bindings, timeout: timeout) { result throws(PostgresError) in
            try result.decodeRows(decode)
        }
    }

    func execute(
        _ statement: PostgresStatement,
        _ bindings: PostgresBindings,
        timeout: Duration?
    ) async throws(PostgresError) -> Int {
        try await withConnection(timeout: timeout) { connection throws(PostgresError) in
            try connection.run(statement, bindings).affectedRows
        }
    }

    func executeScript(_ script: PostgresStatement, timeout: Duration?) async throws(PostgresError) {
        try await withConnection(timeout: timeout) { connection throws(PostgresError) in
            _ = try connection.runScript(script.sql)
        }
    }

    func transaction<Value: Sendable>(
        isolation: PostgresIsolation,
        readOnly: Bool,
        timeout: Duration?,
        _ body: @escaping @Sendable (inout PostgresTransaction) throws -> Value
    ) async throws -> Value {
        let result = try await withConnection(
            timeout: timeout,
            retry: readOnly ? .reads : .unsent,
            failure: { result in
                guard case .failure(let error) = result else { return nil }
                return error as? PostgresError
            }
        ) { connection in
            Result {
                try connection.transaction(isolation: isolation, readOnly: readOnly, timeout: timeout, body)
            }
        }
        if case .failure(let error as PostgresError) = result { metrics.failed(error) }
        return try result.get()
    }
}

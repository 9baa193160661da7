internal import CLibpq

/// What a transaction sees of others.
public enum PostgresIsolation: String, Sendable {
    /// Each statement sees what was committed before it.
    case readCommitted = "READ COMMITTED"
    /// All statements see what was committed before the first; writes may fail with `.serializationFailure`.
    case repeatableRead = "REPEATABLE READ"
    /// As if transactions ran one after the other; statements and COMMIT may fail with `.serializationFailure`.
    case serializable = "SERIALIZABLE"
}

extension Connection {
    /// Runs `body` between BEGIN and COMMIT, or ROLLBACK if it throws.
    func transaction<Value>(
        isolation: PostgresIsolation,
        readOnly: Bool,
        timeout: Duration?,
        _ body: (inout PostgresTransaction) throws -> Value
    ) throws -> Value {
        var opening = "BEGIN ISOLATION LEVEL \(isolation.rawValue) READ \(readOnly ? "ONLY" : "WRITE")"
        if let timeout { opening += "; SET LOCAL statement_timeout = \(max(1, timeout.wholeMilliseconds))" }
        var transaction = PostgresTransaction(connection: self)
        let value: Value
        do {
            try runScript(opening, hasEffect: false)
            value = try body(&transaction)
            try checkBeforeCommit()
        } catch {
            rollBack()
            throw error
        }
        try commit()
        return value
    }

    private func checkBeforeCommit() throws(PostgresError) {
        if isBroken { throw .connectionLost }
        switch unsafe PQtransactionStatus(handle) {
        case PQTRANS_INTRANS: break
        // The body has swallowed the error; COMMIT would roll back and report success.
        case PQTRANS_INERROR: throw transactionFailure ?? .misuse(.transactionEndedByBody)
        default: throw .misuse(.transactionEndedByBody)
        }
        try begin()
    }

    /// Once sent, a COMMIT is not given up for a cancelled task: only its answer tells what happened.
    private func commit() throws(PostgresError) {
        try begin(isInterruptible: false)
        willSend()
        do throws(PostgresError) {
            try sent(unsafe PQsendQuery(handle, "COMMIT"))
        } catch {
            throw unsafe PQstatus(handle) == CONNECTION_OK ? error : .commitUnknown
        }
        do throws(PostgresError) {
            try finish()
        } catch {
            guard case .server = error, !isBroken else {
                _ = breakConnection()
                throw .commitUnknown
            }
            throw error
        }
    }

    /// Leaves the connection idle, or broken: the server rolls back what a lost connection began.
    private func rollBack() {
        guard !isBroken, !isIdle else { return }
        do throws(PostgresError) {
            try runScript("ROLLBACK", isInterruptible: false, hasEffect: false)
        } catch {
            _ = breakConnection()
        }
    }
}

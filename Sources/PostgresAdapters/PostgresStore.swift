package import Postgres
import RecommendationCore
import Synchronization

/// What all repositories share: the client, the numbers of tenants, and what a driver's error means to a caller.
package final class PostgresStore: Sendable {
    package let client: PostgresClient
    private let tenants = Mutex<[Tenant.ID: Int32]>([:])

    package init(client: PostgresClient) {
        self.client = client
    }

    /// Forgets what belongs to one incarnation of the database.
    package func forget() { self.tenants.withLock { $0 = [:] } }

    /// The number of a tenant; nil where there is no such tenant.
    ///
    /// - Parameter reads: Of requests, which do not wait for long for a tenant that this node meets for the first time either.
    func number(of tenant: Tenant.ID, by reads: ServingReads? = nil) async throws(RepositoryError) -> Int32? {
        if let known = self.tenants.withLock({ $0[tenant] }) { return known }
        let statement: PostgresStatement = "SELECT tenant FROM tenants WHERE tenant_id = $1"
        let decode: @Sendable (borrowing PostgresRow) throws -> Int32 = { row in try row.decode(0, as: Int32.self) }
        let rows = try await self.mapped {
            guard let reads else { return try await self.client.read(statement, [tenant.string], decode: decode) }
            return try await reads.read(statement, [tenant.string], decode: decode)
        }
        guard let number = rows.first else { return nil }
        self.tenants.withLock { $0[tenant] = number }
        return number
    }

    func requiredNumber(of tenant: Tenant.ID) async throws(RepositoryError) -> Int32 {
        guard let number = try await self.number(of: tenant) else { throw .conflict("no such tenant") }
        return number
    }

    /// Runs calls of the driver and turns its errors into a repository's.
    func mapped<Result>(_ body: () async throws -> Result) async throws(RepositoryError) -> Result {
        do {
            return try await body()
        } catch let error as RepositoryError {
            throw error
        } catch let error as PostgresError {
            throw RepositoryError(error)
        } catch {
            throw .failed("\(type(of: error))")
        }
    }

    /// For work on whole tables.
    static let bulkTimeout = Duration.seconds(3_600)

    /// For counting what came of weeks, which somebody waits for.
    static let countTimeout = Duration.seconds(20)

    /// Runs a transaction, again where it only failed because others ran beside it: nothing of it was stored.
    func transaction<Result: Sendable>(
        isolation: PostgresIsolation = .readCommitted,
        readOnly: Bool = false,
        timeout: Duration? = nil,
        _ body: @escaping @Sendable (inout PostgresTransaction) throws -> Result
    ) async throws(RepositoryError) -> Result {
        try await self.mapped {
            var attempts = 0
            while true {
                do {
                    return try await self.client.transaction(
                        isolation: isolation,
                        readOnly: readOnly,
                        timeout: timeout,
                        body
                    )
                } catch let error as PostgresError {
                    attempts += 1
                    let isTransient = error.sqlState == .serializationFailure || error.sqlState == .deadlockDetected
                    guard isTransient, attempts < 4 else { throw error }
                }
            }
        }
    }

    /// Appends to the control log: one advisory lock in a statement of its own before the INSERT, so that ids commit in
    /// order. Returns the id, which is the epoch of the change.
    ///
    /// - Parameters:
    ///   - sets: Of a change of many tombstones: where they are.
    ///   - withdraws: Whether it takes a model or a policy out of service again.
    static func appendControl(
        _ transaction: inout PostgresTransaction,
        tenant: Int32,
        kind: String,
        sets: [Int64] = [],
        withdraws: Bool = false
    ) throws(PostgresError) -> Int64 {
        try Self.lockControl(&transaction)
        let ids = try transaction.query(
            """
            INSERT INTO control_log (tenant, kind, payload)
            VALUES ($1, $2, CASE WHEN cardinality($3::bigint[]) > 0 THEN jsonb_build_object('sets', $3::bigint[]) ELSE '{}' END)
            RETURNING id
            """,
            [tenant, kind, sets]
        ) { row in try row.decode(0, as: Int64.self) }
        if withdraws {
            try transaction.execute("UPDATE tenants SET withdrawn = $2 WHERE tenant = $1", [tenant, ids[0]])
        }
        return ids[0]
    }

    /// Takes the lock of the control log's writers ahead of the INSERT, to look at what it will change. Until the end of the
    /// transaction, which must be near.
    static func lockControl(_ transaction: inout PostgresTransaction) throws(PostgresError) {
        try transaction.execute("SET LOCAL lock_timeout = '2s'")
        try transaction.execute("SELECT pg_advisory_xact_lock($1)", [AdvisoryKey.control.rawValue])
    }
}

extension RepositoryError {
    init(_ error: PostgresError) {
        self =
            switch error {
            case .connectionFailed, .connectionLost, .poolTimeout, .poolQueueFull, .timedOut, .cancelled, .shutDown:
                .unavailable("PostgreSQL: \(error.shortDescription)")
            case .commitUnknown: .outcomeUnknown
            case .server(let server):
                switch server.sqlState.errorClass {
                // Resources, operator intervention, system errors, connection trouble, transaction rollback, lock timeout.
                case "53", "57", "58", "08", "40", "55": .unavailable("PostgreSQL: \(server.sqlState.code)")
                default: .failed("PostgreSQL: \(server.sqlState.code)")
                }
            case .decoding, .rowRefused: .corrupt("PostgreSQL: unexpected value")
            case .misuse: .failed("PostgreSQL: misuse of the driver")
            }
    }
}

extension PostgresError {
    var shortDescription: String {
        switch self {
        case .connectionFailed: "cannot connect"
        case .connectionLost: "connection lost"
        case .poolTimeout, .poolQueueFull: "no connection free"
        case .timedOut: "timed out"
        // The code alone: the server's text may hold values.
        case .server(let server): "refused: \(server.sqlState.code)"
        default: "unavailable"
        }
    }
}

extension Timestamp {
    var postgres: PostgresTimestamp { PostgresTimestamp(unixMicroseconds: self.microseconds) }

    init(_ timestamp: PostgresTimestamp) { self.init(microseconds: timestamp.unixMicroseconds) }
}

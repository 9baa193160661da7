package import Caching
import Postgres
import RecommendationCore

/// The journal of invalidations and its partitions.
package struct PostgresJournal: Journal {
    let store: PostgresStore
    let incarnation: @Sendable () -> String

    /// Of a row: whether it was not visible at the position `$1`.
    static let isLater: PostgresStatement =
        """
        (xid >= pg_snapshot_xmax($1::text::pg_snapshot)
            OR xid = ANY (ARRAY(SELECT pg_snapshot_xip($1::text::pg_snapshot))))
        """

    /// - Parameter incarnation: The incarnation that keys are made for.
    package init(store: PostgresStore, incarnation: @escaping @Sendable () -> String) {
        self.store = store
        self.incarnation = incarnation
    }

    private struct Line: Sendable {
        let next: String
        let controlHead: Int64
        /// Whose erased users the rows may lack.
        let scrubbed: [Int32]
        let row: (tenant: String, user: String, version: Int64)?
    }

    package func page(from position: JournalPosition?) async throws(JournalError) -> JournalPage {
        try await self.page(from: position, isPurged: false)
    }

    /// - Parameter isPurged: Whether what the journal lacks was made up for just now.
    private func page(
        from position: JournalPosition?,
        isPurged: Bool
    ) async throws(JournalError) -> JournalPage {
        let lines = try await self.read(
            """
            SELECT pg_current_snapshot()::text, (SELECT coalesce(max(id), 0) FROM control_log),
                   ARRAY(
                       SELECT DISTINCT e.tenant FROM erasures e
                       LEFT JOIN generations g ON g.tenant = e.tenant AND g.scope = 'tenant'
                       WHERE \(Self.isScrubbedLater) AND coalesce(g.generation, 0) <= e.control_head
                   ),
                   t.tenant_id, i.user_id, i.version
            FROM (SELECT 1) AS always
            LEFT JOIN (
                (SELECT tenant, user_id, max(version) AS version FROM invalidations
                 WHERE \(Self.isLater)
                 GROUP BY tenant, user_id) i
                JOIN tenants t USING (tenant)
            ) ON true
            """,
            [position?.text ?? "1:1:"],
            isWhole: position == nil
        )
        guard let first = lines.first, let next = JournalPosition(first.next) else {
            throw .unavailable("no snapshot of transactions")
        }
        guard first.scrubbed.isEmpty || isPurged else {
            do { try await self.purge(first.scrubbed) } catch { throw .unavailable("tenants cannot be purged") }
            // Again: what the page says of the control log is to cover the purge.
            return try await self.page(from: position, isPurged: true)
        }
        let incarnation = self.incarnation()
        return JournalPage(
            invalidations: lines.compactMap { line in
                line.row.map { row in
                    Invalidation(
                        key: CacheKey(namespace: incarnation, owner: row.tenant, member: row.user),
                        version: row.version
                    )
                }
            },
            next: next,
            controlHead: first.controlHead
        )
    }

    private func read(
        _ statement: PostgresStatement,
        _ bindings: PostgresBindings,
        isWhole: Bool
    ) async throws(JournalError) -> [Line] {
        let decode: @Sendable (borrowing PostgresRow) throws -> Line = { row in
            let next = try row.decode(0, as: String.self)
            let controlHead = try row.decode(1, as: Int64.self)
            let scrubbed = try row.decode(2, as: [Int32].self)
            guard let tenant = try row.decode(3, as: String?.self) else {
                return Line(next: next, controlHead: controlHead, scrubbed: scrubbed, row: nil)
            }
            return Line(
                next: next,
                controlHead: controlHead,
                scrubbed: scrubbed,
                row: (tenant, try row.decode(4), try row.decode(5))
            )
        }
        do {
            // After a loss of the position it is everything that is kept, and may take its time.
            guard isWhole else { return try await self.store.client.read(statement, bindings, decode: decode) }
            return try await self.store.client.transaction(readOnly: true, timeout: .seconds(60)) { transaction in
                try transaction.query(statement, bindings, decode: decode)
            }
        } catch let error as PostgresError {
            throw .unavailable(error.shortDescription)
        } catch {
            throw .unavailable("unavailable")
        }
    }

    package func head() async throws(JournalError) -> JournalPosition {
        let rows: [String]
        do {
            rows = try await self.store.client.read("SELECT pg_current_snapshot()::text") { row in try row.decode(0) }
        } catch {
            throw .unavailable(error.shortDescription)
        }
        guard let head = rows.first.flatMap(JournalPosition.init) else {
            throw .unavailable("no snapshot of transactions")
        }
        return head
    }

    /// Makes the partitions of this hour and the next two, and drops those older than 25 hours. What cannot be done now is
    /// left for the next time; rows without a partition of their hour lie in the default one, and nothing is lost.
    package func maintain() async throws(JournalError) {
        do {
            let hours = try await self.store.client.read(
                """
                SELECT to_char(hour AT TIME ZONE 'UTC', 'YYYYMMDDHH24'), hour, hour + interval '1 hour'
                FROM generate_series(date_trunc('hour', now(), 'UTC'), now() + interval '2 hours', interval '1 hour') AS hour
                """
            ) { row in
                (
                    try row.decode(0, as: String.self), try row.decode(1, as: PostgresTimestamp.self),
                    try row.decode(2, as: PostgresTimestamp.self)
                )
            }
            for (name, start, end) in hours {
                let first = Timestamp(start).rfc3339
                let last = Timestamp(end).rfc3339
                try await self.alter(
                    """
                    CREATE TABLE IF NOT EXISTS \(identifier: "invalidations_\(name)") PARTITION OF invalidations
                    FOR VALUES FROM (\(literal: first)) TO (\(literal: last))
                    """
                )
            }
            // By name: as times they would be read in the session's time zone.
            let old = try await self.store.client.read(
                """
                SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
                WHERE i.inhparent = 'invalidations'::regclass AND c.relname ~ '^invalidations_[0-9]{10}$'
                  AND c.relname::text COLLATE "C"
                      < 'invalidations_' || to_char(now() AT TIME ZONE 'UTC' - interval '26 hours', 'YYYYMMDDHH24')
                """
            ) { row in try row.decode(0, as: String.self) }
            for name in old { try await self.alter("DROP TABLE IF EXISTS \(identifier: name)") }
            _ = try await self.store.client.execute(
                "DELETE FROM invalidations_default WHERE created_at < now() - interval '26 hours'"
            )
            // Longer than anybody sends an event again.
            _ = try await self.store.client.execute(
                "DELETE FROM retired_events WHERE retired_at < now() - interval '30 days'"
            )
        } catch let error as PostgresError {
            throw .unavailable(error.shortDescription)
        } catch {
            throw .unavailable("unavailable")
        }
    }

    /// Changes the partitions, which takes the journal for itself. Not for long: while it waited for a long transaction,
    /// every writer and the relay would wait behind it.
    private func alter(_ statement: PostgresStatement) async throws {
        do {
            try await self.store.client.transaction { transaction in
                // One after the other: PostgreSQL does not bear the partitions of one table being changed at once (XX000, "tuple
                // concurrently updated").
                try transaction.execute("SET LOCAL lock_timeout = '5s'")
                try transaction.execute("SELECT pg_advisory_xact_lock($1)", [AdvisoryKey.partitions.rawValue])
                try transaction.execute("SET LOCAL lock_timeout = '100ms'")
                try transaction.execute(statement)
            }
        } catch let error as PostgresError where error.sqlState.map(Self.isForLater) ?? false {
            return
        }
    }

    private static func isForLater(_ state: SQLState) -> Bool {
        switch state {
        // Somebody else uses the journal; another node was faster; rows of the hour lie in the default partition; the
        // bounds overlap with another partition's.
        case .lockNotAvailable, .deadlockDetected, .duplicateTable, .uniqueViolation, .checkViolation,
            SQLState("42P17"):
            true
        default: false
        }
    }
}

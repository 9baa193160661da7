package import Caching
import Postgres
import RecommendationCore

/// The journal of invalidations and its partitions.
package struct PostgresJournal: Journal {
    private let store: PostgresStore
    private let incarnation: @Sendable () -> String

    /// - Parameter incarnation: The incarnation that keys are made for.
    package init(store: PostgresStore, incarnation: @escaping @Sendable () -> String) {
        self.store = store
        self.incarnation = incarnation
    }

    private struct Line: Sendable {
        let next: String
        let controlHead: Int64
        let row: (tenant: String, user: String, version: Int64)?
    }

    package func page(from position: JournalPosition?) async throws(JournalError) -> JournalPage {
        let lines = try await self.read(
            """
            SELECT pg_current_snapshot()::text, (SELECT coalesce(max(id), 0) FROM control_log), t.tenant_id, i.user_id,
                   i.version
            FROM (SELECT 1) AS always
            LEFT JOIN (
                (SELECT tenant, user_id, max(version) AS version FROM invalidations
                 WHERE xid >= pg_snapshot_xmax($1::text::pg_snapshot)
                    OR xid = ANY (ARRAY(SELECT pg_snapshot_xip($1::text::pg_snapshot)))
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
            guard let tenant = try row.decode(2, as: String?.self) else {
                return Line(next: next, controlHead: controlHead, row: nil)
            }
            return Line(next: next, controlHead: controlHead, row: (tenant, try row.decode(3), try row.decode(4)))
        }
        do {
            // After a loss of the position it is everything that is kept, and may take its time.
            guard isWhole else { return try await self.store.client.query(statement, bindings, decode: decode) }
            return try await self.store.client.transaction(readOnly: true, timeout: .seconds(60)) { transaction in
                try transaction.query(statement, bindings, decode: decode)
            }
        } catch let error as PostgresError {
            throw .unavailable(error.shortDescription)
        } catch {
            throw .unavailable("unavailable")
        }
    }

    package func head() async throws(JournalError) -> UInt64 {
        do {
            let rows = try await self.store.client.query("SELECT pg_snapshot_xmax(pg_current_snapshot())") {
                row in try row.decode(0, as: UInt64.self)
            }
            return rows[0]
        } catch {
            throw .unavailable(error.shortDescription)
        }
    }

    /// Makes the partitions of this hour and the next two, and drops those older than 25 hours. A partition that cannot be
    /// made (rows of its hour lie in the default one already) is left out; nothing is lost by it.
    package func maintain() async throws(JournalError) {
        do {
            let hours = try await self.store.client.query(
                """
                SELECT to_char(hour AT TIME ZONE 'UTC', 'YYYYMMDDHH24'), hour, hour + interval '1 hour'
                FROM generate_series(date_trunc('hour', now()), now() + interval '2 hours', interval '1 hour') AS hour
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
                do {
                    _ = try await self.store.client.execute(
                        """
                        CREATE TABLE IF NOT EXISTS \(identifier: "invalidations_\(name)") PARTITION OF invalidations
                        FOR VALUES FROM (\(literal: first)) TO (\(literal: last))
                        """
                    )
                } catch  where error.sqlState == .checkViolation || error.sqlState?.code == "42P17" {
                    continue
                }
            }
            let old = try await self.store.client.query(
                """
                SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
                WHERE i.inhparent = 'invalidations'::regclass AND c.relname ~ '^invalidations_[0-9]{10}$'
                  AND to_timestamp(substr(c.relname, 15), 'YYYYMMDDHH24') AT TIME ZONE 'UTC'
                      < (now() AT TIME ZONE 'UTC') - interval '26 hours'
                """
            ) { row in try row.decode(0, as: String.self) }
            for name in old { _ = try await self.store.client.execute("DROP TABLE IF EXISTS \(identifier: name)") }
            _ = try await self.store.client.execute(
                "DELETE FROM invalidations_default WHERE created_at < now() - interval '26 hours'"
            )
        } catch {
            throw .unavailable(error.shortDescription)
        }
    }
}

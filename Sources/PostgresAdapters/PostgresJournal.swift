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
        let next: UInt64
        let row: (id: Int64, transaction: UInt64, tenant: String, user: String, version: Int64)?
    }

    package func page(from position: UInt64?) async throws(JournalError) -> JournalPage {
        let lines = try await self.read(
            """
            SELECT pg_snapshot_xmin(pg_current_snapshot()), i.id, i.xid, t.tenant_id, i.user_id, i.version
            FROM (SELECT 1) AS always
            LEFT JOIN (invalidations i JOIN tenants t USING (tenant)) ON i.xid >= $1
            """,
            [position ?? 0]
        )
        let incarnation = self.incarnation()
        return JournalPage(
            rows: lines.compactMap { line in
                line.row.map { row in
                    JournalPage.Row(
                        id: row.id,
                        transaction: row.transaction,
                        invalidation: Invalidation(
                            key: CacheKey(namespace: incarnation, owner: row.tenant, member: row.user),
                            version: row.version
                        )
                    )
                }
            },
            next: lines.first?.next ?? position ?? 0
        )
    }

    private func read(
        _ statement: PostgresStatement,
        _ bindings: PostgresBindings
    ) async throws(JournalError) -> [Line] {
        do {
            return try await self.store.client.query(statement, bindings) { row -> Line in
                guard let id = try row.decode(1, as: Int64?.self) else {
                    return Line(next: try row.decode(0), row: nil)
                }
                return Line(
                    next: try row.decode(0),
                    row: (id, try row.decode(2), try row.decode(3), try row.decode(4), try row.decode(5))
                )
            }
        } catch {
            throw .unavailable(error.shortDescription)
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

package import Caching
import Postgres

extension PostgresJournal: JournalTail {
    private struct Line: Sendable {
        let next: String
        let isOurs: Bool
        /// Whether rows of users who were erased are missing.
        let isScrubbed: Bool
        let row: (tenant: String, user: String, version: Int64)?
    }

    package func poll(from position: JournalPosition?, limit: Int) async throws(JournalError) -> JournalPoll {
        let incarnation = self.incarnation()
        let lines: [Line]
        do {
            // Rows are counted before they are grouped or joined, so that a flood of them costs PostgreSQL no more than the limit.
            lines = try await self.store.client.read(
                """
                SELECT pg_current_snapshot()::text,
                       CASE WHEN pg_is_in_recovery() THEN false
                            ELSE EXISTS (SELECT FROM incarnation i WHERE i.id = $2 AND \(PostgresIncarnation.isCurrent)) END,
                       $3 AND EXISTS (SELECT FROM erasures WHERE \(Self.isScrubbedLater)),
                       t.tenant_id, r.user_id, r.version
                FROM (SELECT 1) AS always
                LEFT JOIN (
                    (SELECT tenant, user_id, version FROM invalidations WHERE $3 AND \(Self.isLater) LIMIT $4) r
                    JOIN tenants t USING (tenant)
                ) ON true
                """,
                [position?.text ?? "1:1:", incarnation, position != nil, Int64(limit) + 1]
            ) { row in
                let (next, isOurs) = (try row.decode(0, as: String.self), try row.decode(1, as: Bool.self))
                let isScrubbed = try row.decode(2, as: Bool.self)
                guard let tenant = try row.decode(3, as: String?.self) else {
                    return Line(next: next, isOurs: isOurs, isScrubbed: isScrubbed, row: nil)
                }
                return Line(
                    next: next,
                    isOurs: isOurs,
                    isScrubbed: isScrubbed,
                    row: (tenant, try row.decode(4), try row.decode(5))
                )
            }
        } catch {
            throw .unavailable(error.shortDescription)
        }
        guard let first = lines.first, let next = JournalPosition(first.next) else {
            throw .unavailable("no snapshot of transactions")
        }
        guard first.isOurs else { throw .unavailable("a standby, or another incarnation of the database") }
        return JournalPoll(
            invalidations: lines.prefix(limit).compactMap { line in
                line.row.map { row in
                    Invalidation(
                        key: CacheKey(namespace: incarnation, owner: row.tenant, member: row.user),
                        version: row.version
                    )
                }
            },
            next: next,
            isWhole: lines.count <= limit && !first.isScrubbed
        )
    }
}

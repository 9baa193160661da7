import Postgres
import RecommendationCore

/// The incarnation of the data: minted anew when the database is another one, or on another timeline, than the one that the
/// stored id was minted on.
enum PostgresIncarnation {
    /// The timeline a primary writes on. The control file's is behind until the first checkpoint after a promotion.
    static let currentTimeline: PostgresStatement =
        "('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::integer"

    /// Of a row `i` of the table, on a primary: whether it is of this database and timeline.
    static let isCurrent: PostgresStatement =
        """
        (i.system_identifier = (SELECT system_identifier FROM pg_control_system()) AND i.timeline = \(currentTimeline))
        """

    /// Makes sure that the stored incarnation is of this database and timeline.
    static func ensure(_ store: PostgresStore) async throws(RepositoryError) {
        _ = try await store.mapped {
            try await store.client.execute(
                """
                INSERT INTO incarnation (id, system_identifier, timeline)
                SELECT translate(gen_random_uuid()::text, '-', ''), system_identifier, \(Self.currentTimeline)
                FROM pg_control_system()
                ON CONFLICT (only_row) DO UPDATE
                SET id = excluded.id, system_identifier = excluded.system_identifier, timeline = excluded.timeline,
                    minted_at = now()
                WHERE (incarnation.system_identifier, incarnation.timeline)
                      IS DISTINCT FROM (excluded.system_identifier, excluded.timeline)
                """
            )
        }
    }
}

import Postgres
import RecommendationCore

/// Which of some tombstones deny now: of all that names a key, a row, a removal, a set, the latest change counts, whether or
/// not it has been folded, and what has expired denies nothing, whether or not it has been deleted.
///
/// It is read ahead of the lock of the control log, as it may take a while where there are sets, and brought up to date under
/// it by what others have changed meanwhile.
struct TombstoneStanding {
    private let tombstones: [Tombstone]
    private let tenant: Int32
    /// By the clock of PostgreSQL.
    private let now: Timestamp
    /// Every change up to this one is known.
    private var head: Int64
    /// Indices of those that deny.
    private var denying: Set<Int>

    /// How many deny.
    var count: Int { self.denying.count }

    /// Reads what stands of tombstones, each of which is given once.
    init(
        of tombstones: [Tombstone],
        tenant: Int32,
        in transaction: inout PostgresTransaction
    ) throws(PostgresError) {
        self.tombstones = tombstones
        self.tenant = tenant
        // First: what is changed between the two statements comes twice, and not never.
        (self.head, self.now) = try transaction.query("SELECT coalesce(max(id), 0), now() FROM control_log") { row in
            (try row.decode(0, as: Int64.self), Timestamp(try row.decode(1, as: PostgresTimestamp.self)))
        }[0]
        let places = try transaction.query(
            """
            WITH given AS MATERIALIZED (
                SELECT kind, key COLLATE "C" AS key, place
                FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS given (kind, key, place)
            ),
            -- By itself: joined while it is unnested, each key would be compared with every one that is given.
            staged AS MATERIALIZED (
                SELECT s.kind, keys.key, s.epoch, s.denies AND coalesce(s.expires_at > now(), true) AS denies
                FROM tombstone_sets s JOIN tombstone_set_keys k ON k.set_id = s.id
                CROSS JOIN LATERAL unnest(k.keys) AS keys (key)
                WHERE s.tenant = $1 AND s.epoch IS NOT NULL
                  -- A handful is sought in each row's keys, which is quicker than to unnest all of them.
                  AND (cardinality($3::text[]) > 8 OR k.keys && $3::text[])
            ),
            named AS (
                SELECT given.place, there.epoch, coalesce(there.expires_at > now(), true) AS denies
                FROM given CROSS JOIN LATERAL (
                    SELECT epoch, expires_at FROM tombstones
                    WHERE tenant = $1 AND kind = given.kind AND key = given.key OFFSET 0
                ) there
                UNION ALL
                SELECT given.place, staged.epoch, staged.denies
                FROM staged JOIN given ON given.kind = staged.kind AND given.key = staged.key
                UNION ALL
                -- A row that was deleted needs no removal to be gone; what a set says does.
                SELECT given.place, gone.epoch, false
                FROM given CROSS JOIN LATERAL (
                    SELECT epoch FROM tombstone_removals
                    WHERE tenant = $1 AND kind = given.kind AND key = given.key OFFSET 0
                ) gone
                WHERE EXISTS (SELECT FROM tombstone_sets WHERE tenant = $1 AND epoch IS NOT NULL)
            )
            SELECT place FROM (SELECT DISTINCT ON (place) place, denies FROM named ORDER BY place, epoch DESC) latest
            WHERE denies
            """,
            [tenant, tombstones.map(\.kind.rawValue), tombstones.map(\.key.string)]
        ) { row in Int(try row.decode(0, as: Int64.self)) - 1 }
        self.denying = Set(places)
    }

    /// Learns what was changed since.
    ///
    /// - Returns: How many changes those were, of whatever tombstones of the tenant.
    mutating func update(in transaction: inout PostgresTransaction) throws(PostgresError) -> Int {
        let head = try transaction.query("SELECT coalesce(max(id), 0) FROM control_log") { row in
            try row.decode(0, as: Int64.self)
        }[0]
        guard head > self.head else { return 0 }
        let changes = try PostgresControlRepository.tombstones(
            after: self.head,
            tenant: self.tenant,
            in: &transaction
        ).changes
        self.head = head
        guard !changes.isEmpty else { return 0 }
        let places = Dictionary(zip(self.tombstones, self.tombstones.indices)) { first, _ in first }
        for change in changes {
            guard let place = places[change.tombstone] else { continue }
            if let end = change.deniedUntil, self.now < end {
                self.denying.insert(place)
            } else {
                self.denying.remove(place)
            }
        }
        return changes.count
    }
}

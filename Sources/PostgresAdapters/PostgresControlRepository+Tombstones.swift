import Postgres
package import RecommendationCore

/// Tombstones: rows, and sets of many that are in force by one row of the control log.
///
/// A change of few writes their rows. One of many writes its keys into a set, a thousand a row, in a transaction that takes the
/// lock of the control log only when all of them are there: whoever changes one thing waits for nobody. The set is in force
/// when that transaction is committed, whole or not at all, and is folded into the rows later (``fold()``). Of all that names
/// a key the latest epoch counts.
extension PostgresControlRepository {
    /// More keys than that are a set.
    static let rowCount = 1_000
    /// Keys in a row of a set, and rows that are folded under one lock.
    static let chunkCount = 1_000

    /// One row for each of the keys `$3` of the kinds `$2`.
    private static let given: PostgresStatement =
        #"(SELECT kind, key COLLATE "C" FROM unnest($2::text[], $3::text[]) AS given (kind, key))"#

    /// Keeps plans until the end of the transaction to what is right for many rows. Right after a bulk change the planner knows
    /// nothing of what is in the tables, expects a handful, and would compare each key with every row. What is to be looked for
    /// key by key says so by LATERAL with OFFSET 0, which keeps the order; its cost counts as huge then, for which alone
    /// PostgreSQL would compile it.
    static func expectMany(_ transaction: inout PostgresTransaction) throws(PostgresError) {
        try transaction.execute("SET LOCAL enable_nestloop = off")
        try transaction.execute("SET LOCAL jit = off")
    }

    // MARK: Following

    /// What changed of a tenant's tombstones after an id; nil: what is denied.
    static func tombstones(
        after id: Int64?,
        tenant: Int32,
        in transaction: inout PostgresTransaction
    ) throws(PostgresError) -> TombstoneDelta {
        var changes: [(epoch: Int64, change: TombstoneChange)] = []
        var isInOrder = true
        let rows = try transaction.query(
            "SELECT kind, key, expires_at, epoch FROM tombstones WHERE tenant = $1 AND epoch > $2",
            [tenant, id ?? 0]
        ) { row in
            (
                try row.decode(3, as: Int64.self),
                try Self.change(row.decode(0), row.decode(1), row.decode(2, as: PostgresTimestamp?.self), denies: true)
            )
        }
        for case (let epoch, let change?) in rows { changes.append((epoch, change)) }
        // Who begins needs to know of a removal only what a set does not.
        let removals = try transaction.query(
            """
            SELECT kind, key, epoch FROM tombstone_removals
            WHERE tenant = $1 AND epoch > coalesce($2, (SELECT min(epoch) FROM tombstone_sets))
            """,
            [tenant, id]
        ) { row in
            (
                try row.decode(2, as: Int64.self),
                try Self.change(row.decode(0), row.decode(1), nil, denies: false)
            )
        }
        for case (let epoch, let change?) in removals {
            changes.append((epoch, change))
            isInOrder = false
        }
        let chunks = try transaction.query(
            """
            SELECT s.kind, s.denies, s.expires_at, s.epoch, k.keys
            FROM tombstone_sets s JOIN tombstone_set_keys k ON k.set_id = s.id WHERE s.tenant = $1 AND s.epoch > $2
            """,
            [tenant, id ?? 0]
        ) { row in
            (
                kind: try row.decode(0, as: String.self), denies: try row.decode(1, as: Bool.self),
                end: try row.decode(2, as: PostgresTimestamp?.self), epoch: try row.decode(3, as: Int64.self),
                keys: try row.decode(4, as: [String].self)
            )
        }
        for chunk in chunks {
            isInOrder = false
            for key in chunk.keys {
                guard let change = Self.change(chunk.kind, key, chunk.end, denies: chunk.denies) else { continue }
                changes.append((chunk.epoch, change))
            }
        }
        // A row names each key once.
        if !isInOrder { changes.sort { $0.epoch < $1.epoch } }
        return TombstoneDelta(isWhole: id == nil, changes: changes.map(\.change))
    }

    /// Nil: of a kind that this program does not know.
    private static func change(
        _ kind: String,
        _ key: String,
        _ end: PostgresTimestamp?,
        denies: Bool
    ) -> TombstoneChange? {
        Tombstone.Kind(rawValue: kind).map { kind in
            TombstoneChange(
                Tombstone(kind: kind, key: Identifier(trusted: key)),
                deniedUntil: denies ? end.map(Timestamp.init) ?? .never : nil
            )
        }
    }

    // MARK: Changing

    package func addTombstones(
        _ tombstones: [Tombstone],
        reason: String?,
        expiresAt: Timestamp?,
        tenant: Tenant.ID
    ) async throws(RepositoryError) -> (epoch: Int64, changed: Int) {
        let number = try await self.store.requiredNumber(of: tenant)
        if tombstones.count > Self.rowCount {
            return try await self.changeMany(
                tombstones,
                denies: true,
                reason: reason,
                expiresAt: expiresAt,
                tenant: number
            )
        }
        return try await self.store.transaction { transaction in
            try Self.expectMany(&transaction)
            var standing = try TombstoneStanding(of: tombstones, tenant: number, in: &transaction)
            try PostgresStore.lockControl(&transaction)
            _ = try standing.update(in: &transaction)
            let epoch = try PostgresStore.appendControl(&transaction, tenant: number, kind: Kind.tombstones)
            // One that is there already takes the new reason and expiry, and does not count as added.
            try transaction.execute(
                """
                INSERT INTO tombstones (tenant, kind, key, reason, expires_at, epoch)
                SELECT $1, kind, key, $4, $5, $6 FROM unnest($2::text[], $3::text[]) AS given (kind, key)
                ON CONFLICT (tenant, kind, key) DO UPDATE
                SET reason = excluded.reason, expires_at = excluded.expires_at, epoch = excluded.epoch
                """,
                [
                    number, tombstones.map(\.kind.rawValue), tombstones.map(\.key.string), reason, expiresAt?.postgres,
                    epoch,
                ]
            )
            return (epoch, tombstones.count - standing.count)
        }
    }

    package func removeTombstones(
        _ tombstones: [Tombstone],
        tenant: Tenant.ID
    ) async throws(RepositoryError) -> (epoch: Int64, changed: Int) {
        let number = try await self.store.requiredNumber(of: tenant)
        if tombstones.count > Self.rowCount {
            return try await self.changeMany(
                tombstones,
                denies: false,
                reason: nil,
                expiresAt: nil,
                tenant: number
            )
        }
        return try await self.store.transaction { transaction in
            try Self.expectMany(&transaction)
            var standing = try TombstoneStanding(of: tombstones, tenant: number, in: &transaction)
            try PostgresStore.lockControl(&transaction)
            _ = try standing.update(in: &transaction)
            let epoch = try PostgresStore.appendControl(&transaction, tenant: number, kind: Kind.tombstones)
            let kinds = tombstones.map(\.kind.rawValue)
            let keys = tombstones.map(\.key.string)
            // What a set may deny is written down: no row of it can be deleted. Of what it does not name that says nothing.
            try transaction.execute(
                """
                INSERT INTO tombstone_removals (tenant, kind, key, epoch)
                SELECT $1, kind, key, $4 FROM unnest($2::text[], $3::text[]) AS given (kind, key)
                WHERE EXISTS (SELECT FROM tombstone_sets WHERE tenant = $1)
                ON CONFLICT (tenant, kind, key) DO UPDATE SET epoch = excluded.epoch
                """,
                [number, kinds, keys, epoch]
            )
            try transaction.execute(
                """
                DELETE FROM tombstones WHERE ctid = ANY (ARRAY(
                    SELECT there.ctid FROM \(Self.given) AS given CROSS JOIN LATERAL (
                        SELECT ctid FROM tombstones
                        WHERE tenant = $1 AND kind = given.kind AND key = given.key OFFSET 0
                    ) there
                ))
                """,
                [number, kinds, keys]
            )
            return (epoch, standing.count)
        }
    }

    /// Makes a set of each kind, in force by one row of the log; nothing of it where the call breaks off.
    private func changeMany(
        _ tombstones: [Tombstone],
        denies: Bool,
        reason: String?,
        expiresAt: Timestamp?,
        tenant: Int32
    ) async throws(RepositoryError) -> (epoch: Int64, changed: Int) {
        try await self.store.transaction(timeout: .seconds(10)) { transaction in
            try Self.expectMany(&transaction)
            let old = try transaction.query(
                "SELECT FROM nodes WHERE reads_sets_since IS DISTINCT FROM started_at LIMIT 1"
            ) { _ in true }
            guard old.isEmpty else {
                throw RepositoryError.conflict(
                    "a node of the version before is in the fleet, which reads no sets: at most \(Self.rowCount) at once"
                )
            }
            var sets: [Int64] = []
            for kind in Tombstone.Kind.allCases {
                let keys = tombstones.filter { $0.kind == kind }.map(\.key.string)
                guard !keys.isEmpty else { continue }
                let set = try transaction.query(
                    """
                    INSERT INTO tombstone_sets (tenant, kind, denies, reason, expires_at)
                    VALUES ($1, $2, $3, $4, $5) RETURNING id
                    """,
                    [tenant, kind.rawValue, denies, reason, expiresAt?.postgres]
                ) { row in try row.decode(0, as: Int64.self) }[0]
                for start in stride(from: 0, to: keys.count, by: Self.chunkCount) {
                    let chunk = Array(keys[start..<min(start + Self.chunkCount, keys.count)])
                    try transaction.execute(
                        "INSERT INTO tombstone_set_keys (set_id, chunk, keys) VALUES ($1, $2, $3)",
                        [set, Int32(start / Self.chunkCount), chunk]
                    )
                }
                sets.append(set)
            }
            var standing = try TombstoneStanding(of: tombstones, tenant: tenant, in: &transaction)
            // Another bulk change that came meanwhile is not read while others wait.
            while try standing.update(in: &transaction) > Self.rowCount {}
            // From here on others wait, for as long as a few small statements take.
            try PostgresStore.lockControl(&transaction)
            _ = try standing.update(in: &transaction)
            let epoch = try PostgresStore.appendControl(
                &transaction,
                tenant: tenant,
                kind: Kind.tombstones,
                sets: sets
            )
            try transaction.execute("UPDATE tombstone_sets SET epoch = $2 WHERE id = ANY ($1)", [sets, epoch])
            return (epoch, denies ? tombstones.count - standing.count : standing.count)
        }
    }

    // MARK: Reading

    /// Whether a tombstone denies by a change, and no later one has said anything of it.
    package func stands(
        _ tombstone: Tombstone,
        by epoch: Int64,
        tenant: Tenant.ID
    ) async throws(RepositoryError) -> Bool {
        guard let number = try await self.store.number(of: tenant) else { return false }
        let rows = try await self.store.mapped {
            try await self.store.client.read(
                """
                SELECT epoch = $4 AND denies FROM (
                    SELECT epoch, coalesce(expires_at > now(), true) AS denies FROM tombstones
                    WHERE tenant = $1 AND kind = $2 AND key = $3
                    UNION ALL
                    SELECT epoch, denies AND coalesce(expires_at > now(), true) FROM tombstone_sets s
                    WHERE tenant = $1 AND kind = $2
                      AND EXISTS (SELECT FROM tombstone_set_keys k WHERE k.set_id = s.id AND $3 = ANY (k.keys))
                    UNION ALL
                    SELECT epoch, false FROM tombstone_removals WHERE tenant = $1 AND kind = $2 AND key = $3
                ) named ORDER BY epoch DESC LIMIT 1
                """,
                [number, tombstone.kind.rawValue, tombstone.key.string, epoch]
            ) { row in try row.decode(0, as: Bool.self) }
        }
        return rows.first ?? false
    }

    package func tombstones(
        kind: Tombstone.Kind?,
        after place: TombstonePlace?,
        limit: Int,
        tenant: Tenant.ID
    ) async throws(RepositoryError) -> [ListedTombstone] {
        guard let number = try await self.store.number(of: tenant) else { return [] }
        // Every place comes after this one.
        let bindings: PostgresBindings = [
            number, kind?.rawValue, place?.epoch ?? .max, place?.tombstone.kind.rawValue ?? "",
            place?.tombstone.key.string ?? "", limit,
        ]
        return try await self.store.transaction(isolation: .repeatableRead, readOnly: true) { transaction in
            let sets = try transaction.query("SELECT FROM tombstone_sets WHERE tenant = $1 LIMIT 1", [number]) { _ in
                true
            }
            if sets.isEmpty {
                // Off the index, whatever the planner knows of the table: a page is a few rows of many.
                try transaction.execute("SET LOCAL enable_sort = off")
            } else {
                try Self.expectMany(&transaction)
            }
            let rows = try transaction.query(
                """
                \(sets.isEmpty ? Self.folded : Self.named)
                SELECT kind, key, reason, expires_at, epoch, created_at FROM named
                WHERE (epoch, kind, key) < ($3, $4, $5) AND coalesce(expires_at > now(), true)
                ORDER BY epoch DESC, kind DESC, key DESC LIMIT $6
                """,
                bindings
            ) { row -> ListedTombstone? in
                guard let kind = Tombstone.Kind(rawValue: try row.decode(0)) else { return nil }
                return ListedTombstone(
                    tombstone: Tombstone(kind: kind, key: Identifier(trusted: try row.decode(1))),
                    reason: try row.decode(2),
                    expiresAt: try row.decode(3, as: PostgresTimestamp?.self).map(Timestamp.init),
                    epoch: try row.decode(4),
                    createdAt: Timestamp(try row.decode(5))
                )
            }
            return rows.compactMap(\.self)
        }
    }

    /// The rows of the tenant `$1` and the kind `$2`: all that there is where there are no sets. Not materialized, so that a
    /// page is read off the index.
    private static let folded: PostgresStatement =
        """
        WITH named AS NOT MATERIALIZED (
            SELECT * FROM tombstones WHERE tenant = $1 AND ($2::text IS NULL OR kind = $2)
        )
        """

    /// The same where there are sets: of all that names a key the latest epoch counts.
    private static let named: PostgresStatement =
        """
        WITH staged AS MATERIALIZED (
            SELECT DISTINCT ON (s.kind, staged.key)
                   s.kind, staged.key, s.reason, s.expires_at, s.epoch, s.created_at, s.denies
            FROM tombstone_sets s JOIN tombstone_set_keys k ON k.set_id = s.id
            CROSS JOIN LATERAL unnest(k.keys) AS staged (key)
            WHERE s.tenant = $1 AND ($2::text IS NULL OR s.kind = $2)
            ORDER BY s.kind, staged.key, s.epoch DESC
        ),
        named AS (
            SELECT t.kind, t.key, t.reason, t.expires_at, t.epoch, t.created_at
            FROM tombstones t
            WHERE t.tenant = $1 AND ($2::text IS NULL OR t.kind = $2)
              AND NOT EXISTS (SELECT FROM staged s WHERE s.kind = t.kind AND s.key = t.key AND s.epoch > t.epoch)
            UNION ALL
            SELECT s.kind, s.key, s.reason, s.expires_at, s.epoch, s.created_at
            FROM staged s
            WHERE s.denies
              AND NOT EXISTS (SELECT FROM tombstones t WHERE t.tenant = $1 AND t.kind = s.kind AND t.key = s.key
                              AND t.epoch > s.epoch)
              AND NOT EXISTS (SELECT FROM tombstone_removals r WHERE r.tenant = $1 AND r.kind = s.kind
                              AND r.key = s.key AND r.epoch > s.epoch)
        )
        """
}

import Postgres
package import RecommendationCore

/// What keeps the control state compact. Any node may do it; who comes second does nothing.
extension PostgresControlRepository {
    /// Rows of the log that are deleted at once.
    private static let pruneCount = 10_000

    /// Folds a part of the oldest set into the rows of tombstones, under the lock of the control log: short, so that whoever
    /// changes one thing does not wait for more than that.
    ///
    /// - Returns: Whether there is more to fold.
    package func fold() async throws(RepositoryError) -> Bool {
        let isAny = try await self.store.mapped {
            try await self.store.client.read("SELECT FROM tombstone_sets LIMIT 1") { _ in true }
        }
        guard !isAny.isEmpty else { return false }
        return try await self.store.transaction { transaction in
            guard try Self.isOnlyKeeper(&transaction) else { return false }
            try Self.expectMany(&transaction)
            try PostgresStore.lockControl(&transaction)
            // In their order, as a later one counts.
            let oldest = try transaction.query(
                """
                SELECT s.id, s.denies, s.epoch,
                       (SELECT min(chunk) FROM tombstone_set_keys k WHERE k.set_id = s.id)
                FROM tombstone_sets s ORDER BY s.epoch, s.id LIMIT 1
                """
            ) { row in
                (
                    id: try row.decode(0, as: Int64.self), denies: try row.decode(1, as: Bool.self),
                    epoch: try row.decode(2, as: Int64.self), chunk: try row.decode(3, as: Int32?.self)
                )
            }
            guard let set = oldest.first else { return false }
            guard let chunk = set.chunk else {
                try transaction.execute("DELETE FROM tombstone_sets WHERE id = $1", [set.id])
                return true
            }
            if set.denies {
                try transaction.execute(
                    """
                    INSERT INTO tombstones (tenant, kind, key, reason, expires_at, epoch, created_at)
                    SELECT s.tenant, s.kind, named.key, s.reason, s.expires_at, s.epoch, s.created_at
                    FROM tombstone_sets s JOIN tombstone_set_keys k ON k.set_id = s.id, unnest(k.keys) AS named (key)
                    WHERE s.id = $1 AND k.chunk = $2
                      AND NOT EXISTS (SELECT FROM tombstone_removals r WHERE r.tenant = s.tenant AND r.kind = s.kind
                                      AND r.key = named.key AND r.epoch > s.epoch)
                    ON CONFLICT (tenant, kind, key) DO UPDATE
                    SET reason = excluded.reason, expires_at = excluded.expires_at, epoch = excluded.epoch
                    WHERE tombstones.epoch < excluded.epoch
                    """,
                    [set.id, chunk]
                )
            } else {
                // What is deleted here was taken away by that change, not by the last one.
                try transaction.execute("SELECT set_config('vireo.epoch', $1, true)", [String(set.epoch)])
                try transaction.execute(
                    """
                    DELETE FROM tombstones WHERE ctid = ANY (ARRAY(
                        SELECT there.ctid
                        FROM tombstone_sets s JOIN tombstone_set_keys k ON k.set_id = s.id, unnest(k.keys) AS named (key)
                        CROSS JOIN LATERAL (
                            SELECT ctid FROM tombstones t
                            WHERE t.tenant = s.tenant AND t.kind = s.kind AND t.key = named.key AND t.epoch < s.epoch
                            OFFSET 0
                        ) there
                        WHERE s.id = $1 AND k.chunk = $2
                    ))
                    """,
                    [set.id, chunk]
                )
            }
            try transaction.execute(
                "DELETE FROM tombstone_set_keys WHERE set_id = $1 AND chunk = $2",
                [set.id, chunk]
            )
            return true
        }
    }

    /// Deletes what is old of the control log, and removals that no node can lack any more: a node that has not read since
    /// reads everything (``delta(after:items:)``). The last row stays, whose id is the head.
    ///
    /// - Returns: Whether there is more to delete.
    package func prune(olderThan age: Duration) async throws(RepositoryError) -> Bool {
        try await self.store.transaction { transaction in
            guard try Self.isOnlyKeeper(&transaction) else { return false }
            let deleted = try transaction.execute(
                """
                DELETE FROM control_log WHERE created_at < now() - $1 * interval '1 second' AND id IN (
                    SELECT id FROM control_log WHERE id < (SELECT max(id) FROM control_log) ORDER BY id LIMIT $2
                )
                """,
                [Double(age.components.seconds), Int64(Self.pruneCount)]
            )
            // A removal that is later than a set takes its effect when that is folded.
            let forgotten = try transaction.execute(
                """
                DELETE FROM tombstone_removals
                WHERE epoch < (SELECT min(id) FROM control_log) AND ctid = ANY (ARRAY(
                    SELECT ctid FROM tombstone_removals
                    WHERE epoch < (SELECT min(id) FROM control_log) AND NOT EXISTS (SELECT FROM tombstone_sets)
                    LIMIT $1
                ))
                """,
                [Int64(Self.pruneCount)]
            )
            return deleted == Self.pruneCount || forgotten == Self.pruneCount
        }
    }

    /// Deletes a part of the tombstones that expired longer than `grace` ago, under the lock of the control log, and no change
    /// of it: nodes have taken them out by their own clocks.
    ///
    /// The grace is for those whose clock is late: one that starts then would not deny any more what the others still do. A
    /// deletion leaves a removal, as any does, for a node that knows the key by an earlier change only. While a set waits to be
    /// folded nothing is deleted: an earlier one would bring the key back, and a later one be undone by the removal.
    ///
    /// - Returns: Whether there is more to delete.
    package func deleteExpired(after grace: Duration) async throws(RepositoryError) -> Bool {
        let age = Double(grace.components.seconds)
        let isAny = try await self.store.mapped {
            try await self.store.client.read(
                "SELECT FROM tombstones WHERE expires_at < now() - $1 * interval '1 second' LIMIT 1",
                [age]
            ) { _ in true }
        }
        guard !isAny.isEmpty else { return false }
        return try await self.store.transaction { transaction in
            guard try Self.isOnlyKeeper(&transaction) else { return false }
            try PostgresStore.lockControl(&transaction)
            let deleted = try transaction.execute(
                """
                DELETE FROM tombstones WHERE ctid = ANY (ARRAY(
                    SELECT ctid FROM tombstones
                    WHERE expires_at < now() - $1 * interval '1 second' AND NOT EXISTS (SELECT FROM tombstone_sets)
                    ORDER BY expires_at LIMIT $2
                ))
                """,
                [age, Int64(Self.chunkCount)]
            )
            return deleted == Self.chunkCount
        }
    }

    private static func isOnlyKeeper(_ transaction: inout PostgresTransaction) throws(PostgresError) -> Bool {
        try transaction.query("SELECT pg_try_advisory_xact_lock($1)", [AdvisoryKey.upkeep.rawValue]) { row in
            try row.decode(0, as: Bool.self)
        }.first == true
    }
}

import Postgres
import RecommendationCore

/// One chunk of users in its transaction: by COPY into a temporary table and set statements from there.
struct UserChunkWrite {
    let tenant: Int32

    func run(_ users: [ImportedUser], in transaction: inout PostgresTransaction) throws -> ImportedCounts {
        // Of an id that comes more than once, the last counts.
        let last = Dictionary(users.map { ($0.id, $0) }, uniquingKeysWith: { $1 })
        let ids = last.keys.sorted()
        let made = try UserRows.lock(ids, tenant: self.tenant, in: &transaction).filter(\.value.isNew).keys
        try self.stage(ids.map { last[$0]! }, in: &transaction)
        let (new, differing) = try self.storeDocuments(in: &transaction)
        var changed = Set(differing)
        changed.formUnion(try self.storeConsent(in: &transaction))
        changed.formUnion(try self.storeSuppressions(in: &transaction))
        changed.subtract(new)
        try self.raise(changed.union(new).subtracting(made), in: &transaction)
        return ImportedCounts(
            new: new.count,
            changed: changed.count,
            unchanged: users.count - new.count - changed.count
        )
    }

    private func stage(_ users: [ImportedUser], in transaction: inout PostgresTransaction) throws {
        try transaction.executeScript(
            """
            CREATE TEMPORARY TABLE import_users (
                user_id text COLLATE "C", label_names text[], label_values text[], preferred_categories text[],
                consent boolean, kinds text[], keys text[]
            ) ON COMMIT DROP
            """
        )
        try transaction.copyIn("import_users") { writer in
            for user in users {
                try writer.append(user.id.string)
                try writer.append(user.labels.map(\.key))
                try writer.append(user.labels.map(\.value))
                try writer.append(user.preferredCategories)
                try writer.append(user.consent)
                try writer.append(user.suppressions?.map(\.kind.rawValue))
                try writer.append(user.suppressions?.map(\.key.string))
            }
        }
        try transaction.execute("ANALYZE import_users")
    }

    private func storeDocuments(
        in transaction: inout PostgresTransaction
    ) throws(PostgresError) -> (new: Set<User.ID>, changed: Set<User.ID>) {
        let rows = try transaction.query(
            """
            WITH n AS (
                SELECT user_id, jsonb_object(label_names, label_values) AS labels, preferred_categories
                FROM import_users
            ), changed AS (
                UPDATE users u SET labels = n.labels, preferred_categories = n.preferred_categories
                FROM n
                WHERE u.tenant = $1 AND u.user_id = n.user_id
                  AND (u.labels, u.preferred_categories) IS DISTINCT FROM (n.labels, n.preferred_categories)
                RETURNING u.user_id
            ), added AS (
                INSERT INTO users (tenant, user_id, labels, preferred_categories)
                SELECT $1, n.user_id, n.labels, n.preferred_categories FROM n
                WHERE NOT EXISTS (SELECT FROM users u WHERE u.tenant = $1 AND u.user_id = n.user_id)
                RETURNING user_id
            )
            SELECT user_id, true FROM added UNION ALL SELECT user_id, false FROM changed
            """,
            [self.tenant]
        ) { row in (id: User.ID(trusted: try row.decode(0)), isNew: try row.decode(1, as: Bool.self)) }
        return (Set(rows.filter(\.isNew).map(\.id)), Set(rows.filter { !$0.isNew }.map(\.id)))
    }

    private func storeConsent(in transaction: inout PostgresTransaction) throws(PostgresError) -> [User.ID] {
        try transaction.query(
            """
            UPDATE user_state s SET consent = n.consent FROM import_users n
            WHERE s.tenant = $1 AND s.user_id = n.user_id AND s.consent <> n.consent
            RETURNING s.user_id
            """,
            [self.tenant]
        ) { row in User.ID(trusted: try row.decode(0)) }
    }

    /// Where a file lists suppressions, they are all there are.
    private func storeSuppressions(in transaction: inout PostgresTransaction) throws(PostgresError) -> [User.ID] {
        try transaction.query(
            """
            WITH n AS (
                SELECT s.number, s.user_id, i.kinds, i.keys
                FROM import_users i JOIN user_state s ON s.tenant = $1 AND s.user_id = i.user_id
                WHERE i.kinds IS NOT NULL
            ), wanted AS (
                SELECT n.number, given.kind, given.key FROM n, unnest(n.kinds, n.keys) AS given (kind, key)
            ), gone AS (
                DELETE FROM suppressions p USING n
                WHERE p.user_number = n.number AND NOT EXISTS (
                    SELECT FROM wanted w WHERE w.number = p.user_number AND w.kind = p.kind AND w.key = p.key
                )
                RETURNING p.user_number
            ), added AS (
                INSERT INTO suppressions (user_number, kind, key) SELECT number, kind, key FROM wanted
                ON CONFLICT DO NOTHING
                RETURNING user_number
            )
            SELECT user_id FROM n
            WHERE number IN (SELECT user_number FROM gone UNION SELECT user_number FROM added)
            """,
            [self.tenant]
        ) { row in User.ID(trusted: try row.decode(0)) }
    }

    /// Raises versions without the journal: the generation bump at the end of the import does for all.
    private func raise(
        _ users: Set<User.ID>,
        in transaction: inout PostgresTransaction
    ) throws(PostgresError) {
        guard !users.isEmpty else { return }
        try transaction.execute(
            """
            UPDATE user_state SET version = greatest(version + 1, nextval('user_version_seq'))
            WHERE tenant = $1 AND user_id = ANY($2)
            """,
            [self.tenant, users.map(\.string)]
        )
    }
}

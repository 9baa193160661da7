import Postgres
package import RecommendationCore

/// Profiles, consent and suppressions; each write is one transaction with the user's row locked.
package struct PostgresProfileRepository: ProfileRepository {
    private let store: PostgresStore

    package init(store: PostgresStore) {
        self.store = store
    }

    package func user(_ user: User.ID, tenant: Tenant.ID) async throws(RepositoryError) -> StoredUser? {
        guard let number = try await self.store.number(of: tenant) else { return nil }
        let rows = try await self.store.mapped {
            try await self.store.client.query(
                """
                SELECT s.version, s.consent, coalesce(u.labels, '{}'), coalesce(u.preferred_categories, '{}'),
                       ARRAY(SELECT kind FROM suppressions WHERE user_number = s.number ORDER BY kind, key),
                       ARRAY(SELECT key FROM suppressions WHERE user_number = s.number ORDER BY kind, key)
                FROM user_state s LEFT JOIN users u USING (tenant, user_id)
                WHERE s.tenant = $1 AND s.user_id = $2
                """,
                [number, user.string]
            ) { row in
                let kinds = try row.decode(4, as: [String].self)
                let keys = try row.decode(5, as: [String].self)
                return StoredUser(
                    profile: Profile(
                        labels: try LabelDocument.decode(row, 2),
                        preferredCategories: try row.decode(3)
                    ),
                    consent: try row.decode(1),
                    suppressions: zip(kinds, keys).compactMap { kind, key in
                        Suppression.Kind(rawValue: kind).map {
                            Suppression(kind: $0, key: Identifier(trusted: key))
                        }
                    },
                    version: try row.decode(0)
                )
            }
        }
        return rows.first
    }

    package func apply(
        _ change: UserChange,
        to user: User.ID,
        tenant: Tenant.ID
    ) async throws(RepositoryError) -> UserWrite {
        let number = try await self.store.requiredNumber(of: tenant)
        return try await self.store.transaction { transaction in
            let locked: [(number: Int64, version: User.Version)] =
                if change.createsUser {
                    try UserRows.lock([user], tenant: number, in: &transaction).values.map { ($0.number, $0.version) }
                } else {
                    try transaction.query(
                        "SELECT number, version FROM user_state WHERE tenant = $1 AND user_id = $2 FOR UPDATE",
                        [number, user.string]
                    ) { row in (try row.decode(0, as: Int64.self), try row.decode(1, as: Int64.self)) }
                }
            guard let (row, version) = locked.first else { return .unknownUser }
            if case .suppress(let suppression) = change,
                try Self.isFull(row, without: suppression, in: &transaction)
            {
                return .tooManySuppressions
            }
            let hasChanged = try Self.apply(change, to: row, user, tenant: number, in: &transaction)
            let raised =
                hasChanged ? try PostgresFeedbackRepository.raise([user], tenant: number, in: &transaction) : []
            if change.endsCursors, let (_, version) = raised.first {
                try Self.endCursors(of: user, version, tenant: number, in: &transaction)
            }
            let transactions = try transaction.query("SELECT pg_current_xact_id()") {
                row in try row.decode(0, as: UInt64.self)
            }
            return .stored(version: raised.first?.1 ?? version, transaction: transactions[0])
        }
    }

    /// What recommendations to a user were made of tells of their history.
    private static func removeDecisions(
        on user: User.ID,
        tenant: Int32,
        in transaction: inout PostgresTransaction
    ) throws(PostgresError) {
        try transaction.execute("DELETE FROM decisions WHERE tenant = $1 AND user_id = $2", [tenant, user.string])
    }

    /// Lists of a user that are paged through go on no further than this version.
    static func endCursors(
        of user: User.ID,
        _ version: User.Version,
        tenant: Int32,
        in transaction: inout PostgresTransaction
    ) throws(PostgresError) {
        try transaction.execute(
            "UPDATE user_state SET changed = $3 WHERE tenant = $1 AND user_id = $2",
            [tenant, user.string, version]
        )
    }

    /// Whether a user has as many suppressions as may be, and not this one.
    private static func isFull(
        _ row: Int64,
        without suppression: Suppression,
        in transaction: inout PostgresTransaction
    ) throws(PostgresError) -> Bool {
        try transaction.query(
            """
            SELECT count(*) >= $2 AND NOT coalesce(bool_or(kind = $3 AND key = $4), false)
            FROM suppressions WHERE user_number = $1
            """,
            [row, Suppression.maximumCount, suppression.kind.rawValue, suppression.key.string]
        ) { row in try row.decode(0, as: Bool.self) }[0]
    }

    /// Whether the change changed anything.
    private static func apply(
        _ change: UserChange,
        to row: Int64,
        _ user: User.ID,
        tenant: Int32,
        in transaction: inout PostgresTransaction
    ) throws(PostgresError) -> Bool {
        switch change {
        case .profile(let profile):
            var bindings: PostgresBindings = [tenant, user.string]
            LabelDocument.bind(profile.labels, to: &bindings)
            bindings.append(profile.preferredCategories)
            return try transaction.execute(
                """
                INSERT INTO users AS u (tenant, user_id, labels, preferred_categories)
                VALUES ($1, $2, jsonb_object($3::text[], $4::text[]), $5)
                ON CONFLICT (tenant, user_id) DO UPDATE
                SET labels = excluded.labels, preferred_categories = excluded.preferred_categories
                WHERE (u.labels, u.preferred_categories)
                      IS DISTINCT FROM (excluded.labels, excluded.preferred_categories)
                """,
                bindings
            ) > 0
        case .consent(let consent):
            if !consent { try Self.removeDecisions(on: user, tenant: tenant, in: &transaction) }
            return try transaction.execute(
                "UPDATE user_state SET consent = $2 WHERE number = $1 AND consent <> $2",
                [row, consent]
            ) > 0
        case .suppress(let suppression):
            return try transaction.execute(
                "INSERT INTO suppressions (user_number, kind, key) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                [row, suppression.kind.rawValue, suppression.key.string]
            ) > 0
        case .unsuppress(let suppression):
            return try transaction.execute(
                "DELETE FROM suppressions WHERE user_number = $1 AND kind = $2 AND key = $3",
                [row, suppression.kind.rawValue, suppression.key.string]
            ) > 0
        case .reset:
            // Lists that were computed of them, too.
            try transaction.execute("DELETE FROM precomputed_lists WHERE user_number = $1", [row])
            // What was shown to them, of which frequency caps would be counted anew.
            try transaction.execute(
                "DELETE FROM impressions WHERE tenant = $1 AND user_id = $2",
                [tenant, user.string]
            )
            try Self.removeDecisions(on: user, tenant: tenant, in: &transaction)
            // The rows go, so that no reader, and no training, has to know of a mark; their claims stay.
            return try transaction.query(
                """
                WITH gone AS (
                    DELETE FROM interactions WHERE user_number = $1 RETURNING tenant, event_id, user_number
                ), retired AS (
                    INSERT INTO retired_events (tenant, event_id, user_number)
                    SELECT tenant, event_id, user_number FROM gone WHERE event_id IS NOT NULL ON CONFLICT DO NOTHING
                )
                SELECT count(*) > 0 FROM gone
                """,
                [row]
            ) { row in try row.decode(0, as: Bool.self) }[0]
        }
    }
}

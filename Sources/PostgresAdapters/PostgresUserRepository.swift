import Postgres
package import RecommendationCore

/// Reads of single users, each one statement.
package struct PostgresUserRepository: UserRepository {
    /// The newest events that are read: the newest 500 are scored, all of them tell what has been seen.
    static let historyLimit = 10_000

    let store: PostgresStore

    package init(store: PostgresStore) {
        self.store = store
    }

    private struct Row: Sendable {
        let version: Int64
        let consent: Bool
        var event: HistoryEvent?
        var suppression: Suppression?
    }

    package func state(of user: User.ID, tenant: Tenant.ID) async throws(RepositoryError) -> UserState {
        guard let number = try await self.store.number(of: tenant) else { return .unknown }
        let rows = try await self.store.mapped {
            try await self.store.client.query(
                """
                SELECT s.version, s.consent, h.item_number, h.type, h.value, h.occurred_at, h.kind, h.key
                FROM user_state s
                LEFT JOIN LATERAL (
                    (SELECT item_number, type, value, occurred_at, NULL::text AS kind, NULL::text AS key
                     FROM interactions WHERE user_number = s.number AND s.consent
                     ORDER BY occurred_at DESC LIMIT $3)
                    UNION ALL
                    SELECT NULL, NULL, NULL, NULL, kind, key FROM suppressions WHERE user_number = s.number
                ) h ON true
                WHERE s.tenant = $1 AND s.user_id = $2
                """,
                [number, user.string, Self.historyLimit]
            ) { row -> Row in
                var found = Row(version: try row.decode(0), consent: try row.decode(1))
                if let item = try row.decode(2, as: Int32?.self) {
                    // A type that a later version knows says nothing to this one.
                    if let type = EventType(code: UInt8(clamping: try row.decode(3, as: Int16.self))) {
                        found.event = HistoryEvent(
                            item: UInt32(bitPattern: item),
                            type: type,
                            value: try row.decode(4),
                            occurredAt: Timestamp(try row.decode(5))
                        )
                    }
                } else if let kind = try row.decode(6, as: String?.self) {
                    // A kind that a later version knows cannot be kept by this one; it must not be kept silently.
                    guard let kind = Suppression.Kind(rawValue: kind) else { throw row.refusal(of: 6, as: String.self) }
                    found.suppression = Suppression(kind: kind, key: Identifier(trusted: try row.decode(7)))
                }
                return found
            }
        }
        guard let first = rows.first else { return .unknown }
        return UserState(
            version: first.version,
            consent: first.consent,
            history: rows.compactMap(\.event),
            suppressions: rows.compactMap(\.suppression)
        )
    }

    package func version(of user: User.ID, tenant: Tenant.ID) async throws(RepositoryError) -> User.Version {
        guard let number = try await self.store.number(of: tenant) else { return 0 }
        let rows = try await self.store.mapped {
            try await self.store.client.query(
                "SELECT version FROM user_state WHERE tenant = $1 AND user_id = $2",
                [number, user.string]
            ) { row in try row.decode(0, as: Int64.self) }
        }
        return rows.first ?? 0
    }

    package func raiseVersion(
        of user: User.ID,
        tenant: Tenant.ID
    ) async throws(RepositoryError) -> (version: User.Version, transaction: UInt64)? {
        guard let number = try await self.store.number(of: tenant) else { return nil }
        return try await self.store.transaction { transaction in
            let raised = try PostgresFeedbackRepository.raise([user], tenant: number, in: &transaction)
            guard let version = raised.first?.1 else { return nil }
            let transactions = try transaction.query("SELECT pg_current_xact_id()") {
                row in try row.decode(0, as: UInt64.self)
            }
            return (version, transactions[0])
        }
    }
}

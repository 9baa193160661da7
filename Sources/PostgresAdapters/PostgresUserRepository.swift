import Postgres
package import RecommendationCore

/// Reads of users, any number in one statement.
package struct PostgresUserRepository: UserRepository {
    /// The newest events that are read: the newest 500 are scored, all of them tell what has been seen.
    static let historyLimit = 10_000

    let store: PostgresStore
    let replica: PostgresReplica?
    let reads: ServingReads

    /// - Parameters:
    ///   - reads: Of the same store, for requests.
    ///   - replica: Where histories are read if it has caught up with the user; the primary does otherwise.
    package init(store: PostgresStore, reads: ServingReads, replica: PostgresReplica? = nil) {
        self.store = store
        self.reads = reads
        self.replica = replica
    }

    /// One event, one suppression or one label of a user, or none of them where there is none.
    struct Row: Sendable {
        let version: Int64
        let consent: Bool
        private(set) var event: HistoryEvent?
        private(set) var suppression: Suppression?
        private(set) var label: UserLabel?

        /// Reads version, consent, an event's four columns, a suppression's two, and a label's two.
        init(_ row: borrowing PostgresRow, from first: Int) throws(PostgresError) {
            self.version = try row.decode(first)
            self.consent = try row.decode(first + 1)
            if let item = try row.decode(first + 2, as: Int32?.self) {
                // A type that a later version knows says nothing to this one.
                guard let type = EventType(code: UInt8(clamping: try row.decode(first + 3, as: Int16.self))) else {
                    return
                }
                self.event = HistoryEvent(
                    item: UInt32(bitPattern: item),
                    type: type,
                    value: try row.decode(first + 4),
                    occurredAt: Timestamp(try row.decode(first + 5))
                )
            } else if let kind = try row.decode(first + 6, as: String?.self) {
                // A kind that a later version knows cannot be kept by this one; it must not be kept silently.
                guard let kind = Suppression.Kind(rawValue: kind) else {
                    throw row.refusal(of: first + 6, as: String.self)
                }
                self.suppression = Suppression(kind: kind, key: Identifier(trusted: try row.decode(first + 7)))
            } else if let name = try row.decode(first + 8, as: String?.self) {
                self.label = UserLabel(name: name, value: try row.decode(first + 9))
            }
        }
    }

    package func state(of user: User.ID, tenant: Tenant.ID) async throws(RepositoryError) -> UserState {
        try await self.states(of: [user], tenant: tenant)[0]
    }

    /// The state that the rows of one user tell; events come newest first.
    static func state(_ rows: ArraySlice<Row>) -> UserState {
        guard let first = rows.first else { return .unknown }
        return UserState(
            version: first.version,
            consent: first.consent,
            history: rows.compactMap(\.event),
            suppressions: rows.compactMap(\.suppression),
            labels: rows.compactMap(\.label)
        )
    }

    package func version(of user: User.ID, tenant: Tenant.ID) async throws(RepositoryError) -> User.Version {
        guard let number = try await self.store.number(of: tenant, by: self.reads) else { return 0 }
        let rows = try await self.store.mapped {
            try await self.reads.read(
                "SELECT version FROM user_state WHERE tenant = $1 AND user_id = $2",
                [number, user.string]
            ) { row in try row.decode(0, as: Int64.self) }
        }
        return rows.first ?? 0
    }

    package func standing(of user: User.ID, tenant: Tenant.ID) async throws(RepositoryError) -> UserStanding {
        guard let number = try await self.store.number(of: tenant, by: self.reads) else { return .unknown }
        let rows = try await self.store.mapped {
            try await self.reads.read(
                """
                SELECT s.number, s.changed, coalesce(CASE WHEN s.consent THEN u.labels END, '{}'),
                       ARRAY(SELECT kind FROM suppressions WHERE user_number = s.number ORDER BY kind, key),
                       ARRAY(SELECT key FROM suppressions WHERE user_number = s.number ORDER BY kind, key)
                FROM user_state s LEFT JOIN users u USING (tenant, user_id)
                WHERE s.tenant = $1 AND s.user_id = $2
                """,
                [number, user.string]
            ) { row in
                let kinds = try row.decode(3, as: [String].self)
                let keys = try row.decode(4, as: [String].self)
                return UserStanding(
                    number: try row.decode(0),
                    changed: try row.decode(1),
                    suppressions: try zip(kinds, keys).map { kind, key in
                        // As in ``Row``: what cannot be kept must not be kept silently.
                        guard let kind = Suppression.Kind(rawValue: kind) else {
                            throw RepositoryError.corrupt("a suppression of the kind \(kind)")
                        }
                        return Suppression(kind: kind, key: Identifier(trusted: key))
                    },
                    labels: try LabelDocument.decode(row, 2).sorted { $0.key < $1.key }.map {
                        UserLabel(name: $0.key, value: $0.value)
                    }
                )
            }
        }
        return rows.first ?? .unknown
    }

    package func raiseVersion(
        of user: User.ID,
        tenant: Tenant.ID
    ) async throws(RepositoryError) -> (version: User.Version, transaction: UInt64)? {
        guard let number = try await self.store.number(of: tenant) else { return nil }
        return try await self.store.transaction { transaction in
            let raised = try PostgresFeedbackRepository.raise([user], tenant: number, in: &transaction)
            guard let version = raised.first?.1 else { return nil }
            try PostgresProfileRepository.endCursors(of: user, version, tenant: number, in: &transaction)
            let transactions = try transaction.query("SELECT pg_current_xact_id()") {
                row in try row.decode(0, as: UInt64.self)
            }
            return (version, transactions[0])
        }
    }
}

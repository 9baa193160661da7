import Postgres
package import RecommendationCore

extension PostgresUserRepository {
    package func states(of users: [User.ID], tenant: Tenant.ID) async throws(RepositoryError) -> [UserState] {
        var states = [UserState](repeating: .unknown, count: users.count)
        guard !users.isEmpty, let number = try await self.store.number(of: tenant, by: self.reads)
        else { return states }
        var places = Array(users.indices)
        if let replica, !replica.isResting {
            // Read on the primary first, after the compute leases: what the replica says has to be as new (coherence, 4).
            let marks = try await self.marks(of: users, tenant: number)
            // Of whom the primary knows nothing there is nothing to read.
            guard let first = marks.first else { return states }
            let rows = await replica.rows(
                Self.statement,
                Self.bindings(marks.map { ($0.place, $0.version) }, users, number, incarnation: first.incarnation),
                decode: Self.placed
            )
            let answered = Self.fill(&states, rows ?? [])
            places = marks.map(\.place).filter { !answered.contains($0) }
            guard !places.isEmpty else { return states }
        }
        let bindings = Self.bindings(places.map { ($0, 0) }, users, number, incarnation: nil)
        let rows = try await self.store.mapped {
            try await self.reads.read(Self.statement, bindings, decode: Self.placed)
        }
        _ = Self.fill(&states, rows)
        return states
    }

    /// A row and whose it is: a place in what was asked for.
    private struct Placed: Sendable {
        let place: Int
        let row: Row
    }

    /// Users of at least a version each; none where the database is of another incarnation than one that is named. `$2` is the
    /// most events of a user. The rows of a user come together, events newest first.
    private static let statement: PostgresStatement = """
        SELECT g.place, s.version, s.consent, h.item_number, h.type, h.value, h.occurred_at, h.kind, h.key, h.label, h.text
        FROM unnest($3::bigint[], $4::text[], $5::bigint[]) AS g (place, id, version)
        JOIN user_state s ON s.tenant = $1 AND s.user_id = g.id AND s.version >= g.version
        LEFT JOIN LATERAL (
            (SELECT item_number, type, value, occurred_at, NULL::text AS kind, NULL::text AS key, NULL::text AS label,
                    NULL::text AS text
             FROM interactions WHERE user_number = s.number AND s.consent
             ORDER BY occurred_at DESC LIMIT $2)
            UNION ALL
            SELECT NULL, NULL, NULL, NULL, kind, key, NULL, NULL FROM suppressions WHERE user_number = s.number
            UNION ALL
            SELECT NULL, NULL, NULL, NULL, NULL, NULL, l.key, l.value
            FROM users u, jsonb_each_text(u.labels) l WHERE u.tenant = $1 AND u.user_id = g.id AND s.consent
        ) h ON true
        WHERE $6::text IS NULL OR EXISTS (SELECT FROM incarnation WHERE id = $6)
        """

    private static func bindings(
        _ asked: [(place: Int, version: User.Version)],
        _ users: [User.ID],
        _ tenant: Int32,
        incarnation: String?
    ) -> PostgresBindings {
        [
            tenant, Self.historyLimit, asked.map { Int64($0.place) }, asked.map { users[$0.place].string },
            asked.map(\.version), incarnation,
        ]
    }

    private static func placed(_ row: borrowing PostgresRow) throws(PostgresError) -> Placed {
        Placed(place: try row.decode(0), row: try Row(row, from: 1))
    }

    /// Takes the rows of users; the places of those that had any.
    private static func fill(_ states: inout [UserState], _ rows: [Placed]) -> Set<Int> {
        var answered: Set<Int> = []
        for run in rows.runs(of: \.place) {
            let place = run[run.startIndex].place
            states[place] = Self.state(run.map(\.row)[...])
            answered.insert(place)
        }
        return answered
    }

    /// Versions compare within one incarnation only: a replica of a primary that was lost may know higher ones.
    private func marks(
        of users: [User.ID],
        tenant: Int32
    ) async throws(RepositoryError) -> [(place: Int, version: User.Version, incarnation: String)] {
        try await self.store.mapped {
            try await self.reads.read(
                """
                SELECT g.place, s.version, i.id
                FROM unnest($2::bigint[], $3::text[]) AS g (place, id)
                JOIN user_state s ON s.tenant = $1 AND s.user_id = g.id, incarnation i
                """,
                [tenant, users.indices.map { Int64($0) }, users.map(\.string)]
            ) { row in
                (
                    place: try row.decode(0, as: Int.self), version: try row.decode(1, as: Int64.self),
                    incarnation: try row.decode(2, as: String.self)
                )
            }
        }
    }
}

extension Array {
    /// The longest slices whose elements agree in something.
    fileprivate func runs<Value: Equatable>(of value: (Element) -> Value) -> [ArraySlice<Element>] {
        var runs: [ArraySlice<Element>] = []
        var start = self.startIndex
        for index in self.indices where value(self[index]) != value(self[start]) {
            runs.append(self[start..<index])
            start = index
        }
        if start < self.endIndex { runs.append(self[start...]) }
        return runs
    }
}

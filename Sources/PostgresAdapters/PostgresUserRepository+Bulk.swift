import Postgres
package import RecommendationCore

extension PostgresUserRepository {
    private struct BulkRow: Sendable {
        /// The place of the user in the call, from 1.
        let place: Int
        let version: Int64
        let consent: Bool
        var event: HistoryEvent?
    }

    package func states(of users: [User.ID], tenant: Tenant.ID) async throws(RepositoryError) -> [UserState] {
        guard !users.isEmpty else { return [] }
        guard let number = try await self.store.number(of: tenant) else {
            return users.map { _ in .unknown }
        }
        let rows = try await self.store.mapped {
            try await self.store.client.query(
                """
                SELECT g.place, s.version, s.consent, h.item_number, h.type, h.value, h.occurred_at
                FROM unnest($2::text[]) WITH ORDINALITY AS g (id, place)
                JOIN user_state s ON s.tenant = $1 AND s.user_id = g.id
                LEFT JOIN LATERAL (
                    SELECT item_number, type, value, occurred_at FROM interactions
                    WHERE user_number = s.number ORDER BY occurred_at DESC LIMIT $3
                ) h ON true
                """,
                [number, users.map(\.string), Self.historyLimit]
            ) { row -> BulkRow in
                var found = BulkRow(
                    place: try row.decode(0),
                    version: try row.decode(1),
                    consent: try row.decode(2)
                )
                if let item = try row.decode(3, as: Int32?.self),
                    // A type that a later version knows says nothing to this one.
                    let type = EventType(code: UInt8(clamping: try row.decode(4, as: Int16.self)))
                {
                    found.event = HistoryEvent(
                        item: UInt32(bitPattern: item),
                        type: type,
                        value: try row.decode(5),
                        occurredAt: Timestamp(try row.decode(6))
                    )
                }
                return found
            }
        }
        var states = [UserState](repeating: .unknown, count: users.count)
        // The rows of a user come together, its events newest first.
        for group in rows.runs(of: \.place) {
            guard let first = group.first, states.indices.contains(first.place - 1) else { continue }
            states[first.place - 1] = UserState(
                version: first.version,
                consent: first.consent,
                history: group.compactMap(\.event)
            )
        }
        return states
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

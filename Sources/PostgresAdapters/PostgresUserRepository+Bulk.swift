import Postgres
package import RecommendationCore

extension PostgresUserRepository {
    package func states(of users: [User.ID], tenant: Tenant.ID) async throws(RepositoryError) -> [UserState] {
        guard !users.isEmpty else { return [] }
        guard let number = try await self.store.number(of: tenant) else { return users.map { _ in .unknown } }
        let rows = try await self.store.mapped {
            try await self.store.client.read(
                """
                SELECT g.place, \(Self.columns)
                FROM unnest($3::text[]) WITH ORDINALITY AS g (id, place)
                JOIN user_state s ON s.tenant = $1 AND s.user_id = g.id
                \(Self.known)
                """,
                [number, Self.historyLimit, users.map(\.string)]
            ) { row in
                // Places are counted from 1.
                (place: try row.decode(0, as: Int.self) - 1, row: try Row(row, from: 1))
            }
        }
        var states = [UserState](repeating: .unknown, count: users.count)
        // The rows of a user come together, events newest first.
        for run in rows.runs(of: \.place) { states[run[run.startIndex].place] = Self.state(run.map(\.row)[...]) }
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

import Postgres
import PostgresAdapters
import RecommendationCore
import Testing

@Suite("users in bulk, in PostgreSQL")
struct UserStatesTests {
    @Test("states of many are those of each, in the order asked, the unknown and the repeated included")
    func likeEach() async throws {
        try await withDatabase { database in
            try await database.addItems("i1", "i2", "i3")
            let hostile = ["a,b", "{x}", "\"", "NULL", "\\", "caf\u{E9}", "cafe\u{301}"]
            for (number, user) in (["ann", "bob"] + hostile).enumerated() {
                for place in 0...number % 4 {
                    _ = try await database.feedback.record(
                        [
                            event(.like, by: user, on: "i\(place % 3 + 1)", at: Int64(place)),
                            event(.view, by: user, on: "i1", at: Int64(100 - place)),
                        ],
                        tenant: .default,
                        invalidating: invalidating
                    )
                }
            }
            let suppressed: [(String, String)] = [("bob", "i3"), ("ann", "i1"), ("ann", "i2")]
            for (user, key) in suppressed {
                try await database.client.execute(
                    """
                    INSERT INTO suppressions (user_number, kind, key)
                    SELECT number, 'item', $2 FROM user_state WHERE user_id = $1
                    """,
                    [user, key]
                )
            }
            try await database.client.execute("UPDATE user_state SET consent = false WHERE user_id = 'ann'")
            let asked = (["bob", "nobody"] + hostile + ["ann", "bob"]).map { User.ID(trusted: $0) }
            let states = try await database.users.states(of: asked, tenant: .default)
            #expect(states.count == asked.count)
            for (user, state) in zip(asked, states) {
                #expect(try await database.users.state(of: user, tenant: .default) == state, "\(user)")
            }
            #expect(states[1] == .unknown)
            #expect(states[0].history.count == 4)
            #expect(states[0].suppressions.map(\.key.string) == ["i3"])
            let ann = states[states.count - 2]
            #expect(ann.history.isEmpty && ann.suppressions.count == 2, "suppressions hold without consent")
            #expect(states[0] == states.last)
        }
    }

    @Test("another tenant's users of the same names are unknown; none asked for is none")
    func tenants() async throws {
        try await withDatabase { database in
            try await database.addItems("i1")
            _ = try await database.feedback.record([event(by: "ann")], tenant: .default, invalidating: invalidating)
            for tenant in ["_fleet", "no such tenant"] {
                let states = try await database.users.states(of: [id("ann")], tenant: id(tenant))
                #expect(states == [.unknown])
            }
            #expect(try await database.users.states(of: [], tenant: .default).isEmpty)
        }
    }
}

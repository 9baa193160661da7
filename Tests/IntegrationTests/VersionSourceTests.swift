import Caching
import Postgres
import PostgresAdapters
import RecommendationCore
import Testing

@Suite("versions of users by the keys of their entries")
struct VersionSourceTests {
    private func key(_ member: String, owner: String = "default", namespace: String = "now") -> CacheKey {
        CacheKey(namespace: namespace, owner: owner, member: member)
    }

    @Test("each key gets its user's version, in order, whatever the ids are made of")
    func versions() async throws {
        try await withDatabase { database in
            try await database.addItems("i1")
            let ids = ["ann", "a|b", "{x}", "*", "a/b", "caf\u{e9}", "cafe\u{301}", "🙂"]
            var expected: [Int64] = []
            for id in ids {
                let recorded = try await database.feedback.record(
                    [event(by: id)],
                    tenant: .default,
                    invalidating: invalidating
                )
                guard case .stored(let version) = recorded.outcomes[0] else {
                    Issue.record("not stored")
                    return
                }
                expected.append(version)
            }
            let source = PostgresVersionSource(store: database.store, reads: database.reads) { "now" }
            #expect(try await source.versions(of: ids.map { self.key($0) }) == expected)
            let mixed = [self.key("nobody"), self.key("ann"), self.key("ann")]
            #expect(try await source.versions(of: mixed) == [0, expected[0], expected[0]])
        }
    }

    @Test("another incarnation's keys, another tenant's and bytes that are no key are nobody's")
    func foreign() async throws {
        try await withDatabase { database in
            try await database.addItems("i1")
            _ = try await database.feedback.record([event(by: "ann")], tenant: .default, invalidating: invalidating)
            let source = PostgresVersionSource(store: database.store, reads: database.reads) { "now" }
            let keys = [
                self.key("ann", namespace: "before"), self.key("ann", owner: "other"), CacheKey(bytes: [1, 2, 3]),
            ]
            #expect(try await source.versions(of: keys) == [0, 0, 0])
            #expect(try await source.versions(of: []) == [])
        }
    }

    @Test("a store that is away is said to be")
    func away() async throws {
        try await withDatabase { database in
            try await database.client.execute("ALTER TABLE user_state RENAME TO user_state_gone")
            let source = PostgresVersionSource(store: database.store, reads: database.reads) { "now" }
            await #expect(throws: VersionSourceError.unavailable) {
                _ = try await source.versions(of: [self.key("ann")])
            }
        }
    }
}

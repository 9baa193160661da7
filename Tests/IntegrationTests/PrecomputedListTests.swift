import Postgres
import PostgresAdapters
import RecommendationCore
import Testing

@Suite("Precomputed lists in PostgreSQL")
struct PrecomputedListTests {
    private static let lineage = PrecomputedList.Lineage(surface: "home", model: 3, policy: "p7", generation: 9)
    private static let start: Int64 = 1_767_225_600

    private static func list(
        _ user: String,
        version: User.Version,
        at seconds: Int64 = 0,
        _ lineage: PrecomputedList.Lineage = Self.lineage,
        pool: [UInt8] = [1, 0, 255]
    ) -> PrecomputedList {
        PrecomputedList(
            user: User.ID(trusted: user),
            lineage: lineage,
            version: version,
            computedAt: Timestamp(seconds: Self.start + seconds),
            pool: pool
        )
    }

    /// Users with an event each, and their versions.
    private static func users(_ database: Database, _ users: String...) async throws -> [User.Version] {
        try await database.addItems("i1")
        var versions: [User.Version] = []
        for user in users {
            _ = try await database.feedback.record([event(by: user)], tenant: .default, invalidating: invalidating)
            versions.append(try await database.users.version(of: id(user), tenant: .default))
        }
        return versions
    }

    private static func read(
        _ database: Database,
        _ users: String...,
        lineage: PrecomputedList.Lineage = Self.lineage,
        since seconds: Int64 = 0,
        tenant: Tenant.ID = .default
    ) async throws -> [PrecomputedList?] {
        try await database.precomputed.lists(
            of: users.map { (id($0), lineage) },
            since: Timestamp(seconds: Self.start + seconds),
            tenant: tenant
        )
    }

    @Test("what is stored is read as it was, in the order asked, by that lineage, age and tenant alone")
    func roundTrip() async throws {
        try await withDatabase { database in
            let versions = try await Self.users(database, "ann", "bob", "caf\u{E9}")
            let lists = [
                Self.list("ann", version: versions[0], at: 5), Self.list("bob", version: versions[1], pool: []),
                Self.list("caf\u{E9}", version: versions[2], pool: [UInt8](repeating: 7, count: 5_000)),
            ]
            #expect(try await database.precomputed.store(lists, tenant: .default) == 3)
            #expect(try await database.precomputed.store([], tenant: .default) == 0)
            let read = try await Self.read(database, "caf\u{E9}", "nobody", "ann", "cafe\u{301}", "bob", "ann")
            #expect(read == [lists[2], nil, lists[0], nil, lists[1], lists[0]])
            #expect(try await Self.read(database, "ann", "bob", since: 1) == [lists[0], nil])
            for tenant in ["_fleet", "no such tenant"] {
                #expect(try await Self.read(database, "ann", tenant: id(tenant)) == [nil])
            }
            for change in [
                { $0.surface = "detail" }, { $0.model = 4 }, { $0.policy = "P7" }, { $0.generation = 10 },
            ] as [(inout PrecomputedList.Lineage) -> Void] {
                var other = Self.lineage
                change(&other)
                #expect(try await Self.read(database, "ann", lineage: other) == [nil], "\(other)")
            }
        }
    }

    @Test("one of a user and surface is kept: another lineage's in its place, the like only once it is an hour newer")
    func renewal() async throws {
        try await withDatabase { database in
            let version = try await Self.users(database, "ann")[0]
            func store(_ list: PrecomputedList) async throws -> Int {
                try await database.precomputed.store([list], tenant: .default)
            }
            #expect(try await store(Self.list("ann", version: version, at: 100)) == 1)
            #expect(try await store(Self.list("ann", version: version, at: 3_699, pool: [2])) == 0)
            #expect(try await store(Self.list("ann", version: version, at: 3_700, pool: [3])) == 1)
            #expect(try await Self.read(database, "ann")[0]?.pool == [3])
            var other = Self.lineage
            other.model = 4
            #expect(try await store(Self.list("ann", version: version, at: 3_701, other)) == 1)
            #expect(try await Self.read(database, "ann") == [nil])
            other.surface = "detail"
            #expect(try await store(Self.list("ann", version: version, at: 3_701, other)) == 1)
            #expect(try await database.count("precomputed_lists") == 2)
        }
    }

    @Test("none is kept of who has another version by now or no consent, and none is read that became so")
    func versions() async throws {
        try await withDatabase { database in
            let version = try await Self.users(database, "ann")[0]
            let precomputed = database.precomputed
            for wrong in [version - 1, version + 1] {
                #expect(try await precomputed.store([Self.list("ann", version: wrong)], tenant: .default) == 0)
            }
            #expect(try await precomputed.store([Self.list("nobody", version: 1)], tenant: .default) == 0)
            #expect(try await precomputed.store([Self.list("ann", version: version)], tenant: .default) == 1)
            #expect(try await Self.read(database, "ann")[0] != nil)
            _ = try await database.profiles.apply(
                .suppress(Suppression(kind: .item, key: id("i1"))),
                to: id("ann"),
                tenant: .default
            )
            #expect(try await Self.read(database, "ann") == [nil], "of before the suppression")
            let later = try await database.users.version(of: id("ann"), tenant: .default)
            #expect(try await precomputed.store([Self.list("ann", version: later)], tenant: .default) == 1)
            // By whatever way it is taken back, also one that knows of no version.
            try await database.client.execute("UPDATE user_state SET consent = false WHERE user_id = 'ann'")
            #expect(try await database.count("precomputed_lists") == 0)
            #expect(try await precomputed.store([Self.list("ann", version: later)], tenant: .default) == 0)
            try await database.client.execute("UPDATE user_state SET consent = true WHERE user_id = 'ann'")
            #expect(try await precomputed.store([Self.list("ann", version: later)], tenant: .default) == 1)
            try await database.client.execute("UPDATE user_state SET consent = true WHERE user_id = 'ann'")
            #expect(try await database.count("precomputed_lists") == 1)
        }
    }

    @Test("a reset leaves none behind, nor does a list that is stored while it runs")
    func reset() async throws {
        try await withDatabase { database in
            let versions = try await Self.users(database, "ann", "bob")
            let lists = [Self.list("ann", version: versions[0]), Self.list("bob", version: versions[1])]
            #expect(try await database.precomputed.store(lists, tenant: .default) == 2)
            _ = try await database.profiles.apply(.reset, to: id("ann"), tenant: .default)
            #expect(try await database.values("SELECT version FROM precomputed_lists") == [versions[1]])
            // Bob's row is held by a writer who has not committed: his list is passed over, and nobody waits.
            try await database.client.execute("DELETE FROM precomputed_lists")
            let writer = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(600)%'"
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    // Ended by the test.
                    try? await database.client.transaction(timeout: .seconds(600)) { transaction in
                        try transaction.execute("SELECT FROM user_state WHERE user_id = 'bob' FOR NO KEY UPDATE")
                        try transaction.execute("SELECT pg_sleep(600)")
                    }
                }
                try await eventually("the writer holds the row") {
                    try await database.values("\(PostgresStatement(trusted: writer))", as: Int32.self).count == 1
                }
                let list = [lists[1]]
                #expect(try await database.precomputed.store(list, tenant: .default) == 0)
                try await database.client.execute(
                    "SELECT pg_terminate_backend(pid) FROM (\(PostgresStatement(trusted: writer))) AS writer"
                )
                try await group.waitForAll()
                #expect(try await database.precomputed.store(list, tenant: .default) == 1)
            }
        }
    }

    @Test("what is too old goes, and of each surface the oldest beyond so many")
    func prune() async throws {
        try await withDatabase { database in
            let versions = try await Self.users(database, "ann", "bob", "cid", "dan")
            var detail = Self.lineage
            detail.surface = "detail"
            var lists: [PrecomputedList] = []
            for (place, user) in ["ann", "bob", "cid", "dan"].enumerated() {
                lists.append(Self.list(user, version: versions[place], at: Int64(place)))
                if place < 2 { lists.append(Self.list(user, version: versions[place], at: Int64(place), detail)) }
            }
            #expect(try await database.precomputed.store(lists, tenant: .default) == 6)
            func prune(_ seconds: Int64, _ limit: Int, _ tenant: Tenant.ID = .default) async throws -> Int {
                try await database.precomputed.prune(
                    before: Timestamp(seconds: Self.start + seconds),
                    keeping: limit,
                    tenant: tenant
                )
            }
            #expect(try await prune(9, 0, .fleet) == 0)
            #expect(try await prune(0, 4) == 0)
            #expect(try await prune(1, 4) == 2, "ann's")
            #expect(try await prune(1, 2) == 1, "bob's on home")
            let left = try await Self.read(database, "ann", "bob", "cid", "dan")
            #expect(left.map { $0 != nil } == [false, false, true, true])
            #expect(try await Self.read(database, "bob", lineage: detail)[0] != nil)
        }
    }
}

import Caching
import Postgres
import PostgresAdapters
import RecommendationCore
import Testing

@Suite("journal in PostgreSQL")
struct JournalTests {
    private static func key(_ user: String) -> CacheKey {
        CacheKey(namespace: "test", owner: "default", member: user)
    }

    /// Appends a row in a transaction that takes a while before and after it; its version, which no other row has.
    private static func append(
        to database: Database,
        user: String,
        before: Double = 0,
        after: Double = 0
    ) async throws -> Int64 {
        try await database.client.transaction { transaction in
            // From here on the transaction has its place in the order, wherever its row comes.
            try transaction.execute("SELECT pg_current_xact_id()")
            try transaction.execute("SELECT pg_sleep($1)", [before])
            let versions = try transaction.query(
                """
                INSERT INTO invalidations (tenant, user_id, version)
                SELECT tenant, $1, nextval('user_version_seq') FROM tenants WHERE tenant_id = 'default' RETURNING version
                """,
                [user]
            ) { row in try row.decode(0, as: Int64.self) }
            try transaction.execute("SELECT pg_sleep($1)", [after])
            return versions[0]
        }
    }

    @Test("a page has the keys and versions of what came after its position, once")
    func page() async throws {
        try await withDatabase { database in
            let empty = try await database.journal.page(from: nil)
            #expect(empty.invalidations.isEmpty)
            let version = try await Self.append(to: database, user: "a/b {c}")
            let expected = [Invalidation(key: Self.key("a/b {c}"), version: version)]
            let page = try await database.journal.page(from: empty.next)
            #expect(page.invalidations == expected)
            #expect(page.next.xmax > empty.next.xmax)
            #expect(try await database.journal.page(from: page.next).invalidations.isEmpty)
            #expect(try await database.journal.page(from: empty.next).invalidations == expected)
            #expect(try await database.journal.page(from: nil).invalidations == expected)
        }
    }

    @Test("of many rows of a user a page has the highest version")
    func highestVersion() async throws {
        try await withDatabase { database in
            let empty = try await database.journal.page(from: nil)
            var versions: [Int64] = []
            for _ in 0..<3 { versions.append(try await Self.append(to: database, user: "ann")) }
            let bob = try await Self.append(to: database, user: "bob")
            let page = try await database.journal.page(from: empty.next)
            #expect(page.invalidations.count == 2)
            #expect(page.invalidations.contains(Invalidation(key: Self.key("ann"), version: versions[2])))
            #expect(page.invalidations.contains(Invalidation(key: Self.key("bob"), version: bob)))
        }
    }

    @Test("a page has the head of the control log")
    func controlHead() async throws {
        try await withDatabase { database in
            #expect(try await database.journal.page(from: nil).controlHead == 0)
            let generation = try await database.control.purge(.surface("home"), tenant: .default)
            let page = try await database.journal.page(from: nil)
            #expect(page.controlHead == generation)
            #expect(try await database.journal.page(from: page.next).controlHead == generation)
        }
    }

    @Test("a row that commits after later ones is not missed, and those neither wait for it nor come again")
    func lateCommit() async throws {
        try await withDatabase { database in
            try await database.client.withSession { late in
                try await late.execute("BEGIN")
                let number = try await late.query("SELECT pg_current_xact_id()") {
                    row in try row.decode(0, as: UInt64.self)
                }[0]
                try await late.execute("INSERT INTO invalidations (tenant, user_id, version) VALUES (1, 'late', 1)")

                var position: JournalPosition?
                for round in 0..<10 {
                    let version = try await Self.append(to: database, user: "user-\(round)")
                    let page = try await database.journal.page(from: position)
                    #expect(page.invalidations == [Invalidation(key: Self.key("user-\(round)"), version: version)])
                    // A reader that remembers the last transaction it saw is past the late one by now.
                    #expect(page.next.xmax > number)
                    #expect(!page.next.covers(number))
                    position = page.next
                }
                try await late.execute("COMMIT")
                let page = try await database.journal.page(from: position)
                #expect(page.invalidations == [Invalidation(key: Self.key("late"), version: 1)])
                #expect(page.next.covers(number))
                #expect(try await database.journal.page(from: page.next).invalidations.isEmpty)
            }
        }
    }

    @Test("a row written under a savepoint is not missed")
    func savepoint() async throws {
        try await withDatabase { database in
            try await database.client.withSession { late in
                try await late.execute("BEGIN")
                try await late.execute("SAVEPOINT one")
                try await late.execute("INSERT INTO invalidations (tenant, user_id, version) VALUES (1, 'late', 1)")
                let page = try await database.journal.page(from: nil)
                #expect(page.invalidations.isEmpty)
                try await late.execute("RELEASE one")
                try await late.execute("COMMIT")
                #expect(try await database.journal.page(from: page.next).invalidations.map(\.key) == [Self.key("late")])
            }
        }
    }

    @Test("a row that is rolled back never comes")
    func rollback() async throws {
        try await withDatabase { database in
            let empty = try await database.journal.page(from: nil)
            try await database.client.withSession { session in
                try await session.execute("BEGIN")
                try await session.execute("INSERT INTO invalidations (tenant, user_id, version) VALUES (1, 'ann', 1)")
                let page = try await database.journal.page(from: nil)
                #expect(page.invalidations.isEmpty)
                try await session.execute("ROLLBACK")
                #expect(try await database.journal.page(from: page.next).invalidations.isEmpty)
            }
            #expect(try await database.journal.page(from: empty.next).invalidations.isEmpty)
        }
    }

    @Test("with eight writers of random durations, every committed row is seen, and once", arguments: 1...3)
    func everyRowIsSeen(_ round: Int) async throws {
        try await withDatabase(connections: 10) { database in
            let committed = EventLog<Int64>()
            let isDone = Shared(false)
            let seen = try await withThrowingTaskGroup(of: [Int64]?.self) { group in
                for writer in 0..<8 {
                    group.addTask {
                        for step in 0..<25 {
                            // Mostly short, and now and then one that outlives many of the others.
                            let scale = Int.random(in: 0..<10) == 0 ? 0.08 : 0.006
                            committed.append(
                                try await Self.append(
                                    to: database,
                                    user: "user-\(writer)-\(step)",
                                    before: .random(in: 0...scale),
                                    after: .random(in: 0...scale)
                                )
                            )
                        }
                        return nil
                    }
                }
                group.addTask {
                    var seen: [Int64] = []
                    var position: JournalPosition?
                    while true {
                        let wasDone = isDone.now
                        let page = try await database.journal.page(from: position)
                        if let position { #expect(page.next.xmax >= position.xmax) }
                        seen += page.invalidations.map(\.version)
                        position = page.next
                        if wasDone { return seen }
                    }
                }
                for _ in 0..<8 { _ = try await group.next() }
                isDone.set(true)
                return try await group.next()!!
            }
            #expect(committed.all.count == 200)
            #expect(seen.sorted() == committed.all.sorted())
        }
    }

    @Test("once the position has reached a head, everything committed before that head was read")
    func head() async throws {
        try await withDatabase(connections: 12) { database in
            struct Relayed: Sendable {
                var position: JournalPosition?
                var versions: Set<Int64> = []
            }
            let relayed = Shared(Relayed())
            let committed = EventLog<Int64>()
            let isDone = Shared(false)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    while !isDone.now {
                        let page = try await database.journal.page(from: relayed.now.position)
                        relayed.change { state in
                            state.versions.formUnion(page.invalidations.map(\.version))
                            state.position = page.next
                        }
                    }
                }
                try await withThrowingTaskGroup(of: Void.self) { writers in
                    for writer in 0..<6 {
                        writers.addTask {
                            for step in 0..<20 {
                                committed.append(
                                    try await Self.append(
                                        to: database,
                                        user: "user-\(writer)-\(step)",
                                        before: .random(in: 0...0.02),
                                        after: .random(in: 0...0.02)
                                    )
                                )
                            }
                        }
                    }
                    for _ in 0..<2 {
                        writers.addTask {
                            for _ in 0..<10 {
                                let before = Set(committed.all)
                                let head = try await database.journal.head()
                                try await eventually("the relay has reached the head") {
                                    relayed.now.position?.reaches(head) ?? false
                                }
                                #expect(before.subtracting(relayed.now.versions).isEmpty)
                            }
                        }
                    }
                    try await writers.waitForAll()
                }
                isDone.set(true)
                try await group.waitForAll()
            }
            #expect(committed.all.count == 120)
        }
    }

    @Test("a position covers a transaction once all its rows were read, and not before")
    func covers() async throws {
        try await withDatabase(connections: 8) { database in
            try await database.addItems("i1")
            try await withThrowingTaskGroup(of: Void.self) { group in
                for writer in 0..<5 {
                    group.addTask {
                        for step in 0..<10 {
                            let user = "user-\(writer)-\(step)"
                            let recorded = try await database.feedback.record(
                                [event(by: user)],
                                tenant: .default,
                                invalidating: invalidating
                            )
                            let page = try await database.journal.page(from: nil)
                            #expect(page.next.covers(recorded.transaction))
                            #expect(page.invalidations.contains { $0.key == Self.key(user) })
                        }
                    }
                }
                try await group.waitForAll()
            }
        }
    }

    @Test("a position that was read before a commit does not reach a head read after it, however old the transaction")
    func headKnowsLateCommits() async throws {
        try await withDatabase { database in
            try await database.client.withSession { late in
                try await late.execute("BEGIN")
                try await late.execute("INSERT INTO invalidations (tenant, user_id, version) VALUES (1, 'late', 1)")
                _ = try await Self.append(to: database, user: "quick")
                // As high as the head will be where nothing else runs.
                let before = try await database.journal.page(from: nil)
                #expect(before.next.reaches(before.next))
                try await late.execute("COMMIT")
                let head = try await database.journal.head()
                #expect(!before.next.reaches(head))
                let after = try await database.journal.page(from: before.next)
                #expect(after.next.reaches(head))
                #expect(after.next.reaches(before.next))
                #expect(after.invalidations.map(\.key) == [Self.key("late")])
            }
        }
    }

    @Test("a head knows every transaction that was acknowledged before it and none that begins after it")
    func headIsAhead() async throws {
        try await withDatabase { database in
            try await database.addItems("i1")
            for _ in 0..<20 {
                let head = try await database.journal.head()
                let recorded = try await database.feedback.record(
                    [event(by: "ann")],
                    tenant: .default,
                    invalidating: invalidating
                )
                #expect(!head.covers(recorded.transaction))
                #expect(try await database.journal.head().covers(recorded.transaction))
            }
        }
    }

    // MARK: Partitions

    private static func partitions(_ database: Database) async throws -> [String] {
        try await database.values(
            """
            SELECT c.relname::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
            WHERE i.inhparent = 'invalidations'::regclass ORDER BY 1
            """
        )
    }

    /// Makes the partition of an hour that began so many hours ago, with a row in it.
    private static func makePartition(hoursAgo hours: Int, in database: Database) async throws -> String {
        let (name, start, end) = try await database.client.query(
            """
            SELECT to_char(hour AT TIME ZONE 'UTC', 'YYYYMMDDHH24'), hour::text, (hour + interval '1 hour')::text
            FROM (SELECT date_trunc('hour', now(), 'UTC') - make_interval(hours => $1) AS hour) AS given
            """,
            [Int32(hours)]
        ) { row in
            (try row.decode(0, as: String.self), try row.decode(1, as: String.self), try row.decode(2, as: String.self))
        }[0]
        try await database.client.execute(
            """
            CREATE TABLE \(identifier: "invalidations_\(name)") PARTITION OF invalidations
            FOR VALUES FROM (\(literal: start)) TO (\(literal: end))
            """
        )
        try await database.client.execute(
            """
            INSERT INTO invalidations (tenant, user_id, version, created_at)
            VALUES (1, \(literal: "\(hours) hours ago"), 1, \(literal: start))
            """
        )
        return "invalidations_\(name)"
    }

    @Test("rows go into the partition of their hour, and the next ones are there ahead")
    func partitionsAhead() async throws {
        try await withDatabase { database in
            try await database.journal.maintain()
            #expect(try await Self.partitions(database).count >= 4)
            _ = try await Self.append(to: database, user: "ann")
            let place: String = try await database.value("SELECT tableoid::regclass::text FROM invalidations")
            #expect(place != "invalidations_default")
            let misplaced: Int64 = try await database.value(
                """
                SELECT count(*) FROM generate_series(now(), now() + interval '2 hours', interval '30 minutes') AS moment
                WHERE to_regclass('invalidations_' || to_char(moment AT TIME ZONE 'UTC', 'YYYYMMDDHH24')) IS NULL
                """
            )
            #expect(misplaced == 0)
        }
    }

    @Test(
        "partitions older than the retention are dropped and younger ones kept, in any time zone",
        arguments: ["UTC", "Asia/Tokyo", "America/Los_Angeles", "Asia/Kolkata"]
    )
    func retention(_ timeZone: String) async throws {
        try await withDatabase(timeZone: timeZone) { database in
            let kept = [
                try await Self.makePartition(hoursAgo: 24, in: database),
                try await Self.makePartition(hoursAgo: 3, in: database),
            ]
            let dropped = [
                try await Self.makePartition(hoursAgo: 28, in: database),
                try await Self.makePartition(hoursAgo: 100, in: database),
            ]
            try await database.journal.maintain()
            let left = try await Self.partitions(database)
            for name in kept { #expect(left.contains(name)) }
            for name in dropped { #expect(!left.contains(name)) }
            let users = try await database.values("SELECT user_id FROM invalidations ORDER BY 1", as: String.self)
            #expect(users == ["24 hours ago", "3 hours ago"])
        }
    }

    @Test("old rows of the default partition are deleted, and a row in the way of a partition is no error")
    func defaultPartition() async throws {
        try await withDatabase { database in
            for name in try await Self.partitions(database) where name != "invalidations_default" {
                try await database.client.execute("DROP TABLE \(identifier: name)")
            }
            for hours in [0, 20, 30] {
                try await database.client.execute(
                    """
                    INSERT INTO invalidations (tenant, user_id, version, created_at)
                    VALUES (1, \(literal: "\(hours)"), 1, now() - make_interval(hours => $1))
                    """,
                    [Int32(hours)]
                )
            }
            try await database.journal.maintain()
            let users = try await database.values("SELECT user_id FROM invalidations ORDER BY 1", as: String.self)
            #expect(users == ["0", "20"])
            // The hours ahead are there, all but the one whose row is in the way.
            #expect(try await Self.partitions(database).count == 3)
            _ = try await Self.append(to: database, user: "ann")
        }
    }

    @Test("maintaining twice changes nothing the second time")
    func maintainTwice() async throws {
        try await withDatabase { database in
            try await database.journal.maintain()
            let once = try await Self.partitions(database)
            try await database.journal.maintain()
            #expect(try await Self.partitions(database) == once)
        }
    }

    @Test("several nodes maintain at once")
    func maintainConcurrently() async throws {
        try await withDatabase(connections: 6) { database in
            for _ in 0..<20 {
                for name in try await Self.partitions(database) where name != "invalidations_default" {
                    try await database.client.execute("DROP TABLE \(identifier: name)")
                }
                _ = try await Self.makePartition(hoursAgo: 50, in: database)
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for _ in 0..<6 { group.addTask { try await database.journal.maintain() } }
                    try await group.waitForAll()
                }
                #expect(try await Self.partitions(database).count == 4)
            }
        }
    }

    @Test("maintenance behind a long transaction does not hold up writers and the relay")
    func maintainDoesNotBlock() async throws {
        try await withDatabase { database in
            try await database.addItems("i1")
            for name in try await Self.partitions(database) where name != "invalidations_default" {
                try await database.client.execute("DROP TABLE \(identifier: name)")
            }
            try await database.client.withSession { long in
                try await long.execute("BEGIN")
                try await long.execute("INSERT INTO invalidations (tenant, user_id, version) VALUES (1, 'long', 1)")
                let isMaintained = Shared(false)
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask {
                        // Whether it can make the partitions now is not the point.
                        _ = try? await database.journal.maintain()
                        isMaintained.set(true)
                    }
                    try await eventually("maintenance waits or has given up") {
                        if isMaintained.now { return true }
                        return try await database.value(
                            "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'invalidations'::regclass",
                            as: Int64.self
                        ) > 0
                    }
                    let start = ContinuousClock.now
                    _ = try await database.feedback.record(
                        [event(by: "ann")],
                        tenant: .default,
                        invalidating: invalidating
                    )
                    _ = try await database.journal.page(from: nil)
                    #expect(ContinuousClock.now - start < .seconds(3))
                    try await long.execute("COMMIT")
                    try await group.waitForAll()
                }
            }
            try await database.journal.maintain()
            #expect(try await database.journal.page(from: nil).invalidations.count == 2)
        }
    }
}

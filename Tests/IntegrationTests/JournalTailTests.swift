import Caching
import LocalServers
import Postgres
import PostgresAdapters
import RecommendationCore
import Testing

/// The journal as a node follows it that hears nothing over Redis (coherence, section 6).
@Suite("following the journal in PostgreSQL")
struct JournalTailTests {
    /// The journal of the database's own incarnation.
    private static func tail(_ database: Database) async throws -> PostgresJournal {
        let incarnation = try await Self.incarnation(database)
        return PostgresJournal(store: database.store) { incarnation }
    }

    private static func incarnation(_ database: Database) async throws -> String {
        try await database.control.delta(after: nil, items: nil).incarnation
    }

    private static func key(_ database: Database, _ user: String) async throws -> CacheKey {
        CacheKey(namespace: try await Self.incarnation(database), owner: "default", member: user)
    }

    private static func record(_ database: Database, _ user: String) async throws -> Int64 {
        let recorded = try await database.feedback.record(
            [event(by: user)],
            tenant: .default,
            invalidating: invalidating
        )
        guard case .stored(let version) = recorded.outcomes[0] else { throw JournalError.unavailable("not stored") }
        return version
    }

    @Test(
        "without a position it tells only where to begin; then what is committed later, once, whatever the ids are made of"
    )
    func follows() async throws {
        try await withDatabase { database in
            try await database.addItems("i1")
            let journal = try await Self.tail(database)
            _ = try await Self.record(database, "before")
            let head = try await journal.poll(from: nil, limit: 10)
            #expect(head.invalidations.isEmpty)
            #expect(head.isWhole)
            var position = head.next
            for user in ["ann", "a|b", "caf\u{e9}", "cafe\u{301}"] {
                let version = try await Self.record(database, user)
                let poll = try await journal.poll(from: position, limit: 10)
                #expect(poll.invalidations == [Invalidation(key: try await Self.key(database, user), version: version)])
                #expect(poll.next.reaches(position))
                #expect(try await journal.poll(from: poll.next, limit: 10).invalidations.isEmpty)
                position = poll.next
            }
        }
    }

    @Test("no more rows than the limit, and it says that some are left out")
    func bounded() async throws {
        try await withDatabase { database in
            try await database.addItems("i1")
            let journal = try await Self.tail(database)
            let head = try await journal.poll(from: nil, limit: 3).next
            for number in 0..<3 { _ = try await Self.record(database, "u\(number)") }
            let full = try await journal.poll(from: head, limit: 3)
            #expect(full.isWhole)
            #expect(full.invalidations.count == 3)
            _ = try await Self.record(database, "u3")
            let more = try await journal.poll(from: head, limit: 3)
            #expect(!more.isWhole)
            #expect(more.invalidations.count == 3)
            #expect(try await journal.poll(from: full.next, limit: 3).isWhole)
        }
    }

    @Test("a late commit of an older transaction comes, and a long one in another database holds nothing up")
    func lateCommit() async throws {
        try await withDatabase { other in
            try await withDatabase { database in
                try await database.addItems("i1")
                let journal = try await Self.tail(database)
                try await other.client.withSession { long in
                    try await long.execute("BEGIN")
                    try await long.execute("SELECT pg_current_xact_id()")
                    try await database.client.withSession { late in
                        try await late.execute("BEGIN")
                        try await late.execute(
                            "INSERT INTO invalidations (tenant, user_id, version) VALUES (1, 'late', 1)"
                        )
                        var position = try await journal.poll(from: nil, limit: 10).next
                        for number in 0..<5 {
                            let version = try await Self.record(database, "u\(number)")
                            let poll = try await journal.poll(from: position, limit: 10)
                            #expect(poll.invalidations.map(\.version) == [version])
                            position = poll.next
                        }
                        try await late.execute("COMMIT")
                        let poll = try await journal.poll(from: position, limit: 10)
                        #expect(
                            poll.invalidations == [Invalidation(key: try await Self.key(database, "late"), version: 1)]
                        )
                        #expect(try await journal.poll(from: poll.next, limit: 10).invalidations.isEmpty)
                    }
                    try await long.execute("ROLLBACK")
                }
            }
        }
    }

    @Test("rows are followed over a change of partitions, made and dropped meanwhile")
    func partitions() async throws {
        try await withDatabase { database in
            try await database.addItems("i1")
            let journal = try await Self.tail(database)
            let names = try await database.values(
                """
                SELECT c.relname::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
                WHERE i.inhparent = 'invalidations'::regclass AND c.relname <> 'invalidations_default'
                """,
                as: String.self
            )
            for name in names { try await database.client.execute("DROP TABLE \(identifier: name)") }
            let position = try await journal.poll(from: nil, limit: 10).next
            let first = try await Self.record(database, "default")
            try await database.client.execute(
                "CREATE TABLE invalidations_2000010100 PARTITION OF invalidations FOR VALUES FROM ('2000-01-01') TO ('2000-01-02')"
            )
            try await database.client.execute(
                "INSERT INTO invalidations (tenant, user_id, version, created_at) VALUES (1, 'old hour', 7, '2000-01-01 12:00')"
            )
            let poll = try await journal.poll(from: position, limit: 10)
            #expect(Set(poll.invalidations.map(\.version)) == [first, 7])
            try await database.journal.maintain()
            let second = try await Self.record(database, "after")
            #expect(try await journal.poll(from: poll.next, limit: 10).invalidations.map(\.version) == [second])
        }
    }

    @Test(
        "with writers of random durations every acknowledged row has been read by a poll that began after it",
        arguments: 1...2
    )
    func everyRow(_ round: Int) async throws {
        try await withDatabase(connections: 10) { database in
            let journal = try await Self.tail(database)
            let start = try await journal.poll(from: nil, limit: 1_000).next
            let committed = EventLog<Int64>()
            let isDone = Shared(false)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    var position = start
                    var seen: Set<Int64> = []
                    while true {
                        let wasDone = isDone.now
                        let before = Set(committed.all)
                        let poll = try await journal.poll(from: position, limit: 1_000)
                        #expect(poll.isWhole)
                        seen.formUnion(poll.invalidations.map(\.version))
                        position = poll.next
                        // This is the lease: what was acknowledged before the poll began is applied after it.
                        #expect(before.subtracting(seen).isEmpty)
                        if wasDone { return }
                    }
                }
                try await withThrowingTaskGroup(of: Void.self) { writers in
                    for writer in 0..<6 {
                        writers.addTask {
                            for step in 0..<20 {
                                let (before, after) = (Double.random(in: 0...0.02), Double.random(in: 0...0.02))
                                let version = try await database.client.transaction { transaction in
                                    try transaction.execute("SELECT pg_current_xact_id()")
                                    try transaction.execute("SELECT pg_sleep($1)", [before])
                                    let versions = try transaction.query(
                                        """
                                        INSERT INTO invalidations (tenant, user_id, version)
                                        VALUES (1, $1, nextval('user_version_seq')) RETURNING version
                                        """,
                                        ["w\(writer)-\(step)"]
                                    ) { row in try row.decode(0, as: Int64.self) }
                                    try transaction.execute("SELECT pg_sleep($1)", [after])
                                    return versions[0]
                                }
                                committed.append(version)
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

    @Test("another incarnation, an older one under the same address, and a database without one prove nothing")
    func otherIncarnation() async throws {
        try await withDatabase { database in
            let journal = try await Self.tail(database)
            let other = PostgresJournal(store: database.store) { "another" }
            await #expect(throws: JournalError.self) { _ = try await other.poll(from: nil, limit: 1) }
            _ = try await journal.poll(from: nil, limit: 1)
            try await database.client.execute("UPDATE incarnation SET timeline = timeline - 1")
            await #expect(throws: JournalError.self) { _ = try await journal.poll(from: nil, limit: 1) }
            try await database.client.execute("UPDATE incarnation SET timeline = timeline + 1, system_identifier = 1")
            await #expect(throws: JournalError.self) { _ = try await journal.poll(from: nil, limit: 1) }
            try await database.client.execute("DELETE FROM incarnation")
            await #expect(throws: JournalError.self) { _ = try await journal.poll(from: nil, limit: 1) }
        }
    }

    @Test("a standby proves nothing, whatever it has replayed")
    func standby() async throws {
        let directory = try ScratchDirectory.make("vireo-integration-tail")
        let copy = try ScratchDirectory.make("vireo-integration-tail-standby")
        let primary = try await LocalPostgresServer.start(directory: directory, settings: Servers.postgresSettings)
        let outcome: Result<Void, any Error>
        do {
            let replica = try await primary.startReplica(directory: copy, settings: Servers.postgresSettings)
            do {
                try await withClient(of: primary) { client in
                    let database = Database(name: "postgres", server: primary, store: PostgresStore(client: client))
                    _ = try await Migrator(store: database.store).migrate()
                    let journal = try await Self.tail(database)
                    let incarnation = try await Self.incarnation(database)
                    let position = try await journal.poll(from: nil, limit: 1).next
                    try await withClient(of: replica) { standby in
                        try await eventually("the standby has the incarnation") {
                            try await standby.read("SELECT id FROM incarnation") { try $0.decode(0, as: String.self) }
                                == [incarnation]
                        }
                        let tail = PostgresJournal(store: PostgresStore(client: standby)) { incarnation }
                        for from in [position, nil] {
                            await #expect(throws: JournalError.self) { _ = try await tail.poll(from: from, limit: 1) }
                        }
                    }
                }
                outcome = .success(())
            } catch {
                outcome = .failure(error)
            }
            try await replica.stop()
        } catch {
            try await primary.stop()
            throw error
        }
        try await primary.stop()
        try ScratchDirectory.remove(directory)
        try ScratchDirectory.remove(copy)
        try outcome.get()
    }
}

import Postgres
import PostgresAdapters
import Testing

@Suite("advisory lock")
struct AdvisoryLockTests {
    /// The server process that holds a job's lock.
    private static func holder(of job: AdvisoryKey, in database: Database) async throws -> Int32? {
        try await database.values(
            """
            SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted
              AND (classid::bigint << 32 | objid::bigint) = $1
              AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
            """,
            [job.rawValue],
            as: Int32.self
        ).first
    }

    /// Runs the body with two candidates for a job; the first is the leader.
    private static func withCandidates(
        in database: Database,
        job: AdvisoryKey = .relay,
        _ body: (_ leader: AdvisoryLock, _ other: AdvisoryLock) async throws -> Void
    ) async throws {
        let candidates = (0..<2).map { _ in AdvisoryLock(store: database.store, job: job, log: .silent) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for candidate in candidates { group.addTask { try await candidate.run() } }
            try await eventually("one leads") { try await Self.leaders(candidates).count == 1 }
            let leader = try await Self.leaders(candidates)[0]
            try await body(leader, candidates.first { $0 !== leader }!)
            group.cancelAll()
            try await group.waitForAll()
        }
        for candidate in candidates { #expect(await !candidate.isLeader()) }
        try await eventually("the lock is free again") { try await Self.holder(of: job, in: database) == nil }
    }

    /// Waits until `next` leads. Who resigned is a candidate again a second later, and on a busy machine the first to look:
    /// it resigns each time that it leads.
    private static func handOver(from leader: AdvisoryLock, to next: AdvisoryLock) async throws {
        await leader.resign()
        #expect(await !leader.isLeader())
        try await eventually("the other leads") {
            await leader.resign()
            return await next.isLeader()
        }
        #expect(await !leader.isLeader())
    }

    private static func leaders(_ candidates: [AdvisoryLock]) async throws -> [AdvisoryLock] {
        var leaders: [AdvisoryLock] = []
        for candidate in candidates where await candidate.isLeader() { leaders.append(candidate) }
        return leaders
    }

    @Test("one of two leads, and goes on leading")
    func oneLeader() async throws {
        try await withDatabase { database in
            try await Self.withCandidates(in: database) { leader, other in
                let holder = try await Self.holder(of: .relay, in: database)
                #expect(holder != nil)
                // Several looks of both candidates.
                let before = ContinuousClock.now
                try await eventually("three looks") {
                    #expect(await leader.isLeader())
                    #expect(await !other.isLeader())
                    return ContinuousClock.now - before > .milliseconds(1_700)
                }
                #expect(try await Self.holder(of: .relay, in: database) == holder)
            }
        }
    }

    @Test("two jobs have a leader each")
    func jobs() async throws {
        try await withDatabase { database in
            try await Self.withCandidates(in: database, job: .relay) { _, _ in
                try await Self.withCandidates(in: database, job: .build) { _, _ in
                    let relay = try await Self.holder(of: .relay, in: database)
                    let build = try await Self.holder(of: .build, in: database)
                    #expect(relay != nil && build != nil && relay != build)
                }
            }
        }
    }

    @Test("when the leader's connection is ended, the other takes over and the first learns of it")
    func termination() async throws {
        try await withDatabase { database in
            try await Self.withCandidates(in: database) { leader, other in
                let holder = try #require(try await Self.holder(of: .relay, in: database))
                #expect(try await database.value("SELECT pg_terminate_backend($1)", [holder], as: Bool.self))
                try await eventually("the other leads") { await other.isLeader() }
                try await eventually("the first knows") { await !leader.isLeader() }
                #expect(await other.isLeader())
                let next = try await Self.holder(of: .relay, in: database)
                #expect(next != nil && next != holder)
            }
        }
    }

    @Test("a leader that resigns leads no more at once, and the other takes over")
    func resignation() async throws {
        try await withDatabase { database in
            try await Self.withCandidates(in: database) { leader, other in
                try await Self.handOver(from: leader, to: other)
                // And back: one that resigned is a candidate again.
                try await Self.handOver(from: other, to: leader)
            }
        }
    }

    @Test("who does not lead has nothing to resign")
    func resignationOfAnother() async throws {
        try await withDatabase { database in
            try await Self.withCandidates(in: database) { leader, other in
                await other.resign()
                // It leads as if it had not resigned.
                try await Self.handOver(from: leader, to: other)
            }
        }
    }
}

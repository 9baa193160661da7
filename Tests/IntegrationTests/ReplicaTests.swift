import Glibc
import LocalServers
import Metrics
import MetricsTestKit
import Postgres
import PostgresAdapters
import RecommendationCore
import Testing

/// Users read from a streaming replica (coherence, section 4). Each test has a primary and a replica of its own.
@Suite("A replica")
struct ReplicaTests {
    private struct Subject: Sendable {
        let database: Database
        let server: LocalPostgresServer
        /// Reads by way of the replica.
        let users: PostgresUserRepository
        /// The replica itself.
        let direct: PostgresClient
        let metrics: TestMetrics

        /// How often the replica was asked, by what came of it.
        func count(_ result: String) throws -> Int64 {
            try self.metrics.expectCounter("vireo_replica_reads_total", [("result", result)]).totalValue
        }

        func record(_ type: EventType, by user: String, on item: String, at seconds: Int64 = 0) async throws {
            _ = try await self.database.feedback.record(
                [event(type, by: user, on: item, at: seconds)],
                tenant: .default,
                invalidating: invalidating
            )
        }

        /// Waits until the replica has all that the primary has.
        func caughtUp() async throws {
            let position = try await self.database.value("SELECT pg_current_wal_lsn()::text", as: String.self)
            try await eventually("the replica has caught up") {
                try await self.direct.read("SELECT pg_last_wal_replay_lsn() >= $1::text::pg_lsn", [position]) {
                    row in try row.decode(0, as: Bool.self)
                } == [true]
            }
        }

        /// Nothing is replayed any more.
        func pauseReplay() async throws {
            try await self.direct.executeScript("SELECT pg_wal_replay_pause()")
            try await eventually("replay is paused") {
                try await self.direct.read("SELECT pg_get_wal_replay_pause_state() = 'paused'") {
                    row in try row.decode(0, as: Bool.self)
                } == [true]
            }
        }

        func resumeReplay() async throws { try await self.direct.executeScript("SELECT pg_wal_replay_resume()") }

        func state(_ user: String) async throws -> UserState {
            try await self.users.state(of: id(user), tenant: .default)
        }

        /// What the primary alone says.
        func truth(_ user: String) async throws -> UserState {
            try await self.database.users.state(of: id(user), tenant: .default)
        }
    }

    private static func withSubject(_ body: (Subject) async throws -> Void) async throws {
        let directory = try ScratchDirectory.make("vireo-integration-primary")
        let copy = try ScratchDirectory.make("vireo-integration-replica")
        let primary = try await LocalPostgresServer.start(directory: directory, settings: Servers.postgresSettings)
        let outcome: Result<Void, any Error>
        do {
            let replica = try await primary.startReplica(directory: copy, settings: Servers.postgresSettings)
            do {
                try await Self.withClients(primary, replica, body)
            } catch {
                try await replica.stop()
                throw error
            }
            try await replica.stop()
            outcome = .success(())
        } catch {
            outcome = .failure(error)
        }
        try await primary.stop()
        try ScratchDirectory.remove(directory)
        try ScratchDirectory.remove(copy)
        try outcome.get()
    }

    private static func withClients(
        _ primary: LocalPostgresServer,
        _ replica: LocalPostgresServer,
        _ body: (Subject) async throws -> Void
    ) async throws {
        let metrics = TestMetrics()
        try await withClient(of: primary, connections: 4) { client in
            let database = Database(name: "postgres", server: primary, store: PostgresStore(client: client))
            _ = try await Migrator(store: database.store).migrate()
            try await database.addItems("i1", "i2", "i3")
            try await withClient(of: replica, name: "reads") { reads in
                try await withClient(of: replica, name: "direct") { direct in
                    // On a busy machine a connection alone may take longer than a node would wait.
                    let source = withMetricsFactory(metrics) {
                        PostgresReplica(client: reads, patience: .seconds(2), log: .silent)
                    }
                    let subject = Subject(
                        database: database,
                        server: replica,
                        users: PostgresUserRepository(store: database.store, reads: database.reads, replica: source),
                        direct: direct,
                        metrics: metrics
                    )
                    try await subject.record(.purchase, by: "ann", on: "i1")
                    try await subject.record(.like, by: "bob", on: "i2")
                    try await subject.caughtUp()
                    try await body(subject)
                }
            }
        }
    }

    @Test("that has caught up is read, and says what the primary says")
    func caughtUp() async throws {
        try await Self.withSubject { subject in
            let state = try await subject.state("ann")
            #expect(state == (try await subject.truth("ann")))
            #expect(state.history.map(\.type) == [.purchase])
            #expect(try subject.count("used") == 1)
            #expect(try await subject.state("nobody") == .unknown)
            #expect(try subject.count("used") == 1, "of somebody the primary does not know nobody asks the replica")
        }
    }

    @Test("that lags is passed over for users who have changed, and read for the others")
    func lagging() async throws {
        try await Self.withSubject { subject in
            try await subject.pauseReplay()
            try await subject.record(.purchase, by: "ann", on: "i3", at: 10)
            let state = try await subject.state("ann")
            #expect(state == (try await subject.truth("ann")))
            #expect(state.history.count == 2)
            #expect(try subject.count("behind") == 1)
            #expect(try subject.count("used") == 0)

            #expect(try await subject.state("bob") == (try await subject.truth("bob")))
            #expect(try subject.count("used") == 1)

            try await subject.resumeReplay()
            try await subject.caughtUp()
            #expect(try await subject.state("ann") == state)
            #expect(try subject.count("used") == 2)
        }
    }

    @Test("many at once come from it where it has caught up with them, and the others from the primary")
    func bulk() async throws {
        try await Self.withSubject { subject in
            try await subject.pauseReplay()
            try await subject.record(.purchase, by: "ann", on: "i3", at: 10)
            let names: [User.ID] = [id("bob"), id("nobody"), id("ann"), id("bob")]
            let states = try await subject.users.states(of: names, tenant: .default)
            #expect(states == (try await subject.database.users.states(of: names, tenant: .default)))
            #expect(states.map(\.history.count) == [1, 0, 2, 1])
            #expect(try subject.count("used") == 1)
            try await subject.resumeReplay()
        }
    }

    @Test("never gives back a user whom the primary has forgotten")
    func erased() async throws {
        try await Self.withSubject { subject in
            try await subject.pauseReplay()
            try await subject.database.client.execute("DELETE FROM user_state WHERE user_id = 'ann'")
            #expect(try await subject.state("ann") == .unknown)
            try await subject.resumeReplay()
        }
    }

    @Test("of another incarnation of the data is not believed, whatever its versions")
    func otherIncarnation() async throws {
        try await Self.withSubject { subject in
            try await subject.pauseReplay()
            try await subject.database.client.execute("UPDATE incarnation SET id = 'another'")
            #expect(try await subject.state("bob") == (try await subject.truth("bob")))
            #expect(try subject.count("used") == 0)
            #expect(try subject.count("behind") == 1)
            try await subject.resumeReplay()
            try await subject.caughtUp()
            _ = try await subject.state("bob")
            #expect(try subject.count("used") == 1)
        }
    }

    @Test("that is dead costs one attempt, the primary serves, and it is used again when it is back")
    func dead() async throws {
        try await Self.withSubject { subject in
            _ = try await subject.state("ann")
            #expect(try subject.count("used") == 1)
            try await subject.server.kill()
            for _ in 0..<20 {
                #expect(try await subject.state("ann") == (try await subject.truth("ann")))
            }
            #expect(try subject.count("used") == 1)
            #expect(try subject.count("failed") >= 1)
            #expect(try subject.count("skipped") >= 1, "it is left alone")
            try await subject.server.restart()
            try await eventually("the replica is used again") {
                _ = try await subject.state("ann")
                return try subject.count("used") > 1
            }
        }
    }

    @Test("that is frozen costs a short wait, and the primary serves")
    func frozen() async throws {
        try await Self.withSubject { subject in
            let backends = try await subject.direct.read("SELECT pg_backend_pid()") { try $0.decode(0, as: Int32.self) }
            let postmaster = try #require(subject.server.pid)
            // The one connection that is open, and whoever would open another.
            for pid in backends + [postmaster] { #expect(kill(pid, SIGSTOP) == 0) }
            let started = ContinuousClock.now
            #expect(try await subject.state("ann") == (try await subject.truth("ann")))
            #expect(started.duration(to: .now) < .seconds(10))
            #expect(try subject.count("failed") == 1)
            // On a busy machine its rest may be over before the next question.
            for _ in 0..<20 where try subject.count("skipped") == 0 { _ = try await subject.state("ann") }
            #expect(try subject.count("skipped") >= 1, "it is left alone")
            for pid in backends + [postmaster] { #expect(kill(pid, SIGCONT) == 0) }
        }
    }
}

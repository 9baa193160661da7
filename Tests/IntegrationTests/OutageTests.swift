import Caching
import LocalServers
import Postgres
import PostgresAdapters
import RecommendationCore
import Testing

/// PostgreSQL goes away under the repositories. Each test has a server of its own.
@Suite("PostgreSQL stopped")
struct OutageTests {
    private static func withServer(_ body: (Database) async throws -> Void) async throws {
        let directory = try ScratchDirectory.make("vireo-integration-outage")
        let server = try await LocalPostgresServer.start(directory: directory, settings: Servers.postgresSettings)
        let outcome: Result<Void, any Error>
        do {
            try await withClient(of: server, connections: 4, acquireTimeout: .seconds(5)) { client in
                let database = Database(name: "postgres", server: server, store: PostgresStore(client: client))
                _ = try await Migrator(store: database.store).migrate()
                try await database.addItems("i1")
                _ = try await database.feedback.record([event(by: "ann")], tenant: .default, invalidating: invalidating)
                try await body(database)
            }
            outcome = .success(())
        } catch {
            outcome = .failure(error)
        }
        try await server.stop()
        try ScratchDirectory.remove(directory)
        try outcome.get()
    }

    /// One call of every kind.
    private static let calls: [(name: String, call: @Sendable (Database) async throws -> Void)] = [
        (
            "record",
            { _ = try await $0.feedback.record([event(by: "ann")], tenant: .default, invalidating: invalidating) }
        ),
        ("state", { _ = try await $0.users.state(of: id("ann"), tenant: .default) }),
        ("version", { _ = try await $0.users.version(of: id("ann"), tenant: .default) }),
        ("raise", { _ = try await $0.users.raiseVersion(of: id("ann"), tenant: .default) }),
        ("whole delta", { _ = try await $0.control.delta(after: nil, items: nil) }),
        ("delta", { _ = try await $0.control.delta(after: 0, items: 1) }),
        ("purge", { _ = try await $0.control.purge(.surface("home"), tenant: .default) }),
        ("tombstones", { _ = try await $0.control.denied(nil, tenant: .default) }),
        ("keys", { _ = try await $0.keys.keys() }),
        ("revoke", { _ = try await $0.keys.revoke("none") }),
        ("models", { _ = try await $0.models.versions(tenant: .default) }),
        ("items", { _ = try await $0.imports.store(items: [item("i1")], tenant: .default) }),
        ("nodes", { _ = try await $0.nodes.nodes() }),
        ("training", { _ = try await $0.training.items(tenant: .default) }),
        ("copy", { _ = try await $0.training.userIDs(tenant: .default) }),
        ("migrate", { _ = try await Migrator(store: $0.store).migrate(dryRun: true) }),
        ("page", { _ = try await $0.journal.page(from: nil) }),
        ("head", { _ = try await $0.journal.head() }),
    ]

    private static func isUnavailable(_ error: any Error) -> Bool {
        switch error {
        case RepositoryError.unavailable, JournalError.unavailable: true
        default: false
        }
    }

    private static func expectUnavailable(_ database: Database) async {
        for (name, call) in Self.calls {
            do {
                try await call(database)
                Issue.record("\(name) succeeded without a server")
            } catch {
                #expect(Self.isUnavailable(error), "\(name): \(error)")
            }
        }
    }

    private static func expectRecovery(_ database: Database) async throws {
        for (name, call) in Self.calls {
            try await eventually("\(name) works again") {
                do {
                    try await call(database)
                    return true
                } catch  where Self.isUnavailable(error) { return false }
            }
        }
    }

    @Test("while the server is stopped every call says that it is unavailable, and afterwards all work again")
    func stopped() async throws {
        try await Self.withServer { database in
            try await database.server.stop()
            await Self.expectUnavailable(database)
            try await database.server.restart()
            try await Self.expectRecovery(database)
        }
    }

    @Test("what was acknowledged is there after a crash of the server")
    func crash() async throws {
        try await Self.withServer { database in
            let recorded = try await database.feedback.record(
                [event(by: "bob", id: "e1")],
                tenant: .default,
                invalidating: invalidating
            )
            let before = try await database.control.delta(after: nil, items: nil)
            try await database.server.kill()
            try await database.server.restart()
            try await Self.expectRecovery(database)
            let state = try await database.users.state(of: id("bob"), tenant: .default)
            #expect(state.version == recorded.outcomes[0].version)
            #expect(state.history.count == 1)
            let again = try await database.feedback.record(
                [event(by: "bob", id: "e1")],
                tenant: .default,
                invalidating: invalidating
            )
            #expect(again.outcomes == [.duplicate(state.version)])
            // A crash is no other database: versions go on.
            #expect(try await database.control.delta(after: nil, items: nil).incarnation == before.incarnation)
            let next = try await database.feedback.record(
                [event(by: "eve")],
                tenant: .default,
                invalidating: invalidating
            )
            #expect(try #require(next.outcomes[0].version) > state.version)
        }
    }

    @Test("writers during a stop and a start: each acknowledged event is stored, and no event twice")
    func writersDuringRestart() async throws {
        try await Self.withServer { database in
            let acknowledged = EventLog<String>()
            let refused = EventLog<String>()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for writer in 0..<3 {
                    group.addTask {
                        var number = 0
                        while number < 30 || refused.all.isEmpty {
                            let name = "e\(writer)-\(number)"
                            do {
                                _ = try await database.feedback.record(
                                    [event(by: "user-\(number % 5)", id: name)],
                                    tenant: .default,
                                    invalidating: invalidating
                                )
                                acknowledged.append(name)
                                number += 1
                            } catch RepositoryError.unavailable, RepositoryError.outcomeUnknown {
                                // The same event again, as a client would.
                                refused.append(name)
                            }
                        }
                    }
                }
                try await eventually("some are stored") { acknowledged.all.count > 10 }
                try await database.server.stop()
                try await eventually("one was refused") { !refused.all.isEmpty }
                try await database.server.restart()
                try await group.waitForAll()
            }
            let stored = try await database.values(
                "SELECT event_id FROM interactions WHERE event_id IS NOT NULL",
                as: String.self
            )
            #expect(stored.count == Set(stored).count)
            #expect(Set(acknowledged.all).subtracting(stored).isEmpty)
            // Every stored event that invalidates has its row in the journal.
            #expect(try await database.count("invalidations") == Int64(stored.count) + 1)
        }
    }

    @Test("the leader of a job is none while the server is stopped, and there is one again afterwards")
    func leadership() async throws {
        try await Self.withServer { database in
            let lock = AdvisoryLock(store: database.store, job: .relay, log: .silent)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await lock.run() }
                try await eventually("it leads") { await lock.isLeader() }
                try await database.server.stop()
                try await eventually("it knows that it does not") { await !lock.isLeader() }
                try await database.server.restart()
                try await eventually("it leads again") { await lock.isLeader() }
                group.cancelAll()
                try await group.waitForAll()
            }
        }
    }
}

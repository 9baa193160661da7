import Glibc
import LocalServers
import Postgres
import PostgresAdapters
import Synchronization

/// The PostgreSQL and the Redis that all tests of this process share: each started by the first test that needs it, both
/// stopped when the process exits.
enum Servers {
    /// A database with every migration applied, which tests copy. Nothing connects to it once it is made.
    static let template = "vireo_template"

    static var postgres: LocalPostgresServer { get async throws { try await self.startedPostgres.value } }

    static var redis: LocalRedisServer { get async throws { try await self.startedRedis.value } }

    private static let startedPostgres = Task {
        let directory = try ScratchDirectory.make("vireo-integration-postgres")
        let server = try await LocalPostgresServer.start(directory: directory, settings: Self.postgresSettings)
        AtExit.add {
            AtExit.end({ server.pid }, with: SIGQUIT)
            try? ScratchDirectory.remove(directory)
        }
        try await withClient(of: server) { try await $0.execute("CREATE DATABASE \(identifier: Self.template)") }
        try await withClient(of: server, database: Self.template) { client in
            _ = try await Migrator(store: PostgresStore(client: client)).migrate()
        }
        return server
    }

    private static let startedRedis = Task {
        let directory = try ScratchDirectory.make("vireo-integration-redis")
        let server = try await LocalRedisServer.start(directory: directory)
        AtExit.add {
            AtExit.end({ server.pid }, with: SIGKILL)
            try? ScratchDirectory.remove(directory)
        }
        return server
    }

    /// `synchronous_commit` stays on: what is acknowledged is in the log before the answer, as in production.
    static let postgresSettings = [
        "fsync": "off", "max_connections": "400", "autovacuum": "off", "deadlock_timeout": "200ms",
    ]
}

/// What is done when the test process exits, where nothing can be awaited any more.
enum AtExit {
    private static let work = Mutex<[@Sendable () -> Void]>([])
    private static let registration: Void = {
        atexit { for item in AtExit.work.withLock({ $0 }) { item() } }
    }()

    static func add(_ item: @escaping @Sendable () -> Void) {
        self.registration
        self.work.withLock { $0.append(item) }
    }

    /// Ends a server by its pid and waits, for a bounded time, until it is gone; a zombie has no pid for its owner.
    static func end(_ pid: () -> Int32?, with signal: Int32) {
        guard let first = pid() else { return }
        kill(first, signal)
        for _ in 0..<2_000 where pid() != nil { usleep(5_000) }
        if let survivor = pid() { kill(survivor, SIGKILL) }
    }
}

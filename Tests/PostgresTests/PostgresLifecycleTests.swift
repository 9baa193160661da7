import Glibc
import LocalServers
import Logging
import Postgres
import ServiceLifecycle
import Testing

extension ServerTests {
    @Suite("Sessions and shutdown")
    struct PostgresLifecycleTests {
        static let tryLock: PostgresStatement = "SELECT pg_try_advisory_lock(77)"

        @Test("a session holds its advisory lock from call to call, and its end releases it")
        func advisoryLock() async throws {
            try await withClient { client in
                try await client.withSession { session in
                    #expect(session.serverVersion >= 150_000)
                    #expect(try await session.query(Self.tryLock) { try $0.decode(0, as: Bool.self) } == [true])
                    try await session.transaction { try $0.execute("SELECT 1") }
                    try await client.withSession { rival async throws in
                        #expect(try await rival.query(Self.tryLock) { try $0.decode(0, as: Bool.self) } == [false])
                    }
                }
                try await client.waitUntil(
                    "SELECT NOT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = 77)"
                )
                try await client.withSession { session async throws in
                    #expect(try await session.query(Self.tryLock) { try $0.decode(0, as: Bool.self) } == [true])
                }
            }
        }

        @Test("a session that lost its connection says so for ever")
        func lostSession() async throws {
            try await withClient { client in
                try await client.withSession { session in
                    let pid = try await session.query("SELECT pg_backend_pid()") { try $0.decode(0, as: Int32.self) }
                    try await client.execute("SELECT pg_terminate_backend($1)", [pid[0]])
                    try await client.waitUntil(
                        "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1)",
                        [pid[0]]
                    )
                    for _ in 0..<3 {
                        #expect(try await postgresError { try await session.execute("SELECT 1") } == .connectionLost)
                    }
                }
            }
        }

        @Test("what a session's closure throws comes out unchanged")
        func sessionError() async throws {
            try await withClient { client in
                await #expect(throws: DomainError()) {
                    try await client.withSession { _ in throw DomainError() }
                }
            }
        }

        @Test("graceful shutdown lets a running call end and refuses the next")
        func gracefulShutdown() async throws {
            var configuration = try patientConfiguration()
            configuration.applicationName = "graceful"
            let client = PostgresClient(configuration: configuration, logger: Logger(label: "test"))
            var groupLogger = Logger(label: "test")
            groupLogger.logLevel = .critical
            let group = ServiceGroup(services: [client], logger: groupLogger)
            try await withClient { other in
                try await other.withSession { holder in
                    try await holder.execute("SELECT pg_advisory_lock(79)")
                    async let life: Void = group.run()
                    async let running = client.column("SELECT pg_advisory_lock(79) IS NOT NULL", as: Bool.self)
                    try await holder.waitForSomebody(at: 79)
                    await group.triggerGracefulShutdown()
                    var refusal: PostgresError?
                    while refusal == nil {
                        do throws(PostgresError) {
                            try await client.execute("SELECT 1")
                        } catch {
                            refusal = error
                        }
                    }
                    #expect(refusal == .shutDown)
                    try await holder.execute("SELECT pg_advisory_unlock(79)")
                    #expect(try await running == [true])
                    try await life
                }
                try await other.waitUntil(
                    "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'graceful')"
                )
            }
        }

        @Test("cancelling the run interrupts what runs")
        func cancelledRun() async throws {
            var configuration = try patientConfiguration()
            configuration.applicationName = "cancelled"
            let client = PostgresClient(configuration: configuration, logger: Logger(label: "test"))
            let life = Task { await client.run() }
            async let error = postgresError { try await client.execute("SELECT pg_sleep(1000)") }
            try await withClient { other in
                try await other.waitUntil(
                    "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'cancelled' AND wait_event = 'PgSleep')"
                )
            }
            life.cancel()
            #expect(try await error == .cancelled)
            await life.value
        }

        @Test("a wrong password is a failed connection whose message does not hold it")
        func wrongPassword() async throws {
            let parts = ServerTests.url.split(separator: "@")
            let url = "postgresql://postgres:guessed-pass@\(parts[1])"
            try await withClient(url: url) { client in
                let error = try await postgresError { try await client.execute("SELECT 1") }
                guard case .connectionFailed(let reason) = error else { throw error }
                #expect(reason.contains("password authentication failed"))
                #expect(!String(reflecting: error).contains("guessed-pass"))
            }
        }
    }
}

@Suite("Failures of the server")
struct PostgresFailureTests {
    @Test("a killed server: typed errors, then recovery after a restart without a new client")
    func killedServer() async throws {
        try await withServer { server in
            try await withClient(url: server.url()) { client in
                async let running = postgresError { try await client.execute("SELECT pg_sleep(1000)") }
                try await client.waitUntil("SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep')")
                try await server.kill()
                #expect(try await running == .connectionLost)
                let error = try await postgresError { try await client.execute("SELECT 1") }
                #expect(error.isConnectionFailure)
                guard case .connectionFailed = error else { throw error }
                try await server.restart()
                for _ in 0..<3 { #expect(try await client.column("SELECT 1", as: Int32.self) == [1]) }
                try await server.restart()
                // The idle connections died with the server; none of them surfaces as an error.
                try await withThrowingTaskGroup(of: [Int32].self) { group in
                    for _ in 0..<9 { group.addTask { try await client.column("SELECT 1") } }
                    for try await numbers in group { #expect(numbers == [1]) }
                }
            }
        }
    }

    @Test("a frozen server: a call ends soon after its timeout, although even the cancel request hangs")
    func frozenServer() async throws {
        try await withServer { server in
            try await withClient(url: server.url()) { client in
                let backend = try #require(try await client.column("SELECT pg_backend_pid()", as: Int32.self).first)
                let postmaster = try #require(server.pid)
                for pid in [postmaster, backend] { #expect(kill(pid, SIGSTOP) == 0) }
                defer { for pid in [postmaster, backend] { kill(pid, SIGCONT) } }
                let started = ContinuousClock.now
                let error = try await postgresError { try await client.execute("SELECT 1", timeout: .milliseconds(50)) }
                #expect(error == .timedOut)
                #expect(started.duration(to: .now) < .seconds(10))
                for pid in [postmaster, backend] { #expect(kill(pid, SIGCONT) == 0) }
                #expect(try await client.column("SELECT 1", as: Int32.self) == [1])
            }
        }
    }
}

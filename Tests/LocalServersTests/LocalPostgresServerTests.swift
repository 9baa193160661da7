import Glibc
import LocalServers
import Testing

@Suite("A local PostgreSQL server")
struct LocalPostgresServerTests {
    static let fast = ["fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"]

    @Test("initializes, serves, survives kill, and starts warm in the same directory")
    func lifeCycle() async throws {
        try await withScratchDirectory { directory in
            let server = try await LocalPostgresServer.start(directory: directory, settings: Self.fast)
            #expect(server.dataDirectory.hasPrefix(directory))
            try await server.createDatabase("template")
            try await server.execute("CREATE TABLE t (n int); INSERT INTO t VALUES (1)", database: "template")
            try await server.createDatabase("copy", template: "template")
            try await server.execute("INSERT INTO t VALUES (2)", database: "copy")
            try await server.execute("SET fsync_is_off = 1", database: "copy", expecting: false)

            try await server.kill()
            #expect(server.pid == nil)
            try await server.restart()
            try await server.execute("INSERT INTO t VALUES (3)", database: "copy")
            try await server.dropDatabase("copy")
            try await server.dropDatabase("copy")
            try await server.execute("SELECT 1", database: "copy", expecting: false)
            try await server.stop()
            #expect(server.pid == nil)

            let warm = try await LocalPostgresServer.start(directory: directory, settings: Self.fast)
            try await warm.execute("INSERT INTO t VALUES (4)", database: "template")
            let warmPID = warm.pid
            let next = try await LocalPostgresServer.start(directory: directory, settings: Self.fast)
            #expect(next.pid != nil && next.pid != warmPID)
            try await next.execute("INSERT INTO t VALUES (5)", database: "template")
            try await next.stop()
        }
    }

    @Test("a replica follows its primary, takes no writes, and starts warm")
    func replica() async throws {
        try await withScratchDirectory { directory in
            try await withScratchDirectory { copy in
                let primary = try await LocalPostgresServer.start(directory: directory, settings: Self.fast)
                try await primary.execute("CREATE TABLE t (n int); INSERT INTO t VALUES (1)")
                let replica = try await primary.startReplica(directory: copy, settings: Self.fast)
                #expect(replica.port != primary.port)
                try await replica.execute("SELECT 1 / count(*) FROM t")
                try await replica.execute("INSERT INTO t VALUES (2)", expecting: false)
                try await replica.stop()
                try await primary.execute("CREATE TABLE later ()")
                let warm = try await primary.startReplica(directory: copy, settings: Self.fast)
                let limit = ContinuousClock.now + .seconds(30)
                while try await !warm.succeeds("SELECT FROM later") {
                    try #require(ContinuousClock.now < limit, "it streams again")
                }
                try await warm.stop()
                try await primary.stop()
            }
        }
    }

    @Test("a directory its account cannot reach is replaced by one below /var/tmp")
    func unreachableDirectory() async throws {
        try await withScratchDirectory { directory in
            // Root may search the scratch directory, postgres may not.
            let server = try await LocalPostgresServer.start(directory: "\(directory)/deep", settings: Self.fast)
            try await server.execute("SELECT 1")
            try await server.stop()
            if geteuid() == 0 {
                #expect(server.dataDirectory.hasPrefix("/var/tmp/vireo-postgres-"))
                try ScratchDirectory.remove(String(server.dataDirectory.dropLast("/data".count)))
            } else {
                #expect(server.dataDirectory == "\(directory)/deep/data")
            }
        }
    }

    @Test("a setting that PostgreSQL refuses is an error that quotes the log, a malformed one is refused before")
    func wrongSettings() async throws {
        try await withScratchDirectory { directory in
            let error = await #expect(throws: LocalServerError.self) {
                try await LocalPostgresServer.start(directory: directory, settings: ["work_mem": "many"])
            }
            let text = try #require(error).description
            #expect(text.contains("work_mem"))
            await #expect(throws: LocalServerError.invalidSetting("a = b")) {
                try await LocalPostgresServer.start(directory: directory, settings: ["a = b": "c"])
            }
        }
    }
}

extension LocalPostgresServer {
    func execute(_ sql: String, database: String = "postgres", expecting success: Bool) async throws {
        #expect(try await succeeds(sql, database: database) == success)
    }

    func succeeds(_ sql: String, database: String = "postgres") async throws -> Bool {
        do {
            try await execute(sql, database: database)
            return true
        } catch .commandFailed {
            return false
        }
    }
}

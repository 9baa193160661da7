import LocalServers
import Redis
import Testing

@Suite("A Redis script")
struct RedisScriptTests {
    private static let source = "redis.call('INCR', KEYS[1]); return {KEYS[1], ARGV[1]}"

    @Test("is loaded when it is new, after SCRIPT FLUSH and after a restart, and runs once each time")
    func reload() async throws {
        try await withServer { server in
            try await withClient(server.configuration()) { client in
                let script = RedisScript(Self.source)
                let argument: [UInt8] = [0, 255, 13, 10]
                let expected = RedisReply.array([.bulk([107]), .bulk(argument)])
                #expect(try await client.run(script, keys: [[107]], arguments: [argument]) == expected)
                #expect(try await client.run(script, keys: [[107]], arguments: [argument]) == expected)
                _ = try await client.send(RedisCommand("SCRIPT", "FLUSH"))
                #expect(try await client.run(script, keys: [[107]], arguments: [argument]) == expected)
                #expect(try await client.send(RedisCommand("GET", "k")).integer() == 3)

                let first = try #require(client.session)
                try await server.restart(empty: true)
                try await eventually { (client.session ?? first) > first }
                let (reply, session) = try await client.runReportingSession(
                    script,
                    keys: [[107]],
                    arguments: [argument]
                )
                #expect(reply == expected && session == client.session)
                #expect(try await client.send(RedisCommand("GET", "k")).integer() == 1)
                await #expect(throws: RedisError.sessionChanged) {
                    try await client.run(script, keys: [[107]], arguments: [argument], session: first)
                }
                #expect(try await client.send(RedisCommand("GET", "k")).integer() == 1)
            }
        }
    }

    @Test("errors of the script and of its source are thrown")
    func errors() async throws {
        try await withServer { server in
            try await withClient(server.configuration()) { client in
                let failing = RedisScript("return redis.error_reply('MYCODE because')")
                let error = RedisServerError(code: "MYCODE", message: "because")
                await #expect(throws: RedisError.server(error)) { try await client.run(failing) }
                let broken = RedisScript("return (")
                await #expect(throws: RedisError.self) { try await client.run(broken) }
            }
        }
    }

    @Test("many tasks may run it while it is not loaded")
    func concurrentFirstRuns() async throws {
        try await withServer { server in
            try await withClient(server.configuration()) { client in
                let script = RedisScript("return redis.call('INCR', KEYS[1])")
                try await withThrowingTaskGroup(of: Int64.self) { group in
                    for _ in 0..<50 { group.addTask { try await client.run(script, keys: [[107]]).integer() } }
                    let results: Set<Int64> = try await group.reduce(into: []) { $0.insert($1) }
                    #expect(results == Set(1...50))
                }
            }
        }
    }
}

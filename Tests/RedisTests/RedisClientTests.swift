import LocalServers
import Logging
import Metrics
import MetricsTestKit
import Redis
import ServiceLifecycle
import Testing

@Suite("A Redis client")
struct RedisClientTests {
    @Test("gives each of 64 tasks its own replies, in order")
    func pipelining() async throws {
        try await withServer { server in
            try await withClient(server.configuration()) { client in
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for task in 0..<64 {
                        group.addTask {
                            for round in 0..<100 {
                                let value = "\(task)-\(round)"
                                #expect(try await client.send(RedisCommand("ECHO", value)).string() == value)
                            }
                            let key = "list\(task)"
                            let pushes = (0..<20).map { RedisCommand("RPUSH", key, "\($0)") }
                            let replies = try await client.pipeline(pushes + [RedisCommand("LRANGE", key, "0", "-1")])
                            #expect(try replies.dropLast().map { try $0.integer() } == Array(1...20))
                            #expect(try replies[20].array().map { try $0.string() } == (0..<20).map { "\($0)" })
                        }
                    }
                    try await group.waitForAll()
                }
                #expect(
                    try await client.send(RedisCommand("CLIENT", "LIST")).string()?.split(separator: "\n").count == 1
                )
            }
        }
    }

    @Test("throws error replies of single commands and returns those of pipelines")
    func errorReplies() async throws {
        try await withServer { server in
            try await withClient(server.configuration()) { client in
                _ = try await client.send(RedisCommand("SET", "k", "v"))
                let error = try await #require(throws: RedisError.self) {
                    try await client.send(RedisCommand("INCR", "k"))
                }
                guard case .server(let refusal) = error else { throw error }
                #expect(refusal.code == "ERR")
                let replies = try await client.pipeline([RedisCommand("LPUSH", "k", "x"), RedisCommand("GET", "k")])
                #expect(throws: RedisError.self) { try replies[0].checked() }
                #expect(try replies[1].string() == "v")
                #expect(try await client.pipeline([]) == [])
            }
        }
    }

    @Test("closes the connection when a command times out, fails the rest, and connects again")
    func timeout() async throws {
        try await withServer { server in
            let events = EventLog<RedisConnectionEvent>()
            try await withClient(server.configuration(commandTimeout: .milliseconds(200)), events: events) { client in
                let first = try #require(client.session)
                try server.pause()
                let errors = await withTaskGroup(of: RedisError?.self, returning: [RedisError].self) { group in
                    for _ in 0..<20 {
                        group.addTask {
                            do throws(RedisError) {
                                _ = try await client.send(RedisCommand("GET", "k"))
                                return nil
                            } catch {
                                return error
                            }
                        }
                    }
                    return await group.reduce(into: []) { if let error = $1 { $0.append(error) } }
                }
                #expect(errors.count == 20)
                #expect(errors.contains(.timeout))
                #expect(errors.allSatisfy { $0 == .timeout || $0 == .connectionLost(.commandTimeout) })
                #expect(client.session == nil)
                #expect(events.all.last == .disconnected(session: first, reason: .commandTimeout))
                await #expect(throws: RedisError.notConnected) { try await client.send(RedisCommand("PING")) }

                // The kernel accepts for a frozen server: only a PONG counts as a connection.
                try await eventually { events.all.contains(.connectFailed(reason: .handshakeTimeout)) }
                try server.resume()
                let second = try await client.waitUntilReady(timeout: .seconds(10))
                #expect(second > first)
                #expect(try await client.send(RedisCommand("ECHO", "x")).string() == "x")
            }
        }
    }

    @Test("connects again with a new session after a crash, and refuses commands bound to the old one")
    func sessions() async throws {
        try await withServer { server in
            let events = EventLog<RedisConnectionEvent>()
            try await withClient(server.configuration(), events: events) { client in
                let first = try #require(client.session)
                #expect(try await client.sendReportingSession(RedisCommand("PING"), session: first).session == first)
                try await server.kill()
                try await eventually { client.session == nil }
                await #expect(throws: RedisError.notConnected) {
                    try await client.send(RedisCommand("PING"), session: first)
                }
                try await server.restart(empty: true)
                let second = try await client.waitUntilReady(timeout: .seconds(10))
                #expect(second > first)
                await #expect(throws: RedisError.sessionChanged) {
                    try await client.send(RedisCommand("SET", "k", "v"), session: first)
                }
                await #expect(throws: RedisError.sessionChanged) {
                    try await client.pipeline([RedisCommand("SET", "k", "v")], session: first)
                }
                #expect(try await client.send(RedisCommand("EXISTS", "k"), session: second).integer() == 0)

                let changes = events.all.filter { if case .connectFailed = $0 { false } else { true } }
                #expect(changes.count == 3)
                #expect(changes.first == .connected(session: first) && changes.last == .connected(session: second))
                guard case .disconnected(first, _) = changes[1] else { throw NeverHappened() }
            }
            guard case .disconnected(_, .shutdown) = events.all.last else { throw NeverHappened() }
        }
    }

    @Test("a full queue refuses at once, and the commands in it are answered")
    func boundedQueue() async throws {
        try await withServer { server in
            var configuration = server.configuration()
            configuration.maxQueued = 4
            try await withClient(configuration) { client in
                try server.pause()
                try await withThrowingTaskGroup(of: RedisError?.self) { group in
                    for _ in 0..<5 {
                        group.addTask {
                            do throws(RedisError) {
                                #expect(try await client.send(RedisCommand("ECHO", "x")).string() == "x")
                                return nil
                            } catch {
                                return error
                            }
                        }
                    }
                    #expect(try await group.next() == .queueFull)
                    try server.resume()
                    while let error = try await group.next() { #expect(error == nil) }
                }
            }
        }
    }

    @Test("too many bytes are refused at once, and the connection goes on")
    func boundedBytes() async throws {
        try await withServer { server in
            var configuration = server.configuration()
            configuration.maxQueuedBytes = 10_000
            try await withClient(configuration) { client in
                let large = RedisCommand("SET", arguments: [Array("k".utf8), Array(repeating: 1, count: 10_000)])
                await #expect(throws: RedisError.queueFull) { try await client.send(large) }
                await #expect(throws: RedisError.queueFull) {
                    try await client.pipeline([RedisCommand("PING"), large])
                }
                let fits = RedisCommand("SET", arguments: [Array("k".utf8), Array(repeating: 1, count: 9_900)])
                for _ in 0..<3 { try await client.send(fits).ok() }
            }
        }
    }

    @Test("a cancelled caller returns at once, and its reply is not given to the next")
    func cancellation() async throws {
        try await withServer { server in
            try await withClient(server.configuration()) { client in
                try await withClient(server.configuration()) { other in
                    let doomed = Task { try await client.send(RedisCommand("BLPOP", "list", "0")) }
                    try await eventually { try await other.blockedClients() == 1 }
                    async let next = client.send(RedisCommand("ECHO", "next")).string()
                    doomed.cancel()
                    await #expect(throws: RedisError.cancelled) { try await doomed.value }
                    // The command still runs, and its reply precedes that of the next.
                    _ = try await other.send(RedisCommand("RPUSH", "list", "taken"))
                    #expect(try await next == "next")
                    #expect(try await other.send(RedisCommand("LLEN", "list")).integer() == 0)
                }
            }
        }
    }

    @Test("a caller that is cancelled before it sends sends nothing")
    func cancelledBefore() async throws {
        try await withServer { server in
            try await withClient(server.configuration()) { client in
                await withTaskGroup(of: Void.self) { group in
                    group.cancelAll()
                    group.addTask {
                        await #expect(throws: RedisError.cancelled) {
                            try await client.send(RedisCommand("SET", "k", "v"))
                        }
                        await #expect(throws: RedisError.cancelled) {
                            try await client.pipeline([RedisCommand("SET", "k", "v"), RedisCommand("PING")])
                        }
                    }
                }
                let exists = try await client.send(RedisCommand("EXISTS", "k")).integer()
                #expect(exists == 0)
            }
        }
    }

    @Test("more replies than commands close the connection")
    func unsolicitedReply() async throws {
        try await withServer { server in
            let events = EventLog<RedisConnectionEvent>()
            try await withClient(server.configuration(), events: events) { client in
                let session = try #require(client.session)
                _ = try await client.send(RedisCommand("SUBSCRIBE", "a", "b"))
                let loss = RedisConnectionLoss.protocolViolation("a reply to no command")
                try await eventually { events.all.contains(.disconnected(session: session, reason: loss)) }
                try await client.waitUntilReady(timeout: .seconds(10))
            }
        }
    }

    @Test("authenticates and selects its database")
    func authentication() async throws {
        try await withServer(password: "correct horse") { server in
            var configuration = server.configuration()
            configuration.password = "correct horse"
            configuration.database = 3
            configuration.clientName = "vireo-test"
            try await withClient(configuration) { client in
                let information = try await client.send(RedisCommand("CLIENT", "INFO")).string() ?? ""
                #expect(information.contains(" db=3 ") && information.contains(" name=vireo-test "))
            }
        }
    }

    @Test("authenticates as a user, on every connection, and what the user may not do is refused")
    func user() async throws {
        try await withServer { server in
            try await withClient(server.configuration()) { admin in
                let rules = ["SETUSER", "app", "on", ">s p@ce", "~app:*", "+@all", "-config"].map { Array($0.utf8) }
                try await admin.send(RedisCommand("ACL", arguments: rules)).ok()
                var configuration = server.configuration()
                configuration.username = "app"
                configuration.password = "s p@ce"
                configuration.database = 2
                try await withClient(configuration) { client in
                    for _ in 0..<3 {
                        let session = try #require(client.session)
                        #expect(try await client.send(RedisCommand("ACL", "WHOAMI")).string() == "app")
                        let information = try await client.send(RedisCommand("CLIENT", "INFO")).string() ?? ""
                        #expect(information.contains(" db=2 "))
                        let error = try await #require(throws: RedisError.self) {
                            try await client.send(RedisCommand("SET", "other", "v"))
                        }
                        guard case .server(let refusal) = error else { throw error }
                        #expect(refusal.code == "NOPERM")
                        _ = try await admin.send(RedisCommand("CLIENT", "KILL", "USER", "app"))
                        try await eventually { (client.session ?? session) > session }
                    }
                }
            }
        }
    }

    @Test("a refused password is told without the password, in events, errors and logs")
    func wrongPassword() async throws {
        try await withServer(password: "correct horse") { server in
            var configuration = server.configuration()
            configuration.password = "battery-staple"
            let events = EventLog<RedisConnectionEvent>()
            let lines = EventLog<String>()
            let logger = Logger(label: "test") { _ in TextLogHandler(lines: lines) }
            let client = RedisClient(configuration: configuration, logger: logger) { events.append($0) }
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await client.run() }
                let refusal = RedisConnectionEvent.connectFailed(reason: .refused(step: "AUTH", code: "WRONGPASS"))
                try await eventually { events.all.contains(refusal) }
                await #expect(throws: RedisError.timeout) { try await client.waitUntilReady(timeout: .milliseconds(1)) }
                await #expect(throws: RedisError.notConnected) { try await client.send(RedisCommand("PING")) }
                group.cancelAll()
                try await group.waitForAll()
            }
            #expect(!lines.all.isEmpty)
            let text = "\(lines.all) \(events.all) \(client.configuration)"
            #expect(!text.contains("battery-staple"))
        }
    }

    @Test("graceful shutdown lets the commands under way end and takes no new ones")
    func gracefulShutdown() async throws {
        try await withServer { server in
            let client = RedisClient(configuration: server.configuration(), logger: .silent)
            let services = ServiceGroup(services: [client], logger: .silent)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await services.run() }
                try await client.waitUntilReady(timeout: .seconds(10))
                try await withClient(server.configuration()) { other in
                    async let answer = client.send(RedisCommand("BLPOP", "list", "0")).array()
                    try await eventually { try await other.blockedClients() == 1 }
                    await services.triggerGracefulShutdown()
                    try await eventually { client.session == nil }
                    await #expect(throws: RedisError.notConnected) { try await client.send(RedisCommand("PING")) }
                    _ = try await other.send(RedisCommand("RPUSH", "list", "under way"))
                    #expect(try await answer.last?.string() == "under way")
                }
                try await group.waitForAll()
            }
            await #expect(throws: RedisError.notConnected) { try await client.waitUntilReady(timeout: .seconds(10)) }
            await #expect(throws: RedisError.alreadyRunning) { try await client.run() }
        }
    }

    @Test("waiting for a connection ends when the task is cancelled")
    func cancelledWait() async throws {
        let client = RedisClient(configuration: RedisConfiguration(port: try FreePort.find()), logger: .silent)
        let waiting = Task { try await client.waitUntilReady(timeout: .seconds(100)) }
        waiting.cancel()
        await #expect(throws: RedisError.cancelled) { try await waiting.value }
    }

    @Test("counts commands, errors by kind, reconnects and latencies")
    func metrics() async throws {
        let metrics = TestMetrics()
        try await withServer { server in
            let client = withMetricsFactory(metrics) {
                RedisClient(configuration: server.configuration(), logger: .silent)
            }
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await client.run() }
                let first = try await client.waitUntilReady(timeout: .seconds(10))
                _ = try await client.pipeline([RedisCommand("SET", "k", "v"), RedisCommand("GET", "k")])
                await #expect(throws: RedisError.self) { try await client.send(RedisCommand("INCR", "k")) }
                try await server.restart(empty: true)
                try await eventually { (client.session ?? first) > first }
                group.cancelAll()
                try await group.waitForAll()
            }
        }
        #expect(try metrics.expectCounter("redis_commands").totalValue == 3)
        #expect(try metrics.expectCounter("redis_errors", [("kind", "server")]).totalValue == 1)
        #expect(try metrics.expectCounter("redis_errors", [("kind", "timeout")]).totalValue == 0)
        #expect(try metrics.expectCounter("redis_reconnects", [("connection", "commands")]).totalValue == 1)
        #expect(try metrics.expectTimer("redis_command_duration").values.count == 4, "a handshake each, and two calls")
        #expect(try metrics.expectGauge("redis_queue_depth").lastValue != nil)
    }
}

extension RedisClient {
    /// How many clients the server sees waiting in a blocking command.
    fileprivate func blockedClients() async throws -> Int? {
        let lines = try await send(RedisCommand("INFO", "clients")).string()?.split(whereSeparator: \.isNewline) ?? []
        return lines.first { $0.hasPrefix("blocked_clients:") }.flatMap { Int($0.dropFirst("blocked_clients:".count)) }
    }
}

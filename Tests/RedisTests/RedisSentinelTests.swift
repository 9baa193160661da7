import LocalServers
import Logging
import Redis
import Testing

@Suite("A primary behind real sentinels", .serialized)
struct RedisSentinelTests {
    private func withServers(
        replicas: Int = 2,
        sentinels: Int = 3,
        password: String? = nil,
        sentinelPassword: String? = nil,
        _ body: (LocalSentinelServers) async throws -> Void
    ) async throws {
        let directory = try ScratchDirectory.make("vireo-sentinel-test")
        let servers = try await LocalSentinelServers.start(
            directory: directory,
            replicas: replicas,
            sentinels: sentinels,
            password: password,
            sentinelPassword: sentinelPassword
        )
        do {
            try await body(servers)
        } catch {
            try await servers.stop()
            try ScratchDirectory.remove(directory)
            throw error
        }
        try await servers.stop()
        try ScratchDirectory.remove(directory)
    }

    /// What belongs together: one knowledge of the primary, a client and a subscription.
    private struct Subject {
        let primary: RedisPrimary
        let client: RedisClient
        let subscription: RedisSubscription
        let changes: EventLog<RedisConnectionEvent>

        init(_ configuration: RedisConfiguration) throws {
            let changes = EventLog<RedisConnectionEvent>()
            primary = RedisPrimary(sentinels: try #require(configuration.sentinels), logger: .silent)
            client = RedisClient(configuration: configuration, primary: primary, logger: .silent) {
                changes.append($0)
            }
            subscription = RedisSubscription(
                configuration: configuration,
                primary: primary,
                channels: ["news"],
                logger: .silent
            )
            self.changes = changes
        }

        func with(_ body: (inout RedisSubscriptionEvents.AsyncIterator) async throws -> Void) async throws {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await primary.run() }
                group.addTask { try await client.run() }
                group.addTask { try await subscription.run() }
                var events = subscription.events.makeAsyncIterator()
                try await body(&events)
                group.cancelAll()
                try await group.waitForAll()
            }
        }

        /// A message that is published is heard: both connections are with one server.
        func talks(_ text: String, _ events: inout RedisSubscriptionEvents.AsyncIterator) async throws {
            #expect(try await client.send(RedisCommand("PUBLISH", "news", text)).integer() == 1)
            while let event = await events.next() {
                if case .message(_, Array(text.utf8), _) = event { return }
            }
            throw NeverHappened()
        }
    }

    private func configuration(
        _ servers: LocalSentinelServers,
        options: String = ""
    ) throws -> RedisConfiguration {
        var configuration = try RedisConfiguration(url: servers.url + options)
        configuration.commandTimeout = .seconds(10)
        configuration.backoff = RedisBackoff(initial: .milliseconds(5), maximum: .milliseconds(20))
        return configuration
    }

    @Test("commands and messages follow the primary: asked for, killed, back as a replica, with passwords everywhere")
    func failOver() async throws {
        try await withServers(password: "correct-horse", sentinelPassword: "battery-staple") { servers in
            var configuration = try configuration(servers, options: "?sentinel_password=battery-staple")
            configuration.password = "correct-horse"
            let subject = try Subject(configuration)
            try await subject.with { events in
                try await subject.client.waitUntilReady(timeout: .seconds(10))
                let first = try #require(await events.next()?.begunSession)
                #expect(subject.primary.address?.port == servers.servers[0].port)
                try await subject.talks("one", &events)

                // While the old primary goes on as before: only the sentinels can tell.
                try await eventually { await servers.failOver() }
                let ended = try #require(await events.next())
                #expect(ended == .ended(session: first, reason: .primaryMoved))
                let second = try #require(await events.next()?.begunSession)
                try await subject.client.waitUntilReady(timeout: .seconds(10))
                let elected = try #require(subject.primary.address?.port)
                #expect(elected != servers.servers[0].port)
                let lost = subject.changes.all.compactMap { event -> RedisConnectionLoss? in
                    if case .disconnected(_, let reason) = event { reason } else { nil }
                }
                #expect(lost == [.primaryMoved])
                try await subject.talks("two", &events)

                let victim = try #require(servers.servers.first { $0.port == elected })
                try await victim.kill()
                guard case .ended(second, _) = await events.next() else { throw NeverHappened() }
                #expect(await events.next()?.begunSession != nil)
                try await subject.client.waitUntilReady(timeout: .seconds(30))
                #expect(subject.primary.address?.port != elected)
                try await subject.talks("three", &events)
                // It comes back as the primary that it was; nobody asks it.
                let last = subject.primary.address
                let session = subject.client.session
                try await victim.restart(empty: false)
                try await subject.talks("four", &events)
                #expect(subject.primary.address == last && subject.client.session == session)
            }
        }
    }

    @Test("a primary that somebody makes a replica ends both connections, and has none until it is a primary again")
    func demotion() async throws {
        try await withServers(replicas: 0, sentinels: 1) { servers in
            let subject = try Subject(try configuration(servers))
            try await subject.with { events in
                try await subject.client.waitUntilReady(timeout: .seconds(10))
                let first = try #require(await events.next()?.begunSession)
                let elsewhere = try FreePort.find()
                try await withClient(servers.servers[0].configuration()) { direct in
                    _ = try await direct.send(RedisCommand("REPLICAOF", "127.0.0.1", "\(elsewhere)"))
                    // A write says so; the subscription would hear nothing of it.
                    await #expect(throws: RedisError.self) {
                        try await subject.client.send(RedisCommand("SET", "k", "v"))
                    }
                    #expect(await events.next() == .ended(session: first, reason: .notPrimary))
                    try await eventually { subject.changes.all.contains(.connectFailed(reason: .notPrimary)) }
                    #expect(subject.client.session == nil && subject.subscription.currentSession == nil)
                    _ = try await direct.send(RedisCommand("REPLICAOF", "NO", "ONE"))
                }
                try await subject.client.waitUntilReady(timeout: .seconds(10))
                #expect(try #require(await events.next()?.begunSession) > first)
                try await subject.talks("again", &events)
            }
        }
    }

    @Test("a name that no sentinel knows, sentinels that are gone and a password they refuse are told as that")
    func mistakes() async throws {
        try await withServers(replicas: 0, sentinels: 1, sentinelPassword: "battery-staple") { servers in
            func failure(_ configuration: RedisConfiguration) async throws -> RedisConnectionEvent? {
                let subject = try Subject(configuration)
                try await subject.with { _ in
                    await #expect(throws: RedisError.timeout) {
                        try await subject.client.waitUntilReady(timeout: .milliseconds(1_500))
                    }
                }
                return subject.changes.all.first
            }
            var unknown = try configuration(servers, options: "?sentinel_password=battery-staple")
            unknown.sentinels?.master = "nobody"
            #expect(try await failure(unknown) == .connectFailed(reason: .noPrimary(.unknownMaster)))
            let refused = try configuration(servers, options: "?sentinel_password=wrong-staple")
            #expect(try await failure(refused) == .connectFailed(reason: .noPrimary(.noSentinelAnswers)))
            let right = try Subject(try configuration(servers, options: "?sentinel_password=battery-staple"))
            try await right.with { events in
                try await right.client.waitUntilReady(timeout: .seconds(10))
                #expect(await events.next()?.begunSession != nil)
                // Nobody can be asked any more: the primary that is known stays, after a lost connection too.
                try await servers.sentinels[0].kill()
                let session = try #require(right.client.session)
                _ = try? await right.client.send(RedisCommand("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "no"))
                try await eventually { (right.client.session ?? session) > session }
                try await right.talks("alone", &events)
            }
        }
    }
}

/// Both a sentinel and the primary speak TLS alone to the client, and ask for passwords.
@Suite("A primary behind a sentinel over TLS")
struct RedisSentinelTLSTests {
    @Test("is found and used over TLS, and not by who does not trust it")
    func secured() async throws {
        let directory = try ScratchDirectory.make("vireo-sentinel-tls")
        let certificates = try await Certificates.make(in: directory)
        try await certificates.certify("server", for: "IP:127.0.0.1")
        let files = [
            "tls-ca-cert-file \(certificates.authority)", "tls-cert-file \(certificates.certificate("server"))",
            "tls-key-file \(certificates.key("server"))", "tls-auth-clients no", "tls-replication yes",
        ]
        let (serverPort, sentinelPort) = (try FreePort.find(), try FreePort.find())
        let server = try await LocalRedisServer.start(
            directory: "\(directory)/server",
            password: "correct-horse",
            configuration: files + ["tls-port \(serverPort)"]
        )
        let sentinel = try await LocalRedisServer.start(
            directory: "\(directory)/sentinel",
            configuration: files + [
                "tls-port \(sentinelPort)", "sentinel monitor vireo 127.0.0.1 \(serverPort) 1",
                "sentinel auth-pass vireo correct-horse",
            ],
            isSentinel: true
        )
        let url = "rediss+sentinel://:correct-horse@127.0.0.1:\(sentinelPort)/vireo"
        let trusting = try RedisConfiguration(url: "\(url)?ca_file=\(certificates.authority)")
        for (configuration, isTrusted) in [(trusting, true), (try RedisConfiguration(url: url), false)] {
            let primary = RedisPrimary(sentinels: try #require(configuration.sentinels), logger: .silent)
            let client = RedisClient(configuration: configuration, primary: primary, logger: .silent)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await primary.run() }
                group.addTask { try await client.run() }
                if isTrusted {
                    try await client.waitUntilReady(timeout: .seconds(20))
                    #expect(primary.address == RedisAddress(host: "127.0.0.1", port: serverPort))
                } else {
                    await #expect(throws: RedisError.timeout) {
                        try await client.waitUntilReady(timeout: .seconds(1))
                    }
                    #expect(primary.address == nil)
                }
                group.cancelAll()
                try await group.waitForAll()
            }
        }
        try await sentinel.stop()
        try await server.stop()
        try ScratchDirectory.remove(directory)
    }
}

extension RedisSubscriptionEvent {
    fileprivate var begunSession: UInt64? { if case .began(let session) = self { session } else { nil } }
}

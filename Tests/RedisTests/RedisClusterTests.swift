import LocalServers
import Logging
import Redis
import Testing

@Suite("A real cluster", .serialized)
struct RedisClusterTests {
    private func withServers(
        password: String? = nil,
        _ body: (LocalClusterServers) async throws -> Void
    ) async throws {
        let directory = try ScratchDirectory.make("vireo-cluster-test")
        let servers = try await LocalClusterServers.start(directory: directory, password: password)
        do {
            try await body(servers)
        } catch {
            try await servers.stop()
            throw error
        }
        try await servers.stop()
        try ScratchDirectory.remove(directory)
    }

    private func configuration(_ servers: LocalClusterServers, password: String? = nil) throws -> RedisConfiguration {
        var configuration = try RedisConfiguration(url: servers.url)
        configuration.password = password
        configuration.commandTimeout = .seconds(10)
        configuration.connectTimeout = .milliseconds(500)
        configuration.backoff = RedisBackoff(initial: .milliseconds(5), maximum: .milliseconds(20))
        return configuration
    }

    private func with(
        _ configuration: RedisConfiguration,
        events: EventLog<RedisConnectionEvent> = EventLog(),
        _ body: (RedisCluster, inout RedisSubscriptionEvents.AsyncIterator) async throws -> Void
    ) async throws {
        let cluster = RedisCluster(configuration: configuration, pinned: "news", logger: .silent) { events.append($0) }
        let subscription = RedisSubscription(
            configuration: configuration,
            primary: cluster.primary,
            channels: ["news", "{news}:mine"],
            isSharded: true,
            logger: .silent
        )
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await cluster.run() }
            group.addTask { try await subscription.run() }
            try await cluster.waitUntilReady(timeout: .seconds(20))
            var heard = subscription.events.makeAsyncIterator()
            try await body(cluster, &heard)
            group.cancelAll()
            try await group.waitForAll()
        }
    }

    private func keys(_ count: Int) -> [[UInt8]] { (0..<count).map { Array("key:{\($0)}".utf8) } }

    private func write(_ cluster: RedisCluster, _ count: Int, _ value: String) async throws {
        let commands = keys(count).map { RedisCommand("SET", key: $0, arguments: [Array(value.utf8)]) }
        for reply in try await cluster.pipeline(commands) { try reply.ok() }
    }

    private func values(_ cluster: RedisCluster, _ count: Int) async throws -> [String?] {
        try await cluster.pipeline(keys(count).map { RedisCommand("GET", key: $0) })
            .map { try $0.checked().string() }
    }

    @Test("commands and scripts go where their keys are, in order, with a password")
    func routes() async throws {
        try await withServers(password: "hunter 2") { servers in
            try await with(try configuration(servers, password: "hunter 2")) { cluster, _ in
                #expect(cluster.shards.count == 3 && cluster.shards[0].tag == "news" && cluster.isDivided)
                let numbered = keys(300).enumerated().map { index, key in
                    RedisCommand("SET", key: key, arguments: [Array(String(index).utf8)])
                }
                for reply in try await cluster.pipeline(numbered) { try reply.ok() }
                #expect(try await values(cluster, 300) == (0..<300).map(String.init))
                let script = RedisScript("return {KEYS[1], redis.call('GET', KEYS[1])}")
                let calls = keys(50).map { (keys: [$0], arguments: [[UInt8]]()) }
                let (replies, session) = try await cluster.pipelineReportingSession(script, calls)
                #expect(session == cluster.session)
                for (index, reply) in replies.enumerated() {
                    let parts = try reply.checked().array()
                    #expect(try parts[0].bytes() == keys(50)[index] && parts[1].string() == String(index))
                }
                await #expect(throws: RedisError.sessionChanged) {
                    try await cluster.send(RedisCommand("GET", key: keys(1)[0]), session: session + 1)
                }
                let both = RedisCommand("MGET", key: keys(2)[0], arguments: [keys(2)[1]])
                await #expect {
                    try await cluster.send(both)
                } throws: { error in
                    if case RedisError.server(let refusal)? = error as? RedisError {
                        refusal.code == "CROSSSLOT"
                    } else {
                        false
                    }
                }
            }
        }
    }

    @Test("over TLS: every node by its port for that, the bus too, and nobody by who does not trust them")
    func secured() async throws {
        let directory = try ScratchDirectory.make("vireo-cluster-tls")
        let certificates = try await Certificates.make(in: directory)
        try await certificates.certify("server", for: "IP:127.0.0.1")
        let files = [
            "tls-ca-cert-file \(certificates.authority)", "tls-cert-file \(certificates.certificate("server"))",
            "tls-key-file \(certificates.key("server"))", "tls-auth-clients no",
        ]
        let servers = try await LocalClusterServers.start(
            directory: "\(directory)/nodes",
            replicas: false,
            password: "correct-horse",
            tls: files
        )
        let outcome: Result<Void, any Error>
        do {
            var trusting = try configuration(servers, password: "correct-horse")
            let doubting = trusting
            trusting.tls = RedisTLS(caFile: certificates.authority)
            try await with(trusting) { cluster, heard in
                #expect(await heard.next() == .began(session: 1))
                try await write(cluster, 100, "secret")
                #expect(try await values(cluster, 100).allSatisfy { $0 == "secret" })
                let publish = RedisCommand("SPUBLISH", key: Array("news".utf8), arguments: [Array("x".utf8)])
                #expect(try await cluster.send(publish).integer() == 1)
            }
            let cluster = RedisCluster(configuration: doubting, pinned: "news", logger: .silent)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await cluster.run() }
                await #expect(throws: RedisError.timeout) { try await cluster.waitUntilReady(timeout: .seconds(1)) }
                group.cancelAll()
                try await group.waitForAll()
            }
            outcome = .success(())
        } catch {
            outcome = .failure(error)
        }
        try await servers.stop()
        try ScratchDirectory.remove(directory)
        try outcome.get()
    }

    @Test("a slot that is moved while it is used loses no command, and the bus goes with its slot")
    func resharded() async throws {
        try await withServers { servers in
            let events = EventLog<RedisConnectionEvent>()
            try await with(try configuration(servers), events: events) { cluster, heard in
                #expect(await heard.next() == .began(session: 1))
                let slot = HashSlot(of: Array("news".utf8)).number
                let from = try #require(await servers.primary(of: slot))
                let to = try #require(servers.servers.prefix(3).first { $0.port != from.port })
                func talks(_ text: String) async throws -> Int64 {
                    try await cluster.send(
                        RedisCommand("SPUBLISH", key: Array("news".utf8), arguments: [Array(text.utf8)])
                    )
                    .integer()
                }
                func counts(_ key: String) async throws -> Int64 {
                    try await cluster.send(RedisCommand("INCR", key: Array(key.utf8))).integer()
                }
                #expect(try await talks("one") == 1)
                #expect(try await counts("{news}:a") == 1)
                // Half moved: what is there is found there, and what is gone or new is asked for at the other.
                let (source, target) = (await servers.id(of: from), await servers.id(of: to))
                #expect(await servers.ask(to, "CLUSTER SETSLOT \(slot) IMPORTING \(source)").hasPrefix("+OK"))
                #expect(await servers.ask(from, "CLUSTER SETSLOT \(slot) MIGRATING \(target)").hasPrefix("+OK"))
                #expect(try await counts("{news}:a") == 2)
                #expect(try await counts("{news}:b") == 1, "a new key goes to the importing node")
                let script = RedisScript("return redis.call('INCR', KEYS[1])")
                #expect(try await cluster.run(script, keys: [Array("{news}:b".utf8)]).integer() == 2)
                let moving = "MIGRATE 127.0.0.1 \(to.port) {news}:a 0 1000"
                #expect(await servers.ask(from, moving).hasPrefix("+OK"))
                #expect(try await counts("{news}:a") == 3)
                for server in [to, from] {
                    #expect(await servers.ask(server, "CLUSTER SETSLOT \(slot) NODE \(target)").hasPrefix("+OK"))
                }
                #expect(try await counts("{news}:a") == 4)
                #expect(try await counts("{news}:b") == 3)
                // Whoever listened at the old place is told so, and is at the new one.
                var isEnded = false
                while let event = await heard.next() {
                    if case .ended = event { isEnded = true }
                    if case .began = event { break }
                }
                #expect(isEnded)
                try await eventually { try await talks("two") == 1 }
                let sessions = events.all.compactMap { if case .connected(let session) = $0 { session } else { nil } }
                #expect(sessions == sessions.sorted() && sessions.count >= 2)
            }
        }
    }

    @Test("a primary that is killed ends the session, its replica begins one, and the old one comes back as a replica")
    func failedOver() async throws {
        try await withServers { servers in
            try await with(try configuration(servers)) { cluster, heard in
                #expect(await heard.next() == .began(session: 1))
                try await write(cluster, 100, "before")
                let first = try #require(cluster.session)
                let slot = HashSlot(of: Array("news".utf8)).number
                let primary = try #require(await servers.primary(of: slot))
                try await primary.kill()
                // Votes that come late on a busy machine are asked for again after eight seconds.
                try await eventually(within: .seconds(60)) { cluster.session.map { $0 > first } ?? false }
                // Not all nodes know at once that the cluster is whole.
                try await eventually {
                    do { try await write(cluster, 100, "after") } catch RedisError.server(let refusal) {
                        #expect(refusal.code == "CLUSTERDOWN")
                        return false
                    }
                    return true
                }
                #expect(try await values(cluster, 100).allSatisfy { $0 == "after" })
                var isEnded = false
                while let event = await heard.next() {
                    if case .ended = event { isEnded = true }
                    if case .began = event { break }
                }
                #expect(isEnded)
                try await eventually {
                    try await cluster.send(
                        RedisCommand("SPUBLISH", key: Array("news".utf8), arguments: [Array("x".utf8)])
                    ).integer() == 1
                }
                try await primary.restart(empty: false)
                try await eventually { await servers.ask(primary, "ROLE").contains("slave") }
                #expect(try await values(cluster, 100).allSatisfy { $0 == "after" })
            }
        }
    }

    @Test("a node that joins is found, and one that only knows of others is enough to start with")
    func grown() async throws {
        try await withServers { servers in
            var configuration = try configuration(servers)
            configuration.cluster = [RedisAddress(host: "127.0.0.1", port: servers.servers[5].port)]
            let begin = configuration
            let directory = try ScratchDirectory.make("vireo-cluster-more")
            let grown = try await servers.grown(directory: directory)
            let outcome: Result<Void, any Error>
            do {
                try await with(begin) { cluster, _ in
                    try await write(cluster, 100, "before")
                    let slot = HashSlot(of: Array("key:{1}".utf8)).number
                    let refusal = await grown.move(slot: slot, to: grown.servers[6])
                    #expect(refusal == nil)
                    try await eventually { cluster.shards.count == 4 && cluster.session != nil }
                    #expect(try await values(cluster, 100).allSatisfy { $0 == "before" })
                }
                outcome = .success(())
            } catch {
                outcome = .failure(error)
            }
            try await grown.servers[6].stop()
            try ScratchDirectory.remove(directory)
            try outcome.get()
        }
    }
}

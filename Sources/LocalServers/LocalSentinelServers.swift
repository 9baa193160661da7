/// A private primary with replicas, and sentinels that watch it, all on 127.0.0.1: for tests.
package struct LocalSentinelServers: Sendable {
    /// What the sentinels call the primary.
    package static let master = "vireo"

    /// Those that hold data; the first begins as the primary.
    package let servers: [LocalRedisServer]
    package let sentinels: [LocalRedisServer]
    private let password: String?
    private let sentinelPassword: String?

    /// Starts all of them and returns when every sentinel knows of every other and of every replica.
    ///
    /// A primary is given up after a second without an answer.
    package static func start(
        directory: String,
        replicas: Int = 2,
        sentinels count: Int = 3,
        password: String? = nil,
        sentinelPassword: String? = nil
    ) async throws(LocalServerError) -> LocalSentinelServers {
        var servers: [LocalRedisServer] = []
        var sentinels: [LocalRedisServer] = []
        do throws(LocalServerError) {
            var lines = ["repl-diskless-sync-delay 0"]
            if let password { lines.append("masterauth \(LocalRedisServer.quoted(password))") }
            for index in 0...replicas {
                let following = servers.first.map { ["replicaof 127.0.0.1 \($0.port)"] } ?? []
                servers.append(
                    try await LocalRedisServer.start(
                        directory: "\(directory)/server-\(index + 1)",
                        password: password,
                        configuration: lines + following
                    )
                )
            }
            let started = LocalSentinelServers(
                servers: servers,
                sentinels: [],
                password: password,
                sentinelPassword: sentinelPassword
            )
            // A sentinel asks a primary for its replicas when it begins, and then only every ten seconds.
            let joined = "connected_slaves:\(replicas)\r\n"
            try await started.until(servers[0], password, says: joined, to: "INFO replication")
            let watching = [
                "sentinel monitor \(master) 127.0.0.1 \(servers[0].port) \(count / 2 + 1)",
                "sentinel down-after-milliseconds \(master) 1000", "sentinel failover-timeout \(master) 3000",
            ]
            let secrets =
                (password.map { ["sentinel auth-pass \(master) \(LocalRedisServer.quoted($0))"] } ?? [])
                + (sentinelPassword.map { ["sentinel sentinel-pass \(LocalRedisServer.quoted($0))"] } ?? [])
            for index in 0..<count {
                sentinels.append(
                    try await LocalRedisServer.start(
                        directory: "\(directory)/sentinel-\(index + 1)",
                        password: sentinelPassword,
                        configuration: watching + secrets,
                        isSentinel: true
                    )
                )
            }
            for sentinel in sentinels {
                let known = "slaves=\(replicas),sentinels=\(count)"
                try await started.until(sentinel, sentinelPassword, says: known, to: "INFO sentinel")
            }
        } catch {
            for server in sentinels + servers { try await server.stop() }
            throw error
        }
        return LocalSentinelServers(
            servers: servers,
            sentinels: sentinels,
            password: password,
            sentinelPassword: sentinelPassword
        )
    }

    /// For VIREO_REDIS_URL, without the passwords.
    package var url: String {
        "redis+sentinel://\(self.sentinels.map { "127.0.0.1:\($0.port)" }.joined(separator: ","))/\(Self.master)"
    }

    /// The server that a sentinel names as the primary; nil while it names none of these.
    package func primary(by sentinel: Int = 0) async -> LocalRedisServer? {
        let question = "SENTINEL GET-MASTER-ADDR-BY-NAME \(Self.master)"
        let answer = await Self.ask(self.sentinels[sentinel], self.sentinelPassword, question)
        return self.servers.first { answer.hasSuffix("\r\n\($0.port)\r\n") }
    }

    /// Asks a sentinel for a fail-over though the primary is well; false: it refuses.
    package func failOver(by sentinel: Int = 0) async -> Bool {
        await Self.ask(self.sentinels[sentinel], self.sentinelPassword, "SENTINEL FAILOVER \(Self.master)")
            .hasSuffix("+OK\r\n")
    }

    /// Stops all of them, those that were killed or frozen as well.
    package func stop() async throws(LocalServerError) {
        for server in self.sentinels + self.servers { try await server.stop() }
    }

    private func until(
        _ server: LocalRedisServer,
        _ password: String?,
        says text: String,
        to question: String
    ) async throws(LocalServerError) {
        let limit = ContinuousClock.now + .seconds(30)
        while await !Self.ask(server, password, question).contains(text) {
            guard ContinuousClock.now < limit else {
                throw .didNotStart("redis-server", log: Files.tail("\(server.directory)/redis.log"))
            }
            do { try await Task.sleep(for: Patience.step * 10) } catch { throw .cancelled }
        }
    }

    /// The first bytes of the answer; empty where there is none.
    private static func ask(_ server: LocalRedisServer, _ password: String?, _ question: String) async -> String {
        let authentication = password.map { "AUTH \($0)\r\n" } ?? ""
        let request = "\(authentication)\(question)\r\n"
        return await Loopback.exchange(port: server.port, request: request, patience: .seconds(1)) ?? ""
    }
}

import Caching
import LocalServers
import Redis
import RedisAdapters

/// A client of a test's own on a Redis, with a cache under an incarnation that no other test has.
struct RedisSubject: Sendable {
    let client: RedisClient
    let cache: RedisSharedCache
    let namespace: RedisNamespace
    let incarnation: String

    func key(_ member: String = "ann", owner: String = "default") -> CacheKey {
        CacheKey(namespace: self.incarnation, owner: owner, member: member)
    }

    /// A command of a test's own.
    @discardableResult
    func send(_ name: String, _ arguments: String...) async throws -> RedisReply {
        try await self.client.send(RedisCommand(name, arguments: arguments.map { Array($0.utf8) }))
    }

    /// The name a key has in Redis.
    func name(_ key: CacheKey) -> String { "vireo:" + String(decoding: key.bytes, as: UTF8.self) }

    /// How long a key still lives, in milliseconds.
    func timeToLive(_ name: String) async throws -> Int64 { try await self.send("PTTL", name).integer() }

    func exists(_ key: CacheKey) async throws -> Bool { try await self.send("EXISTS", self.name(key)).integer() == 1 }

    /// Redis time in milliseconds.
    func now() async throws -> Int64 {
        let time = try await self.send("TIME").array()
        return try time[0].integer() * 1_000 + time[1].integer() / 1_000
    }
}

/// Runs the body on the shared Redis, or on one of the test's own.
func withRedis(
    on own: LocalRedisServer? = nil,
    node: String = "n1",
    commandTimeout: Duration = .seconds(30),
    _ body: (RedisSubject) async throws -> Void
) async throws {
    let server: LocalRedisServer
    if let own { server = own } else { server = try await Servers.redis }
    let client = RedisClient(configuration: server.configuration(commandTimeout), logger: .silent)
    let namespace = RedisNamespace(node: node)
    let incarnation = "test\(randomWord())"
    namespace.adopt(incarnation: incarnation)
    let subject = RedisSubject(
        client: client,
        cache: RedisSharedCache(client: client, namespace: namespace),
        namespace: namespace,
        incarnation: incarnation
    )
    try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await client.run() }
        try await client.waitUntilReady(timeout: .seconds(30))
        try await body(subject)
        group.cancelAll()
        try await group.waitForAll()
    }
}

/// Runs the body with a Redis that is gone afterwards: for tests that stop it, fill it or use its channels.
func withOwnRedisServer(_ body: (LocalRedisServer) async throws -> Void) async throws {
    let directory = try ScratchDirectory.make("vireo-integration-redis")
    let server = try await LocalRedisServer.start(directory: directory)
    do {
        try await body(server)
    } catch {
        try await server.stop()
        try ScratchDirectory.remove(directory)
        throw error
    }
    try await server.stop()
    try ScratchDirectory.remove(directory)
}

extension LocalRedisServer {
    func configuration(_ commandTimeout: Duration = .seconds(30)) -> RedisConfiguration {
        RedisConfiguration(
            port: self.port,
            connectTimeout: .seconds(10),
            commandTimeout: commandTimeout,
            backoff: RedisBackoff(initial: .milliseconds(5), maximum: .milliseconds(20))
        )
    }
}

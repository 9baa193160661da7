import LocalServers
import Logging
import NIOPosix
import Redis
import Synchronization

/// Runs the body with a private server that is gone afterwards.
func withServer(
    password: String? = nil,
    extraArguments: [String] = [],
    _ body: (LocalRedisServer) async throws -> Void
) async throws {
    let directory = try ScratchDirectory.make("vireo-redis-test")
    let server = try await LocalRedisServer.start(
        directory: directory,
        password: password,
        extraArguments: extraArguments
    )
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

/// Runs the body with a client that is ready.
func withClient(
    _ configuration: RedisConfiguration,
    events: EventLog<RedisConnectionEvent> = EventLog(),
    _ body: (RedisClient) async throws -> Void
) async throws {
    let client = RedisClient(configuration: configuration, logger: .silent) { events.append($0) }
    try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await client.run() }
        try await client.waitUntilReady(timeout: .seconds(10))
        try await body(client)
        group.cancelAll()
        try await group.waitForAll()
    }
}

/// Runs the body with a subscription.
func withSubscription(
    _ subscription: RedisSubscription,
    _ body: (inout RedisSubscriptionEvents.AsyncIterator) async throws -> Void
) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await subscription.run() }
        var events = subscription.events.makeAsyncIterator()
        try await body(&events)
        group.cancelAll()
        try await group.waitForAll()
    }
}

extension LocalRedisServer {
    /// Patient with a busy machine, quick to reconnect.
    func configuration(commandTimeout: Duration = .seconds(10)) -> RedisConfiguration {
        RedisConfiguration(
            port: port,
            connectTimeout: .milliseconds(500),
            commandTimeout: commandTimeout,
            backoff: RedisBackoff(initial: .milliseconds(5), maximum: .milliseconds(20))
        )
    }
}

/// What happened, in order.
final class EventLog<Event: Sendable>: Sendable {
    private let events = Mutex<[Event]>([])

    var all: [Event] { events.withLock { $0 } }

    func append(_ event: Event) { events.withLock { $0.append(event) } }
}

struct NeverHappened: Error {}

/// Waits, for a bounded time, until something that has no event of its own holds.
func eventually(within patience: Duration = .seconds(20), _ condition: () async throws -> Bool) async throws {
    let limit = ContinuousClock.now + patience
    while try await !condition() {
        guard ContinuousClock.now < limit else { throw NeverHappened() }
        try await Task.sleep(for: .milliseconds(2))
    }
}

extension Logger {
    static let silent = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
}

/// Keeps every line as text.
struct TextLogHandler: LogHandler {
    let lines: EventLog<String>
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.trace

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        lines.append("\(event.level) \(event.message) \(event.metadata ?? [:])")
    }
}

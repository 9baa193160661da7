public import Logging
import Metrics
public import NIOCore
public import NIOPosix
public import ServiceLifecycle
import Synchronization

/// A client that keeps one connection to one Redis server and pipelines the commands of all tasks over it.
///
/// With sentinels the server is the primary that they name; a connection ends when it is not the primary any more, and a
/// server that refuses a single command with READONLY has said so itself.
///
/// `run()` connects, and connects again after each loss, until the service is shut down. Each connection is a *session*
/// with a number of its own, greater than all before. Commands fail at once while there is none; nothing is sent twice.
///
/// There is one deadline per connection: when the oldest command is older than the command timeout, the connection is
/// closed, that command fails with `timeout` and the younger ones with `connectionLost`. Where that happens in a row, a new
/// connection is not ready before it has answered in time (`ConnectionBreaker`).
public final class RedisClient: Service, RedisCommands, Sendable {
    /// How the server is reached.
    public let configuration: RedisConfiguration
    private let connector: Connector
    private let logger: Logger
    private let clock: any Clock<Duration>
    private let onEvent: @Sendable (RedisConnectionEvent) -> Void
    private let state = Mutex(RedisClientState<CommandConnection, ReadyWaiter>())
    private let breaker = Mutex(ConnectionBreaker())
    private let metrics: RedisMetrics
    private let commandTimeout: TimeAmount

    /// Between two answers that a connection owes.
    private static let probeInterval = Duration.milliseconds(50)

    typealias ReadyWaiter = CheckedContinuation<Result<UInt64, RedisError>, Never>

    /// Makes a client; it connects when `run()` is called.
    ///
    /// `primary` follows the sentinels or the cluster of the configuration, and is run by the caller; nil where it names none.
    /// `onEvent` is called in order, one call at a time, and must not block. A `disconnected` comes before any command
    /// fails because of it, and after `session` has become nil.
    public init(
        configuration: RedisConfiguration,
        primary: (any RedisPrimarySource)? = nil,
        eventLoopGroup: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton,
        logger: Logger = Logger(label: "redis"),
        clock: any Clock<Duration> = ContinuousClock(),
        onEvent: @escaping @Sendable (RedisConnectionEvent) -> Void = { _ in }
    ) {
        self.configuration = configuration
        self.connector = Connector(configuration: configuration, primary: primary, group: eventLoopGroup)
        self.metrics = RedisMetrics(configuration.isSentinel ? .sentinel : .commands)
        self.logger = logger
        self.clock = clock
        self.onEvent = onEvent
        self.commandTimeout = TimeAmount(configuration.commandTimeout)
    }

    /// The number of the current connection, nil from the moment it is lost.
    public var session: UInt64? {
        state.withLock { $0.connection }.flatMap { $0.isOpen ? $0.session : nil }
    }

    /// Itself: there is no other.
    public var shards: [RedisShard] { [RedisShard(tag: nil)] }

    /// Sends a command and returns its reply with the session it went over.
    public func sendReportingSession(
        _ command: RedisCommand,
        session: UInt64?
    ) async throws(RedisError) -> (reply: RedisReply, session: UInt64) {
        do throws(RedisError) {
            let connection = try connection(of: session)
            metrics.commands.increment()
            let reply = try await connection.execute(command, timeout: commandTimeout).get()
            return (try checked(reply, on: connection), connection.session)
        } catch {
            metrics.failed(with: error)
            throw error
        }
    }

    /// Sends commands in one write and returns their replies with the session they went over.
    public func pipelineReportingSession(
        _ commands: [RedisCommand],
        session: UInt64?
    ) async throws(RedisError) -> (replies: [RedisReply], session: UInt64) {
        do throws(RedisError) {
            let connection = try connection(of: session)
            metrics.commands.increment(by: commands.count)
            return (try await connection.execute(commands, timeout: commandTimeout).get(), connection.session)
        } catch {
            metrics.failed(with: error)
            throw error
        }
    }

    /// Waits until there is a connection and returns its session.
    ///
    /// Throws `timeout` when there is none in time.
    @discardableResult
    public func waitUntilReady(timeout: Duration) async throws(RedisError) -> UInt64 {
        let id = state.withLock { $0.reserveWaiter() }
        let deadline = connector.group.next().scheduleTask(in: TimeAmount(timeout)) { [self] in
            giveUp(waiter: id, with: .timeout)
        }
        defer { deadline.cancel() }
        return try await withTaskCancellationHandler {
            await withCheckedContinuation { (continuation: ReadyWaiter) in
                let answer = state.withLock { $0.waiterAdded(continuation, id: id) }
                if let answer {
                    continuation.resume(returning: Task.isCancelled ? .failure(.cancelled) : answer)
                }
            }
        } onCancel: {
            giveUp(waiter: id, with: .cancelled)
        }.get()
    }

    /// Keeps the connection until graceful shutdown or cancellation; then the commands under way may still end.
    public func run() async throws {
        guard state.withLock({ $0.runBegan() }) else { throw RedisError.alreadyRunning }
        await cancelWhenGracefulShutdown { await self.keepConnected() }
        for waiter in state.withLock({ $0.runEnded() }) { waiter.resume(returning: .failure(.notConnected)) }
    }

    private func connection(of session: UInt64?) throws(RedisError) -> CommandConnection {
        guard let connection = state.withLock({ $0.connection }) else { throw .notConnected }
        guard session == nil || session == connection.session else { throw .sessionChanged }
        return connection
    }

    private func checked(_ reply: RedisReply, on connection: CommandConnection) throws(RedisError) -> RedisReply {
        guard case .error(let refusal) = reply else { return reply }
        if refusal.isFromReplica { connector.denied(by: connection.hold) }
        throw .server(refusal)
    }

    private func giveUp(waiter id: UInt64, with error: RedisError) {
        state.withLock { $0.waiterGaveUp(id: id) }?.resume(returning: .failure(error))
    }

    private func keepConnected() async {
        var failures = 0
        var generator = SystemRandomNumberGenerator()
        while !Task.isCancelled {
            do throws(ConnectFailure) {
                let connection = try await connect()
                failures = 0
                await withTaskCancellationHandler {
                    await connection.untilClosed()
                } onCancel: {
                    connection.drain()
                }
                connector.release(connection.hold)
            } catch {
                if Task.isCancelled { return }
                logger.log(
                    level: failures == 0 ? .warning : .debug,
                    "no connection to Redis",
                    metadata: ["reason": "\(error.reason)", "host": "\(configuration.target)"]
                )
                failures += 1
                onEvent(.connectFailed(reason: error.reason))
            }
            let pause = configuration.backoff.pause(afterFailures: max(failures - 1, 0), using: &generator)
            do { try await clock.sleep(for: pause) } catch { return }
        }
    }

    private func connect() async throws(ConnectFailure) -> CommandConnection {
        let session = state.withLock { $0.nextSession() }
        let connection = try await connector.connect { [self] channel, hold in
            CommandConnection(
                session: session,
                hold: hold,
                channel: channel,
                maxQueued: configuration.maxQueued,
                maxQueuedBytes: configuration.maxQueuedBytes,
                metrics: metrics,
                onLoss: { [self] in connectionLost($0, $1) }
            )
        }
        connection.hold?.closes { connection.abandon($0) }
        // PING goes last: a server that still loads its data refuses it.
        let steps = configuration.handshake + [HandshakeStep(name: "PING", command: RedisCommand("PING"))]
        let bound = TimeAmount(configuration.connectTimeout)
        switch await connection.execute(steps.map(\.command), timeout: bound) {
        case .failure(let error):
            try await abandon(connection, Self.loss(in: error, on: connection))
        case .success(let replies):
            for (step, reply) in zip(steps, replies) {
                guard let refusal = step.refusal(in: reply) else { continue }
                if refusal == .notPrimary { connector.denied(by: connection.hold) }
                try await abandon(connection, refusal)
            }
        }
        try await prove(connection)
        // On its event loop, where losses are handled, so that `connected` comes before `disconnected`.
        let becameReady = connection.eventLoop.submit { [self] in connectionBecameReady(connection) }
        guard (try? await becameReady.get()) == true else { try await abandon(connection, .closedByServer) }
        return connection
    }

    /// Has a connection answer as often as the breaker wants, one probe at a time.
    private func prove(_ connection: CommandConnection) async throws(ConnectFailure) {
        for _ in 0..<breaker.withLock({ $0.probes }) {
            if case .failure(let error) = await connection.execute(RedisCommand("PING"), timeout: commandTimeout) {
                metrics.probesFailed.increment()
                try await abandon(connection, Self.loss(in: error, on: connection))
            }
            metrics.probesAnswered.increment()
            do { try await clock.sleep(for: Self.probeInterval) } catch { try await abandon(connection, .shutdown) }
        }
    }

    private static func loss(in error: RedisError, on connection: CommandConnection) -> RedisConnectionLoss {
        switch error {
        case .connectionLost(let reason): reason
        case .timeout: .handshakeTimeout
        case .cancelled: .shutdown
        // It may have been lost before the first command was sent: that says why.
        default: connection.loss ?? .closedByServer
        }
    }

    private func abandon(
        _ connection: CommandConnection,
        _ reason: RedisConnectionLoss
    ) async throws(ConnectFailure) -> Never {
        connection.abandon(reason)
        await connection.untilClosed()
        connector.release(connection.hold)
        throw ConnectFailure(reason: reason)
    }

    private func connectionBecameReady(_ connection: CommandConnection) -> Bool {
        guard connection.isOpen else { return false }
        let (waiters, isFirst) = state.withLock { $0.connectionBecameReady(connection, session: connection.session) }
        if !isFirst { metrics.reconnects.increment() }
        breaker.withLock { $0.connected(at: .now) }
        metrics.breakerOpen.record(0)
        logger.info("connected to Redis", metadata: ["session": "\(connection.session)"])
        onEvent(.connected(session: connection.session))
        for waiter in waiters { waiter.resume(returning: .success(connection.session)) }
        return true
    }

    private func connectionLost(_ connection: CommandConnection, _ reason: RedisConnectionLoss) {
        // One that never became ready is reported by `connect()`.
        guard state.withLock({ $0.connectionLost(session: connection.session) }) else { return }
        metrics.losses.increment()
        let isOpen = breaker.withLock { breaker in
            breaker.lost(byTimeout: reason == .commandTimeout, at: .now)
            return breaker.isOpen
        }
        metrics.breakerOpen.record(isOpen ? 1 : 0)
        logger.log(
            level: reason == .shutdown ? .info : .warning,
            "connection to Redis ended",
            metadata: ["session": "\(connection.session)", "reason": "\(reason)"]
        )
        onEvent(.disconnected(session: connection.session, reason: reason))
    }
}

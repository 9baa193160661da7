public import Logging
import Metrics
public import NIOCore
public import NIOPosix
public import ServiceLifecycle
import Synchronization

/// A client that keeps one connection to each node of a Redis Cluster and sends each command to the primary that has its key.
///
/// `run()` asks all nodes every second who has which slots, and at once when one of them sends a command elsewhere; of two
/// claims to a slot the one of the higher epoch holds, as it does among the nodes. A session is one connection to each
/// primary, with every slot owned: while a primary is missing there is none, just as a cluster itself, unless it is told
/// otherwise, takes nothing while a slot is nobody's.
///
/// A command that a node redirects (MOVED, ASK) has not run, and is sent once more, to where it was told. A command without a
/// key goes to every node; the reply is that of one of them. What is sent at once is in no order among primaries.
///
/// Source: Redis Cluster specification.
public final class RedisCluster: Service, RedisCommands, Sendable {
    /// How the nodes are reached.
    public let configuration: RedisConfiguration
    private let pinned: ClusterPrimary
    private let onEvent: @Sendable (RedisConnectionEvent) -> Void
    private let state: Mutex<ClusterState<ClusterNode>>
    /// Held while what a transition asks for is done, so that it is done in the order of the transitions.
    private let ordering = Mutex(())
    private let starting: (stream: AsyncStream<ClusterNode>, continuation: AsyncStream<ClusterNode>.Continuation)
    private let hasRun = Atomic(false)
    private let logger: Logger
    private let redirections = Counter(label: "redis_cluster_redirections")
    private let changes = Counter(label: "redis_cluster_changes")

    /// Makes a client; it connects when `run()` is called.
    ///
    /// - Parameters:
    ///   - pinned: A tag; the shard that has its slot is told by it, and ``primary`` follows that one.
    ///   - onEvent: Called in order, one call at a time, and must neither block nor call this client. A `disconnected` comes
    ///     before any command fails because of it, and after `session` has become nil.
    public init(
        configuration: RedisConfiguration,
        pinned: String,
        eventLoopGroup: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton,
        logger: Logger = Logger(label: "redis"),
        onEvent: @escaping @Sendable (RedisConnectionEvent) -> Void = { _ in }
    ) {
        precondition(!configuration.cluster.isEmpty, "at least one node is named")
        self.configuration = configuration
        self.onEvent = onEvent
        self.logger = logger
        self.starting = AsyncStream.makeStream()
        let box = WeakCluster()
        self.pinned = ClusterPrimary(patience: configuration.connectTimeout) { box.cluster?.askSoon() }
        self.state = Mutex(
            ClusterState(seeds: configuration.cluster, pinned: pinned) { id in
                ClusterNode(
                    id,
                    configuration.node(at: id.address),
                    group: eventLoopGroup,
                    logger: logger,
                    onEvent: { box.cluster?.heard($1, from: $0) },
                    answered: { id, view in box.cluster?.change { $0.answered(id, view) } }
                )
            }
        )
        box.fill(self)
    }

    /// Follows the primary that has the slot of the pinned tag: for a subscription to its channels.
    public var primary: any RedisPrimarySource { pinned }

    /// The number of the current session, nil while a primary is missing.
    public var session: UInt64? { state.withLock { $0.session } }

    /// The primaries, that of the pinned tag first.
    public var shards: [RedisShard] { state.withLock { $0.shards } }

    /// Keeps the connections until graceful shutdown or cancellation; then the commands under way may still end.
    public func run() async throws {
        guard !hasRun.exchange(true, ordering: .relaxed) else { throw RedisError.alreadyRunning }
        await cancelWhenGracefulShutdown {
            await withDiscardingTaskGroup { group in
                self.change { $0.began() }
                for await node in self.starting.stream { group.addTask { await node.run() } }
                group.cancelAll()
            }
        }
    }

    /// Waits until there is a session and returns it.
    ///
    /// Throws `timeout` when there is none in time.
    @discardableResult
    public func waitUntilReady(timeout: Duration) async throws(RedisError) -> UInt64 {
        let limit = ContinuousClock.now + timeout
        while true {
            if let session { return session }
            guard ContinuousClock.now < limit else { throw .timeout }
            do { try await Task.sleep(for: .milliseconds(10)) } catch { throw .cancelled }
        }
    }

    // MARK: Commands

    /// Sends a command to the primary that has its key, or to every node.
    public func sendReportingSession(
        _ command: RedisCommand,
        session: UInt64?
    ) async throws(RedisError) -> (reply: RedisReply, session: UInt64) {
        let (replies, session) = try await pipelineReportingSession([command], session: session)
        return (try replies[0].checked(), session)
    }

    /// Sends commands, to each primary its part in one write.
    public func pipelineReportingSession(
        _ commands: [RedisCommand],
        session: UInt64?
    ) async throws(RedisError) -> (replies: [RedisReply], session: UInt64) {
        var replies = [RedisReply](repeating: .null, count: commands.count)
        var parts: [Int: (place: ClusterState<ClusterNode>.Place, positions: [Int])] = [:]
        // All of one session, whichever it is.
        guard let current = session ?? self.session else { throw .notConnected }
        for (position, command) in commands.enumerated() {
            guard let slot = command.slot else {
                // Ahead of those with a key: a script is loaded before it is called.
                replies[position] = try await sendToAll(command)
                continue
            }
            let place = try state.withLock { state throws(RedisError) in try state.place(of: slot, session: current) }
            parts[place.index, default: (place, [])].positions.append(position)
        }
        for (positions, result) in await send(commands, Array(parts.values)) {
            for (position, reply) in zip(positions, try result.get()) {
                replies[position] = try await following(reply, to: commands[position])
            }
        }
        return (replies, current)
    }

    private typealias Answers = (positions: [Int], result: Result<[RedisReply], RedisError>)

    /// To each primary its part.
    private func send(
        _ commands: [RedisCommand],
        _ parts: [(place: ClusterState<ClusterNode>.Place, positions: [Int])]
    ) async -> [Answers] {
        @Sendable func answers(_ place: ClusterState<ClusterNode>.Place, _ positions: [Int]) async -> Answers {
            do throws(RedisError) {
                let own = positions.map { commands[$0] }
                let replies = try await place.client.client.pipeline(own, session: place.connection)
                return (positions, .success(replies))
            } catch {
                return (positions, .failure(error))
            }
        }
        if parts.count == 1 { return [await answers(parts[0].place, parts[0].positions)] }
        return await withTaskGroup(of: Answers.self) { group in
            for part in parts { group.addTask { await answers(part.place, part.positions) } }
            return await group.reduce(into: []) { $0.append($1) }
        }
    }

    /// The reply, or, where it names another node, that one's.
    private func following(_ reply: RedisReply, to command: RedisCommand) async throws(RedisError) -> RedisReply {
        guard case .error(let refusal) = reply, let (address, isForOne) = refusal.redirection else { return reply }
        redirections.increment()
        askSoon()
        // Who is not connected yet soon will be; until then it is as if a primary were missing.
        guard let node = state.withLock({ $0.client(at: address) }) else { throw .notConnected }
        guard isForOne else { return try await node.client.pipeline([command])[0] }
        return try await node.client.pipeline([RedisCommand("ASKING"), command])[1]
    }

    private func sendToAll(_ command: RedisCommand) async throws(RedisError) -> RedisReply {
        let nodes = state.withLock { $0.connected }
        let results = await withTaskGroup(of: Result<RedisReply, RedisError>.self) { group in
            for node in nodes {
                group.addTask {
                    do throws(RedisError) { return .success(try await node.client.send(command)) } catch {
                        return .failure(error)
                    }
                }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        for case .success(let reply) in results { return reply }
        guard let failed = results.first else { throw .notConnected }
        return try failed.get()
    }

    // MARK: Nodes

    private func askSoon() {
        for node in state.withLock({ $0.connected }) { node.ask() }
    }

    private func heard(_ event: RedisConnectionEvent, from id: ClusterNodeID) {
        switch event {
        case .connected(let connection): change { $0.connected(id, connection: connection) }
        case .disconnected(_, let reason):
            change(reason) { $0.lost(id) }
            askSoon()
        case .connectFailed: askSoon()
        }
    }

    private func change(
        _ reason: RedisConnectionLoss = .primaryMoved,
        _ transition: (inout ClusterState<ClusterNode>) -> ClusterState<ClusterNode>.Effects
    ) {
        ordering.withLock { _ in
            let effects = state.withLock { transition(&$0) }
            if let ended = effects.ended {
                logger.warning("the cluster is not whole", metadata: ["session": "\(ended)", "reason": "\(reason)"])
                onEvent(.disconnected(session: ended, reason: reason))
            }
            if let moved = effects.moved { pinned.moved(to: moved) }
            if let began = effects.began {
                changes.increment()
                logger.info("connected to every primary of the cluster", metadata: ["session": "\(began)"])
                onEvent(.connected(session: began))
            }
            for node in effects.stopped { node.stop() }
            for node in effects.started { starting.continuation.yield(node) }
        }
    }
}

/// Follows the primary of one slot.
final class ClusterPrimary: RedisPrimarySource {
    private let patience: Duration
    private let ask: @Sendable () -> Void
    private let term = Mutex(PrimaryTerm<PrimaryHold>())

    init(patience: Duration, ask: @escaping @Sendable () -> Void) {
        self.patience = patience
        self.ask = ask
    }

    func moved(to address: RedisAddress) {
        for hold in term.withLock({ $0.moved(to: address) }) ?? [] { hold.end(.primaryMoved) }
    }

    func hold() async throws(ConnectFailure) -> PrimaryHold {
        let limit = ContinuousClock.now + patience
        while true {
            if let hold = term.withLock({ $0.began(PrimaryHold.init) }) { return hold }
            guard ContinuousClock.now < limit, !Task.isCancelled else {
                throw ConnectFailure(reason: .noPrimary(.noNodeAnswers))
            }
            do { try await Task.sleep(for: .milliseconds(5)) } catch { continue }
        }
    }

    func release(_ hold: PrimaryHold) {
        term.withLock { $0.ended(hold) }
    }

    func denied(by hold: PrimaryHold) {
        for hold in term.withLock({ $0.denied(by: hold) }) { hold.end(.notPrimary) }
        ask()
    }

    func askSoon() { ask() }
}

/// The cluster, for callbacks that are made before it and may outlive it.
private final class WeakCluster: Sendable {
    /// Unchecked, as a weak reference is a variable: it is only touched under the lock.
    private struct Reference: @unchecked Sendable { weak var cluster: RedisCluster? }

    private let reference = Mutex(Reference())
    var cluster: RedisCluster? { reference.withLock { $0.cluster } }
    func fill(_ cluster: RedisCluster) { reference.withLock { $0.cluster = cluster } }
}

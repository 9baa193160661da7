public import Logging
import Metrics
public import NIOCore
public import NIOPosix
public import ServiceLifecycle
import Synchronization

/// A subscription to fixed channels on a connection of its own.
///
/// `run()` connects, subscribes, and does it again after each loss; each time is a *session* with a number of its own,
/// greater than all before. Everything that happens is told through `events`, in the order of the wire, to one
/// consumer. What waits for the consumer is bounded: when it is too much, the connection is closed, so the consumer
/// sees `ended` instead of a gap. A new connection is made only when the consumer has taken that `ended`.
///
/// The loss of a session is visible at once and not only when the consumer gets to it: first `currentSession` becomes
/// nil, then `onEnd` is called, then `ended` is put into `events`.
public final class RedisSubscription: Service, Sendable {
    /// The channels, each once.
    public let channels: [String]
    private let configuration: RedisConfiguration
    private let connector: Connector
    private let logger: Logger
    private let clock: any Clock<Duration>
    private let onEnd: @Sendable (_ session: UInt64, _ reason: RedisConnectionLoss) -> Void
    private let shared: Mutex<Shared>
    private let metrics: RedisMetrics
    private let words: SubscriptionWords

    private struct Shared {
        var state: SubscriptionState<Consumer>
        var connection: SubscriptionConnection?
        /// Closes the connection while it is not confirmed.
        var handshakeDeadline: Scheduled<Void>?
        var lastSession: UInt64 = 0
        var lastLoss: (reason: RedisConnectionLoss, wasLive: Bool)?
        var hasRun = false
        var hasBegun = false
        /// The run loop, while it waits for the consumer to take `ended`.
        var drainWaiter: CheckedContinuation<Void, Never>?

        mutating func takeDrainWaiter() -> CheckedContinuation<Void, Never>? {
            state.isDrained ? drainWaiter.take() : nil
        }
    }

    typealias Consumer = CheckedContinuation<RedisSubscriptionEvent?, Never>

    /// Makes a subscription; it connects when `run()` is called.
    ///
    /// `primary` follows the sentinels or the cluster of the configuration, and is run by the caller; nil where it names none.
    /// With `isSharded` the channels, which must be of one slot, are those of the cluster's part that `primary` names.
    /// `onEnd` is called on the thread that noticed the loss, which for `reset(reason:)` is the caller's, and must not
    /// block.
    public init(
        configuration: RedisConfiguration,
        primary: (any RedisPrimarySource)? = nil,
        channels: [String],
        isSharded: Bool = false,
        bufferLimit: RedisSubscriptionBufferLimit = RedisSubscriptionBufferLimit(),
        eventLoopGroup: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton,
        logger: Logger = Logger(label: "redis"),
        clock: any Clock<Duration> = ContinuousClock(),
        onEnd: @escaping @Sendable (_ session: UInt64, _ reason: RedisConnectionLoss) -> Void = { _, _ in }
    ) {
        precondition(!channels.isEmpty, "a subscription has at least one channel")
        // By bytes: to Redis, texts that Swift calls equal may be different channels.
        var seen: Set<[UInt8]> = []
        self.channels = channels.filter { seen.insert(Array($0.utf8)).inserted }
        self.configuration = configuration
        self.connector = Connector(configuration: configuration, primary: primary, group: eventLoopGroup)
        self.metrics = RedisMetrics(configuration.isSentinel ? .sentinel : .subscription)
        self.logger = logger
        self.clock = clock
        self.onEnd = onEnd
        self.words = isSharded ? .sharded : .plain
        self.shared = Mutex(Shared(state: SubscriptionState(limit: bufferLimit, words: words)))
    }

    /// The session that is confirmed and not lost; nil from the moment of the loss.
    public var currentSession: UInt64? { shared.withLock { $0.state.currentSession } }

    /// What happens, for one consumer; ends when `run()` has ended and all is taken.
    public var events: RedisSubscriptionEvents { RedisSubscriptionEvents(subscription: self) }

    /// Ends the current connection, so that a new session begins.
    ///
    /// Does nothing while there is none.
    public func reset(reason: String) {
        shared.withLock { $0.connection }?.close(.reset(reason))
    }

    /// Keeps the subscription until graceful shutdown or cancellation.
    public func run() async throws {
        let isFirst = shared.withLock { shared in
            defer { shared.hasRun = true }
            return !shared.hasRun
        }
        guard isFirst else { throw RedisError.alreadyRunning }
        await cancelWhenGracefulShutdown { await self.keepSubscribed() }
        shared.withLock { $0.state.finished() }?.resume(returning: nil)
    }

    func nextEvent() async -> RedisSubscriptionEvent? {
        await withTaskCancellationHandler {
            await withCheckedContinuation { (consumer: Consumer) in
                let (answer, drainWaiter) = shared.withLock { shared in
                    Task.isCancelled
                        ? (.end, nil) : (shared.state.consumerCame(consumer), shared.takeDrainWaiter())
                }
                switch answer {
                case .event(let event): consumer.resume(returning: event)
                case .end: consumer.resume(returning: nil)
                case .wait: break
                }
                drainWaiter?.resume()
            }
        } onCancel: {
            shared.withLock { $0.state.consumerGaveUp() }?.resume(returning: nil)
        }
    }

    private func keepSubscribed() async {
        var failures = 0
        var generator = SystemRandomNumberGenerator()
        while !Task.isCancelled {
            let loss = await keepSubscribedOnce()
            if Task.isCancelled { return }
            logger.log(
                level: failures == 0 ? .warning : .debug,
                loss.wasLive ? "subscription to Redis ended" : "no subscription to Redis",
                metadata: ["reason": "\(loss.reason)", "host": "\(configuration.target)"]
            )
            failures = loss.wasLive ? 0 : failures + 1
            await untilEndIsTaken()
            let pause = configuration.backoff.pause(afterFailures: max(failures - 1, 0), using: &generator)
            do { try await clock.sleep(for: pause) } catch { return }
        }
    }

    /// Connects, subscribes, and returns when the connection is lost.
    private func keepSubscribedOnce() async -> (reason: RedisConnectionLoss, wasLive: Bool) {
        let session = shared.withLock { shared in
            shared.lastSession += 1
            return shared.lastSession
        }
        let connection: SubscriptionConnection
        do throws(ConnectFailure) {
            connection = try await connector.connect { [self] channel, hold in
                SubscriptionConnection(
                    session: session,
                    hold: hold,
                    channel: channel,
                    onReplies: { [self] in repliesReceived($0, $1) },
                    onLoss: { [self] in connectionLost($0, $1) }
                )
            }
        } catch {
            return (error.reason, false)
        }
        subscribe(on: connection)
        connection.hold?.closes { connection.close($0) }
        await withTaskCancellationHandler {
            await connection.untilClosed()
        } onCancel: {
            connection.close(.shutdown)
        }
        // It may have closed before it was known here.
        connection.connectionLost(.closedByServer)
        connector.release(connection.hold)
        return shared.withLock { $0.lastLoss } ?? (.closedByServer, false)
    }

    private func subscribe(on connection: SubscriptionConnection) {
        let handshake = configuration.handshake
        var command = RedisCommand(words.command, capacity: channels.reduce(64) { $0 + $1.utf8.count + 16 })
        for channel in channels { command.append(channel) }
        let deadline = connection.close(.handshakeTimeout, after: configuration.connectTimeout)
        shared.withLock { shared in
            shared.connection = connection
            shared.handshakeDeadline = deadline
            shared.state.subscribeSent(
                session: connection.session,
                steps: handshake,
                channels: Set(channels.map { Array($0.utf8) })
            )
        }
        connection.send(handshake.map(\.command) + [command])
    }

    private func repliesReceived(_ connection: SubscriptionConnection, _ replies: [RedisReply]) {
        var delivery: SubscriptionState<Consumer>.Delivery?
        var closing: RedisConnectionLoss?
        var handshakeDeadline: Scheduled<Void>?
        var isReconnect = false
        shared.withLock { shared in
            for reply in replies {
                switch shared.state.replyReceived(reply, session: connection.session, delivery: &delivery) {
                case .carryOn: continue
                case .began:
                    handshakeDeadline = shared.handshakeDeadline.take()
                    isReconnect = shared.hasBegun
                    shared.hasBegun = true
                case .close(let reason):
                    closing = reason
                    return
                }
            }
        }
        handshakeDeadline?.cancel()
        if isReconnect { metrics.reconnects.increment() }
        metrics.messages.increment(by: replies.count)
        if let delivery { delivery.consumer.resume(returning: delivery.event) }
        guard let closing else { return }
        if closing.isAboutPlace { connector.denied(by: connection.hold) }
        connection.close(closing)
    }

    private func connectionLost(_ connection: SubscriptionConnection, _ reason: RedisConnectionLoss) {
        let (ended, handshakeDeadline) = shared.withLock { shared -> (UInt64?, Scheduled<Void>?) in
            guard shared.connection === connection else { return (nil, nil) }
            shared.connection = nil
            let ended = shared.state.lossBegan(session: connection.session, reason: reason)
            shared.lastLoss = (reason, ended != nil)
            return (ended, shared.handshakeDeadline.take())
        }
        handshakeDeadline?.cancel()
        guard let ended else { return }
        metrics.losses.increment()
        onEnd(ended, reason)
        var delivery: SubscriptionState<Consumer>.Delivery?
        let drainWaiter = shared.withLock { shared in
            shared.state.lossCompleted(delivery: &delivery)
            return shared.takeDrainWaiter()
        }
        if let delivery { delivery.consumer.resume(returning: delivery.event) }
        drainWaiter?.resume()
    }

    private func untilEndIsTaken() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { (waiter: CheckedContinuation<Void, Never>) in
                let isDone = shared.withLock { shared in
                    if Task.isCancelled || shared.state.isDrained { return true }
                    shared.drainWaiter = waiter
                    return false
                }
                if isDone { waiter.resume() }
            }
        } onCancel: {
            shared.withLock { $0.drainWaiter.take() }?.resume()
        }
    }
}

/// The events of a subscription, for one consumer.
public struct RedisSubscriptionEvents: AsyncSequence, Sendable {
    /// What happened.
    public typealias Element = RedisSubscriptionEvent
    /// Nothing: a loss is an event.
    public typealias Failure = Never

    fileprivate let subscription: RedisSubscription

    /// Makes the iterator of the one consumer.
    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(subscription: subscription) }

    /// Takes the events one after the other.
    public struct AsyncIterator: AsyncIteratorProtocol {
        fileprivate let subscription: RedisSubscription

        /// The next event; nil at the end and when the task is cancelled.
        public mutating func next() async -> RedisSubscriptionEvent? {
            await subscription.nextEvent()
        }

        /// The next event; nil at the end and when the task is cancelled.
        public mutating func next(isolation actor: isolated (any Actor)?) async -> RedisSubscriptionEvent? {
            await subscription.nextEvent()
        }
    }
}

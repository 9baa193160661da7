public import Logging
import Metrics
public import NIOCore
public import NIOPosix
public import ServiceLifecycle
import Synchronization

/// Knows, from the sentinels, which server is the primary, and ends the connections to one that is it no more.
///
/// All clients and subscriptions that belong together share one, so that none stays behind on another server. `run()` keeps
/// two connections to each sentinel: one asks (`SENTINEL GET-MASTER-ADDR-BY-NAME` and `SENTINEL MASTER`) every second, when a
/// connection to the primary fails, and when the other one hears `+switch-master`. A connection counts only once the server
/// itself has said, by `ROLE`, that it is a primary.
///
/// While no sentinel answers, the primary that was known last stays.
public final class RedisPrimary: Service, RedisPrimarySource, Sendable {
    private static let interval = Duration.seconds(1)

    private let sentinels: RedisSentinels
    private let connectTimeout: Duration
    private let group: any EventLoopGroup
    private let logger: Logger
    private let clock: any Clock<Duration>
    private let state: Mutex<PrimaryState<PrimaryHold>>
    private let hasRun = Atomic(false)
    /// One a sentinel: it is to be asked now.
    private let asking: [(stream: AsyncStream<Void>, continuation: AsyncStream<Void>.Continuation)]
    private let changes = Counter(label: "redis_primary_changes")

    /// Knows nothing before `run()` is called.
    ///
    /// - Parameter connectTimeout: Bound of connecting to a sentinel, and of the wait for the first answer.
    public init(
        sentinels: RedisSentinels,
        connectTimeout: Duration = .seconds(1),
        eventLoopGroup: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton,
        logger: Logger = Logger(label: "redis"),
        clock: any Clock<Duration> = ContinuousClock()
    ) {
        precondition(!sentinels.addresses.isEmpty, "at least one sentinel is named")
        self.sentinels = sentinels
        self.connectTimeout = connectTimeout
        self.group = eventLoopGroup
        self.logger = logger
        self.clock = clock
        self.state = Mutex(PrimaryState(sentinels: sentinels.addresses.count))
        self.asking = sentinels.addresses.map { _ in AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1)) }
    }

    /// Where the primary listens; nil while no sentinel has named one.
    public var address: RedisAddress? { state.withLock { $0.address } }

    /// Follows the sentinels until graceful shutdown or cancellation.
    public func run() async throws {
        guard !hasRun.exchange(true, ordering: .relaxed) else { throw RedisError.alreadyRunning }
        await cancelWhenGracefulShutdown {
            await withDiscardingTaskGroup { group in
                for index in self.sentinels.addresses.indices { group.addTask { await self.follow(index) } }
            }
        }
    }

    /// A place for a connection that is about to be made; waits a moment for the first answer of a sentinel.
    public func hold() async throws(ConnectFailure) -> PrimaryHold {
        let limit = ContinuousClock.now + connectTimeout
        while true {
            if let hold = state.withLock({ $0.began(PrimaryHold.init) }) { return hold }
            guard ContinuousClock.now < limit, !Task.isCancelled else {
                throw ConnectFailure(reason: .noPrimary(state.withLock { $0.election.problem }))
            }
            // A cancelled sleep ends at once, and then the loop.
            try? await Task.sleep(for: .milliseconds(5))
        }
    }

    /// The connection is over, or was not made.
    public func release(_ hold: PrimaryHold) {
        state.withLock { $0.ended(hold) }
    }

    /// The server of a connection is no primary: with it go all connections that were made for one.
    public func denied(by hold: PrimaryHold) {
        end(state.withLock { $0.denied(by: hold) }, .notPrimary)
        askSoon()
    }

    /// A connection to the primary failed: the sentinels may know why.
    public func askSoon() {
        for (_, ask) in asking { ask.yield() }
    }

    // MARK: One sentinel

    private func follow(_ index: Int) async {
        let address = sentinels.addresses[index]
        let configuration = sentinels.configuration(of: address, connectTimeout: connectTimeout)
        let (soon, ask) = asking[index]
        var logger = logger
        logger[metadataKey: "sentinel"] = "\(address)"
        let client = RedisClient(configuration: configuration, eventLoopGroup: group, logger: logger) { [self] event in
            if case .connected = event { ask.yield() } else { lost(index) }
        }
        let subscription = RedisSubscription(
            configuration: configuration,
            channels: ["+switch-master"],
            eventLoopGroup: group,
            logger: logger
        )
        let log = logger
        await withDiscardingTaskGroup { group in
            group.addTask {
                do { try await client.run() } catch { log.error("a sentinel is not followed any more") }
            }
            group.addTask {
                do { try await subscription.run() } catch { log.error("a sentinel is not heard any more") }
            }
            // What is asked after the confirmation misses no switch; and the switch of another master asks once too often.
            group.addTask { for await _ in subscription.events { ask.yield() } }
            group.addTask { [self] in
                while !Task.isCancelled {
                    ask.yield()
                    do { try await clock.sleep(for: Self.interval) } catch { return }
                }
            }
            group.addTask { [self] in for await _ in soon { await askOnce(index, client, log) } }
        }
    }

    private func askOnce(_ index: Int, _ client: RedisClient, _ log: Logger) async {
        do throws(RedisError) {
            let replies = try await client.pipeline([
                RedisCommand("SENTINEL", "GET-MASTER-ADDR-BY-NAME", sentinels.master),
                RedisCommand("SENTINEL", "MASTER", sentinels.master),
            ])
            let claim = try Self.claim(replies[0], details: replies[1])
            if claim == nil {
                log.debug("a sentinel watches nothing by the name", metadata: ["master": "\(sentinels.master)"])
            }
            moved(state.withLock { $0.answered(index, claim) })
        } catch {
            if error != .cancelled, error != .notConnected {
                log.debug("a sentinel gave no answer", metadata: ["error": "\(error)"])
            }
            lost(index)
        }
    }

    private func lost(_ index: Int) {
        moved(state.withLock { $0.lost(index) })
    }

    private func moved(_ holds: [PrimaryHold]?) {
        guard let holds else { return }
        changes.increment()
        logger.notice("the primary is", metadata: ["address": "\(address, default: "?")"])
        end(holds, .primaryMoved)
    }

    private func end(_ holds: [PrimaryHold], _ reason: RedisConnectionLoss) {
        for hold in holds { hold.end(reason) }
    }

    /// What a sentinel says; nil: it watches nothing by that name.
    ///
    /// A user of the sentinel may be refused the details: the number of the configuration is zero then.
    static func claim(
        _ place: RedisReply,
        details: RedisReply
    ) throws(RedisError) -> PrimaryElection.Claim? {
        if place.isNull { return nil }
        let parts = try place.checked().array()
        guard parts.count == 2, let host = try parts[0].string(), let port = Int(exactly: try parts[1].integer()),
            !host.isEmpty, 1...65_535 ~= port
        else { throw .unexpectedReply(expected: "a host and a port", found: "something else") }
        var epoch: UInt64 = 0
        if case .array(let pairs) = details {
            for index in stride(from: 0, to: pairs.count - 1, by: 2)
            where try pairs[index].string() == "config-epoch" {
                epoch = UInt64(exactly: try pairs[index + 1].integer()) ?? 0
            }
        }
        return PrimaryElection.Claim(address: RedisAddress(host: host, port: port), epoch: epoch)
    }
}

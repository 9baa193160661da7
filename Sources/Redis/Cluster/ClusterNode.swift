import Logging
import NIOCore

/// One node of a cluster: the client that sends it commands, and the question who has which slots.
final class ClusterNode: Sendable {
    private static let interval = Duration.seconds(1)

    let id: ClusterNodeID
    let client: RedisClient
    private let byName: Bool
    private let asking: (stream: AsyncStream<Void>, continuation: AsyncStream<Void>.Continuation)
    private let stopping: (stream: AsyncStream<Void>, continuation: AsyncStream<Void>.Continuation)
    private let logger: Logger
    private let answered: @Sendable (ClusterNodeID, ClusterView) -> Void

    init(
        _ id: ClusterNodeID,
        _ configuration: RedisConfiguration,
        group: any EventLoopGroup,
        logger: Logger,
        onEvent: @escaping @Sendable (ClusterNodeID, RedisConnectionEvent) -> Void,
        answered: @escaping @Sendable (ClusterNodeID, ClusterView) -> Void
    ) {
        self.id = id
        self.byName = configuration.tls != nil
        self.logger = logger
        self.answered = answered
        let asking = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        self.asking = asking
        self.stopping = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
        self.client = RedisClient(configuration: configuration, eventLoopGroup: group, logger: logger) { event in
            onEvent(id, event)
            if case .connected = event { asking.continuation.yield() }
        }
    }

    /// Asks at once.
    func ask() { asking.continuation.yield() }

    /// Ends ``run()``.
    func stop() { stopping.continuation.yield() }

    func run() async {
        await withTaskGroup(of: Void.self) { [self] group in
            group.addTask { for await _ in self.stopping.stream { return } }
            group.addTask {
                do { try await self.client.run() } catch { self.logger.error("a node of the cluster is given up") }
            }
            group.addTask {
                while !Task.isCancelled {
                    self.ask()
                    do { try await Task.sleep(for: Self.interval) } catch { return }
                }
            }
            group.addTask { for await _ in self.asking.stream { await self.askOnce() } }
            await group.next()
            group.cancelAll()
        }
    }

    private func askOnce() async {
        guard client.session != nil else { return }
        do throws(RedisError) {
            let text = try await client.send(RedisCommand("CLUSTER", "NODES")).string() ?? ""
            answered(id, try ClusterView(text, from: id.address, byName: byName))
        } catch {
            if error != .cancelled, error != .notConnected {
                logger.debug(
                    "a node of the cluster gave no answer",
                    metadata: ["node": "\(id.address)", "error": "\(error)"]
                )
            }
        }
    }
}

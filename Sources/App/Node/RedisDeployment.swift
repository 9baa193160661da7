import Logging
import Redis
import ServiceLifecycle

/// What a configuration names, for all clients and subscriptions of a node: one server, the primary of sentinels, or a cluster.
struct RedisDeployment: Sendable {
    let commands: any RedisCommands & Service
    /// Reads of streams block their connection; nil: nothing blocks, and ``commands`` serves.
    let blocking: (any RedisCommands & Service)?
    /// One for all, so that no connection stays behind on a server that is the primary no more.
    let primary: (any RedisPrimarySource)?
    /// What is to be run, in the order of start.
    let services: [any Service]

    init(
        _ configuration: RedisConfiguration,
        pinned: String,
        log: Logger,
        onEvent: @escaping @Sendable (RedisConnectionEvent) -> Void
    ) {
        guard configuration.cluster.isEmpty else {
            let cluster = RedisCluster(configuration: configuration, pinned: pinned, logger: log, onEvent: onEvent)
            (self.commands, self.blocking, self.primary) = (cluster, nil, cluster.primary)
            self.services = [cluster]
            return
        }
        var blocking = configuration
        blocking.commandTimeout = .seconds(5)
        let primary = configuration.sentinels.map { RedisPrimary(sentinels: $0, logger: log) }
        let client = RedisClient(configuration: configuration, primary: primary, logger: log, onEvent: onEvent)
        self.commands = client
        self.blocking = RedisClient(configuration: blocking, primary: primary, logger: log)
        self.primary = primary
        self.services = (primary.map { [$0] } ?? []) + [client]
    }
}

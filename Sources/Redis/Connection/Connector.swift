import Glibc
import NIOCore
import NIOPosix
internal import NIOSSL

/// Opens channels to the configured server.
struct Connector: Sendable {
    let configuration: RedisConfiguration
    let group: any EventLoopGroup

    /// Connects and returns the receiver that `makeReceiver` attached to the channel, on its event loop.
    func connect<Receiver: ReplyReceiver>(
        makeReceiver: @escaping @Sendable (any Channel) -> Receiver
    ) async throws(ConnectFailure) -> Receiver {
        let maxReplyBytes = configuration.maxReplyBytes
        let host = configuration.host
        var secured: NIOSSLContext?
        if let tls = configuration.tls { secured = try await tls.context() }
        let context = secured
        do {
            return try await ClientBootstrap(group: group)
                .connectTimeout(TimeAmount(configuration.connectTimeout))
                .channelOption(.socketOption(.so_keepalive), value: 1)
                .channelOption(ChannelOptions.socket(Self.tcp, TCP_NODELAY), value: 1)
                .channelOption(ChannelOptions.socket(Self.tcp, TCP_KEEPIDLE), value: 10)
                .channelOption(ChannelOptions.socket(Self.tcp, TCP_KEEPINTVL), value: 3)
                .channelOption(ChannelOptions.socket(Self.tcp, TCP_KEEPCNT), value: 3)
                .channelOption(
                    .recvAllocator,
                    value: AdaptiveRecvByteBufferAllocator(minimum: 4096, initial: 16_384, maximum: 262_144)
                )
                .connect(host: configuration.host, port: configuration.port) { channel in
                    channel.eventLoop.makeCompletedFuture {
                        let receiver = makeReceiver(channel)
                        let handler = ReplyHandler(receiver: receiver, maxReplyBytes: maxReplyBytes)
                        if let context {
                            let security = try RedisTLS.handler(context: context, host: host)
                            try channel.pipeline.syncOperations.addHandler(security)
                        }
                        try channel.pipeline.syncOperations.addHandler(handler)
                        return receiver
                    }
                }
        } catch {
            throw ConnectFailure(reason: RedisConnectionLoss(error))
        }
    }

    private static let tcp = SocketOptionLevel(IPPROTO_TCP)
}

/// An attempt to connect that failed.
struct ConnectFailure: Error {
    let reason: RedisConnectionLoss
}

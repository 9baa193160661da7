import Glibc
import NIOCore
import NIOPosix
internal import NIOSSL

/// Opens channels to the configured server, or to the one that is the primary.
struct Connector: Sendable {
    let configuration: RedisConfiguration
    /// Where the configuration names no server, but those who know it.
    let primary: (any RedisPrimarySource)?
    let group: any EventLoopGroup

    init(configuration: RedisConfiguration, primary: (any RedisPrimarySource)?, group: any EventLoopGroup) {
        precondition(configuration.namesServer == (primary == nil), "sentinels and clusters are followed by a source")
        self.configuration = configuration
        self.primary = primary
        self.group = group
    }

    /// Connects and returns the receiver that `makeReceiver` attached to the channel, on its event loop.
    ///
    /// Where there is a source it holds the primary, and ``release(_:)`` is to be called when the connection is over.
    func connect<Receiver: ReplyReceiver>(
        makeReceiver: @escaping @Sendable (any Channel, PrimaryHold?) -> Receiver
    ) async throws(ConnectFailure) -> Receiver {
        guard let primary else {
            let address = RedisAddress(host: configuration.host, port: configuration.port)
            return try await connect(to: address, hold: nil, makeReceiver: makeReceiver)
        }
        let hold = try await primary.hold()
        do throws(ConnectFailure) {
            return try await connect(to: hold.address, hold: hold, makeReceiver: makeReceiver)
        } catch {
            primary.release(hold)
            primary.askSoon()
            throw ConnectFailure(reason: hold.reason ?? error.reason)
        }
    }

    /// The server of a connection says that it is no primary.
    func denied(by hold: PrimaryHold?) {
        if let hold { primary?.denied(by: hold) }
    }

    /// A connection is over.
    func release(_ hold: PrimaryHold?) {
        guard let hold, let primary else { return }
        primary.release(hold)
        primary.askSoon()
    }

    private func connect<Receiver: ReplyReceiver>(
        to address: RedisAddress,
        hold: PrimaryHold?,
        makeReceiver: @escaping @Sendable (any Channel, PrimaryHold?) -> Receiver
    ) async throws(ConnectFailure) -> Receiver {
        let maxReplyBytes = configuration.maxReplyBytes
        let host = address.host
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
                .connect(host: host, port: address.port) { channel in
                    channel.eventLoop.makeCompletedFuture {
                        // A server that is gone without a word is not waited for when another takes its place.
                        hold?.closes { _ in channel.close(promise: nil) }
                        let receiver = makeReceiver(channel, hold)
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
public struct ConnectFailure: Error {
    let reason: RedisConnectionLoss
}

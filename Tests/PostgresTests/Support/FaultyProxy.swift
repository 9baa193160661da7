import NIOCore
import NIOPosix
import Synchronization

/// A proxy in front of a server that breaks a connection at a message of the client's choice, once.
final class FaultyProxy: Sendable {
    enum Fault {
        /// The server never sees the message.
        case before(Character)
        /// The server sees it, the client never sees an answer.
        case after(Character)
    }

    private let armed = Mutex<Fault?>(nil)
    private let cuts = Mutex(0)
    private let target: Int

    /// How often a connection was broken.
    var cutCount: Int { cuts.withLock { $0 } }

    private init(target: Int) {
        self.target = target
    }

    /// Runs the body with a proxy before the port of a server, and the port of the proxy.
    static func with(target: Int, _ body: (FaultyProxy, _ port: Int) async throws -> Void) async throws {
        let proxy = FaultyProxy(target: target)
        let listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelOption(.autoRead, value: false)
            .childChannelInitializer { proxy.accepted($0) }
            .bind(host: "127.0.0.1", port: 0).get()
        let result: Result<Void, any Error>
        do {
            result = .success(try await body(proxy, listener.localAddress?.port ?? 0))
        } catch {
            result = .failure(error)
        }
        try await listener.close()
        try result.get()
    }

    /// Breaks the next connection that sends a message of the kind: `P` prepares, `B` runs, `Q` is a script.
    func arm(_ fault: Fault) {
        armed.withLock { $0 = fault }
    }

    private func accepted(_ client: any Channel) -> EventLoopFuture<Void> {
        ClientBootstrap(group: client.eventLoop).connect(host: "127.0.0.1", port: target).flatMapThrowing { server in
            try client.pipeline.syncOperations.addHandler(Relay(to: server, inspect: self.verdict))
            try server.pipeline.syncOperations.addHandler(Relay(to: client, inspect: { _ in .pass }))
        }.flatMap { client.setOption(.autoRead, value: true) }
    }

    private enum Verdict { case pass, cutBefore, cutAfter }

    private func verdict(on bytes: ByteBuffer) -> Verdict {
        // libpq sends each message, or the few that belong together, in one piece.
        guard let first = bytes.readableBytesView.first.map({ Character(UnicodeScalar($0)) }) else { return .pass }
        let verdict = armed.withLock { armed -> Verdict in
            switch armed {
            case .before(first):
                armed = nil
                return .cutBefore
            case .after(first):
                armed = nil
                return .cutAfter
            default: return .pass
            }
        }
        if case .pass = verdict { return .pass }
        cuts.withLock { $0 += 1 }
        return verdict
    }

    private final class Relay: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private let peer: any Channel
        private let inspect: (ByteBuffer) -> Verdict

        init(to peer: any Channel, inspect: @escaping (ByteBuffer) -> Verdict) {
            self.peer = peer
            self.inspect = inspect
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let bytes = unwrapInboundIn(data)
            switch inspect(bytes) {
            case .pass: peer.writeAndFlush(bytes, promise: nil)
            case .cutBefore:
                context.close(promise: nil)
                peer.close(promise: nil)
            case .cutAfter:
                // The server reads it before it finds the connection closed.
                peer.writeAndFlush(bytes, promise: nil)
                context.close(promise: nil)
                peer.close(promise: nil)
            }
        }

        func channelInactive(context: ChannelHandlerContext) {
            peer.close(promise: nil)
        }
    }
}

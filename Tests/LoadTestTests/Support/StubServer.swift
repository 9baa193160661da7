import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

/// An HTTP server that does what a test says.
final class StubServer: Sendable {
    enum Reply: Sendable {
        case answer(status: HTTPResponseStatus = .ok, headers: HTTPHeaders = [:], body: String = "{}")
        case later(TimeAmount)
        case never
        /// Closes without an answer.
        case close
        /// Bytes instead of an answer.
        case bytes(String)
    }

    struct Request: Sendable {
        /// How many came before it.
        let number: Int
        let head: HTTPRequestHead
        let body: String
    }

    let port: Int
    private let channel: any Channel
    private let received = Mutex<[Request]>([])

    var requests: [Request] { self.received.withLock { $0 } }

    /// Serves on a free port until the body returns.
    static func with<Value: Sendable>(
        _ reply: @escaping @Sendable (Request) -> Reply,
        _ body: @Sendable (StubServer) async throws -> Value
    ) async throws -> Value {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let box = Box()
        let channel = try await ServerBootstrap(group: group)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline(withErrorHandling: false)
                    try channel.pipeline.syncOperations.addHandler(
                        Handler { head, body in
                            guard let server = box.server.withLock({ $0 }) else { return .close }
                            return reply(server.note(head, body))
                        }
                    )
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let server = StubServer(channel)
        box.server.withLock { $0 = server }
        let outcome: Result<Value, any Error>
        do {
            outcome = .success(try await body(server))
        } catch {
            outcome = .failure(error)
        }
        try await channel.close()
        try await group.shutdownGracefully()
        return try outcome.get()
    }

    private init(_ channel: any Channel) {
        self.channel = channel
        self.port = channel.localAddress?.port ?? 0
    }

    private func note(_ head: HTTPRequestHead, _ body: String) -> Request {
        self.received.withLock { received in
            let request = Request(number: received.count, head: head, body: body)
            received.append(request)
            return request
        }
    }

    private final class Box: Sendable {
        let server = Mutex<StubServer?>(nil)
    }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = HTTPServerRequestPart
        typealias OutboundOut = HTTPServerResponsePart

        private let reply: (HTTPRequestHead, String) -> Reply
        private var head: HTTPRequestHead?
        private var body = ""

        init(_ reply: @escaping (HTTPRequestHead, String) -> Reply) { self.reply = reply }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            switch self.unwrapInboundIn(data) {
            case .head(let head):
                self.head = head
                self.body = ""
            case .body(let part): self.body += String(buffer: part)
            case .end:
                guard let head else { return }
                switch self.reply(head, self.body) {
                case .answer(let status, let headers, let body): self.answer(context, status, headers, body)
                case .later(let delay):
                    context.eventLoop.assumeIsolated().scheduleTask(in: delay) {
                        self.answer(context, .ok, [:], "{}")
                    }
                case .never: break
                case .close: context.close(promise: nil)
                case .bytes(let text):
                    // From before the encoder, which would make an answer of it.
                    if let encoder = try? context.pipeline.syncOperations.context(
                        handlerType: HTTPResponseEncoder.self
                    ) {
                        encoder.writeAndFlush(NIOAny(ByteBuffer(string: text)), promise: nil)
                    }
                }
            }
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

        private func answer(
            _ context: ChannelHandlerContext,
            _ status: HTTPResponseStatus,
            _ headers: HTTPHeaders,
            _ body: String
        ) {
            var headers = headers
            headers.add(name: "Content-Length", value: String(body.utf8.count))
            context.write(
                self.wrapOutboundOut(.head(HTTPResponseHead(version: .http1_1, status: status, headers: headers))),
                promise: nil
            )
            context.write(self.wrapOutboundOut(.body(.byteBuffer(ByteBuffer(string: body)))), promise: nil)
            context.writeAndFlush(self.wrapOutboundOut(.end(nil)), promise: nil)
        }
    }
}

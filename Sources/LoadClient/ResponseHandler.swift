package import NIOCore
package import NIOHTTP1

/// What a client learns of an answer.
package struct Answer: Sendable {
    package let status: Int
    /// `X-Vireo-Cache`.
    package let tier: String?
    package let bytes: Int
    /// Empty unless the handler keeps bodies.
    package let body: ByteBuffer
    package let keepsOpen: Bool
}

/// What happens on a connection of a client; all on its event loop.
package protocol ConnectionObserver: AnyObject {
    func answered(_ connection: Int, _ answer: Answer)
    func broke(_ connection: Int, _ failure: Failure)
}

/// Reads the answers of one connection; each is reported once it is there to its last byte.
package final class ResponseHandler: ChannelInboundHandler {
    package typealias InboundIn = HTTPClientResponsePart

    private let connection: Int
    private let keepsBodies: Bool
    /// nil once the client has given the connection up: nothing is said about it any more.
    private weak var observer: (any ConnectionObserver)?
    private var head: HTTPResponseHead?
    private var bytes = 0
    private var body = ByteBuffer()

    package init(connection: Int, keepsBodies: Bool = false, observer: any ConnectionObserver) {
        self.connection = connection
        self.keepsBodies = keepsBodies
        self.observer = observer
    }

    /// Says nothing more.
    package func detach() { self.observer = nil }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch self.unwrapInboundIn(data) {
        case .head(let head):
            self.head = head
            self.bytes = 0
            self.body = ByteBuffer()
        case .body(var part):
            self.bytes += part.readableBytes
            if self.keepsBodies { self.body.writeBuffer(&part) }
        case .end:
            guard let head else { return }
            self.head = nil
            let answer = Answer(
                status: Int(head.status.code),
                tier: head.headers.first(name: "x-vireo-cache"),
                bytes: self.bytes,
                body: self.body,
                keepsOpen: head.isKeepAlive
            )
            let observer = self.observer
            if !answer.keepsOpen {
                self.detach()
                context.close(promise: nil)
            }
            observer?.answered(self.connection, answer)
        }
    }

    package func channelInactive(context: ChannelHandlerContext) {
        let observer = self.observer
        self.detach()
        observer?.broke(self.connection, .closed)
        context.fireChannelInactive()
    }

    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
        let observer = self.observer
        self.detach()
        context.close(promise: nil)
        let ended = error is IOError || error as? HTTPParserError == .invalidEOFState
        observer?.broke(self.connection, ended ? .closed : .malformed)
    }
}

import NIOCore
import NIOHTTP1

/// What a run learns of an answer.
struct Answer: Sendable {
    let status: Int
    /// `X-Vireo-Cache`.
    let tier: String?
    let bytes: Int
    let keepsOpen: Bool
}

/// What happens on a connection of a run; all on its event loop.
protocol ConnectionObserver: AnyObject {
    func answered(_ connection: Int, _ answer: Answer)
    func broke(_ connection: Int, _ failure: Failure)
}

/// Reads the answers of one connection; each is reported once it is there to its last byte.
final class ResponseHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart

    private let connection: Int
    /// nil once the run has given the connection up: nothing is said about it any more.
    private weak var observer: (any ConnectionObserver)?
    private var head: HTTPResponseHead?
    private var bytes = 0

    init(connection: Int, observer: any ConnectionObserver) {
        self.connection = connection
        self.observer = observer
    }

    /// Says nothing more.
    func detach() { self.observer = nil }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch self.unwrapInboundIn(data) {
        case .head(let head):
            self.head = head
            self.bytes = 0
        case .body(let body): self.bytes += body.readableBytes
        case .end:
            guard let head else { return }
            self.head = nil
            let answer = Answer(
                status: Int(head.status.code),
                tier: head.headers.first(name: "x-vireo-cache"),
                bytes: self.bytes,
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

    func channelInactive(context: ChannelHandlerContext) {
        let observer = self.observer
        self.detach()
        observer?.broke(self.connection, .closed)
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        let observer = self.observer
        self.detach()
        context.close(promise: nil)
        let ended = error is IOError || error as? HTTPParserError == .invalidEOFState
        observer?.broke(self.connection, ended ? .closed : .malformed)
    }
}

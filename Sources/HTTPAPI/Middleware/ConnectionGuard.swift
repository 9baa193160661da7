import HTTPTypes
import HummingbirdCore
import Logging
import NIOCore
import NIOHTTP1

/// HTTP/1.1 as Hummingbird speaks it, with a ``ConnectionGuard`` next to the decoder.
struct GuardedChannel: ServerChildChannel {
    typealias Value = HTTP1Channel.Value

    private let http1: HTTP1Channel
    private let limits: HTTPConfiguration.Limits
    private let refuse: @Sendable (Refusal) -> RefusalResponse
    private let desks: LaneDesks?

    /// - Parameter desks: Where requests are answered ahead of Hummingbird; nil: all go there.
    init(
        responder: @escaping HTTPChannelHandler.Responder,
        limits: HTTPConfiguration.Limits,
        desks: LaneDesks?,
        refuse: @escaping @Sendable (Refusal) -> RefusalResponse
    ) {
        self.http1 = HTTP1Channel(
            responder: responder,
            configuration: HTTP1Channel.Configuration(
                idleTimeout: desks == nil ? TimeAmount(limits.idleTime) : nil,
                httpDecoderConfiguration: HTTP1Channel.Configuration.DecoderConfiguration(
                    maxHeaderFieldSize: limits.headers,
                    maxHeaderListSize: limits.headers,
                    maxHeaderFieldCount: limits.headerCount
                )
            )
        )
        self.limits = limits
        self.refuse = refuse
        self.desks = desks
    }

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        self.http1.setup(channel: channel, logger: logger).flatMapThrowing { value in
            let pipeline = channel.pipeline.syncOperations
            let decoder = try pipeline.handler(type: ByteToMessageHandler<HTTPRequestDecoder>.self)
            let connection = ConnectionGuard(limits: self.limits, refuse: self.refuse)
            try pipeline.addHandler(connection, position: .after(decoder))
            if let desks = self.desks {
                let lane = FastLane(
                    desk: desks.desk(of: channel.eventLoop),
                    connection: connection,
                    limits: self.limits
                )
                try pipeline.addHandler(lane, position: .first)
            }
            return value
        }
    }

    func handle(value: Value, logger: Logger) async {
        await self.http1.handle(value: value, logger: logger)
    }
}

/// Holds a connection to its limits: time for headers and body, refusals as problem documents, a clean end.
///
/// Hummingbird closes what is idle, but a head or a body that arrives byte by byte is not; it answers what is not HTTP
/// without a document; and it keeps open what a client of HTTP/1.0, or an answer to an oversized body, has said to close.
final class ConnectionGuard: ChannelDuplexHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart
    typealias OutboundIn = HTTPServerResponsePart
    typealias OutboundOut = HTTPServerResponsePart

    private let limits: HTTPConfiguration.Limits
    private let refuse: @Sendable (Refusal) -> RefusalResponse
    private var state = ConnectionState()
    private var timer: Scheduled<Void>?
    private var saidAbandoned = false
    /// When an answer ended last.
    private(set) var answeredAt = NIODeadline.uptimeNanoseconds(0)

    /// Whether nothing is being read or answered.
    var isQuiet: Bool { self.state.isQuiet }

    /// Whether a request that was read whole waits for its answer.
    var isAnswering: Bool { self.state.isWaitedFor }

    init(limits: HTTPConfiguration.Limits, refuse: @escaping @Sendable (Refusal) -> RefusalResponse) {
        self.limits = limits
        self.refuse = refuse
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.timer?.cancel()
        self.timer = nil
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.timer?.cancel()
        self.timer = nil
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard self.state.forwards else { return }
        switch self.unwrapInboundIn(data) {
        case .head(let head):
            self.change(self.state.requestBegan(keepAlive: head.isKeepAlive), context: context)
            if self.state.maySayContinue, self.awaitsContinue(head) {
                let part = HTTPServerResponsePart.head(HTTPResponseHead(version: .http1_1, status: .continue))
                context.writeAndFlush(self.wrapOutboundOut(part), promise: nil)
            }
        case .body: self.state.bodyArrived()
        case .end: self.change(self.state.requestEnded(), context: context)
        }
        context.fireChannelRead(data)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        self.change(self.state.readCompleted(), context: context)
        context.fireChannelReadComplete()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard let error = error as? HTTPParserError else { return context.fireErrorCaught(error) }
        self.end(self.state.fail(error == .headerOverflow ? .headersTooLarge : .notHTTP), context: context)
        self.abandonBody(context: context)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let event = event as? ChannelEvent, event == .inputClosed {
            let (timer, ending) = self.state.inputEnded()
            self.change(timer, context: context)
            self.end(ending, context: context)
            self.abandonBody(context: context)
        }
        context.fireUserInboundEventTriggered(event)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch self.unwrapOutboundIn(data) {
        case .head(var head):
            switch self.state.answerBegan(closes: head.headers[canonicalForm: "connection"].contains("close")) {
            case .drop: promise?.succeed()
            case .passSayingClose:
                head.headers.replaceOrAdd(name: "Connection", value: "close")
                context.write(self.wrapOutboundOut(.head(head)), promise: promise)
            default: context.write(data, promise: promise)
            }
        case .body:
            if self.state.isOver { promise?.succeed() } else { context.write(data, promise: promise) }
        case .end:
            self.answeredAt = .now()
            switch self.state.answerEnded() {
            case .drop: promise?.succeed()
            case .passAndEnd:
                context.writeAndFlush(data, promise: promise)
                self.endOutput(context: context)
            case .passAndRefuse(let refusal):
                context.write(data, promise: promise)
                self.end(.refuse(refusal), context: context)
            default: context.write(data, promise: promise)
            }
        }
    }

    private func end(_ ending: ConnectionState.Ending, context: ChannelHandlerContext) {
        switch ending {
        case .none: break
        case .close: context.close(promise: nil)
        case .refuse(let refusal):
            let response = self.refuse(refusal)
            context.write(self.wrapOutboundOut(.head(response.head)), promise: nil)
            context.write(self.wrapOutboundOut(.body(.byteBuffer(response.body))), promise: nil)
            context.writeAndFlush(self.wrapOutboundOut(.end(nil)), promise: nil)
            self.endOutput(context: context)
        }
    }

    /// Ends this side, and both when the other side has followed or has had its time: a close while the client is still
    /// sending would reset the connection, and the answer would be lost with it.
    private func endOutput(context: ChannelHandlerContext) {
        context.close(mode: .output, promise: nil)
        self.change(self.state.lingers(), context: context)
    }

    private func change(_ change: ConnectionState.TimerChange, context: ChannelHandlerContext) {
        guard change != .none else { return }
        self.timer?.cancel()
        self.timer = nil
        guard case .start(let timer) = change else { return }
        let time =
            switch timer {
            case .head: self.limits.headerTime
            case .body: self.limits.bodyTime
            case .linger: self.limits.lingerTime
            }
        self.timer = context.eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(time)) {
            self.timer = nil
            self.end(self.state.timerFired(), context: context)
            self.abandonBody(context: context)
        }
    }

    /// Says that a body will not be whole: to whoever reads it, an input that merely ends would look like its end.
    private func abandonBody(context: ChannelHandlerContext) {
        guard self.state.abandonsBody, !self.saidAbandoned else { return }
        self.saidAbandoned = true
        context.fireErrorCaught(IncompleteBody())
    }

    private func awaitsContinue(_ head: HTTPRequestHead) -> Bool {
        guard head.version == .http1_1, head.headers[canonicalForm: "expect"].contains("100-continue") else {
            return false
        }
        // One that is too large is not sent for: its answer comes first.
        return head.headers.first(name: "content-length").flatMap { Int($0) } ?? 0 <= self.limits.body
    }
}

/// The connection ended, or was given up, within a body.
private struct IncompleteBody: Error {}

/// The answer to what was not a request.
struct RefusalResponse: Sendable {
    let head: HTTPResponseHead
    let body: ByteBuffer

    init(_ refusal: Refusal, requestID: String, serverName: String?) {
        let problem = refusal.problem
        self.body = problem.document(instance: nil, requestID: requestID)
        var headers: HTTPHeaders = [
            "Content-Type": "application/problem+json",
            "Cache-Control": "private, no-store",
            "X-Request-ID": requestID,
            "Connection": "close",
            "Content-Length": String(self.body.readableBytes),
        ]
        if let serverName { headers.add(name: "Server", value: serverName) }
        self.head = HTTPResponseHead(
            version: .http1_1,
            status: HTTPResponseStatus(statusCode: problem.status.code),
            headers: headers
        )
    }
}

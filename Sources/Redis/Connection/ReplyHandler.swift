import NIOCore

/// What a connection does with its input; called on the event loop only.
protocol ReplyReceiver: AnyObject, Sendable {
    func repliesReceived(_ replies: [RedisReply])
    func connectionLost(_ reason: RedisConnectionLoss)
}

/// Feeds a channel's bytes to the reader and hands complete replies to the receiver, a batch for each read.
final class ReplyHandler<Receiver: ReplyReceiver>: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let receiver: Receiver
    private var reader: ReplyReader
    private var replies: [RedisReply] = []
    private var hasFailed = false

    init(receiver: Receiver, maxReplyBytes: Int) {
        self.receiver = receiver
        self.reader = ReplyReader(maximumReplyBytes: maxReplyBytes)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        // What a security layer had decoded already, after the connection was given up.
        guard !hasFailed else { return }
        var failure: ReplyReader.Failure?
        let buffer = unwrapInboundIn(data)
        unsafe buffer.withUnsafeReadableBytes { bytes in
            do throws(ReplyReader.Failure) {
                try unsafe reader.feed(bytes, into: &replies)
            } catch {
                failure = error
            }
        }
        if !replies.isEmpty {
            receiver.repliesReceived(replies)
            replies.removeAll(keepingCapacity: true)
        }
        if let failure {
            hasFailed = true
            receiver.connectionLost(.protocolViolation(failure.message))
            context.close(promise: nil)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        receiver.connectionLost(.closedByServer)
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        receiver.connectionLost(RedisConnectionLoss(error))
        context.close(promise: nil)
    }
}

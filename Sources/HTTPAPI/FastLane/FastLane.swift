import NIOCore
import Serving

/// Answers L1 hits on the event loop, from the bytes of the request to the bytes of the answer, ahead of the HTTP parser.
///
/// A request that is answered by the routes costs two hops between threads and some two hundred allocations, more than its
/// answer. This handler, the first of the pipeline, takes only what it can answer at once: `GET` or `HEAD` of the one path, with
/// nothing unusual about it, from an entry that L1 may serve. Everything else passes on untouched, and the parser, the
/// ``ConnectionGuard`` and Hummingbird see the same bytes at the same moment as if the handler were not there.
///
/// Order: a request is answered here only while nothing is being read or answered behind. A request that comes behind a slow one
/// passes on and waits its turn there. So does one whose client does not take its answers.
final class FastLane: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundOut = IOData

    private let desk: LaneDesk
    private let connection: ConnectionGuard
    private let idleTime: TimeAmount
    private var framing = RequestFraming()
    private var caller = LaneCaller()
    private var hasPassed = false
    private var hasAnswered = false
    private var heardAt = NIODeadline.now()
    private var idleTimer: Scheduled<Void>?

    init(desk: LaneDesk, connection: ConnectionGuard, idleTime: TimeAmount) {
        self.desk = desk
        self.connection = connection
        self.idleTime = idleTime
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.watchIdle(after: self.idleTime, context: context)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.idleTimer?.cancel()
        self.idleTimer = nil
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let buffer = self.unwrapInboundIn(data)
        self.heardAt = .now()
        var passed = 0
        var cursor = 0
        buffer.withUnsafeReadableBytes { bytes in
            while cursor < bytes.count {
                let rest = UnsafeRawBufferPointer(rebasing: bytes[cursor...])
                switch self.framing.next(rest) {
                case .pass(let length): cursor += length
                case .request(let scan):
                    if scan.isPlain, scan.bodyLength == 0,
                        ImmediateQuery.mayBe(UnsafeRawBufferPointer(rebasing: rest[scan.target]))
                    {
                        self.pass(buffer, passed..<cursor, context: context)
                        passed = cursor
                        if self.answer(scan, rest, context: context) {
                            cursor += scan.headLength
                            passed = cursor
                            continue
                        }
                    }
                    cursor += self.framing.pass(scan, of: rest.count)
                }
            }
        }
        self.pass(buffer, passed..<cursor, context: context)
        if self.hasAnswered {
            self.hasAnswered = false
            context.flush()
        }
    }

    /// What was all answered here is not known behind, where it would look like the beginning of a request.
    func channelReadComplete(context: ChannelHandlerContext) {
        guard self.hasPassed else { return }
        self.hasPassed = false
        context.fireChannelReadComplete()
    }

    private func pass(_ buffer: ByteBuffer, _ range: Range<Int>, context: ChannelHandlerContext) {
        guard !range.isEmpty else { return }
        self.hasPassed = true
        if range.count == buffer.readableBytes {
            context.fireChannelRead(self.wrapInboundOut(buffer))
        } else if let part = buffer.getSlice(at: buffer.readerIndex + range.lowerBound, length: range.count) {
            context.fireChannelRead(self.wrapInboundOut(part))
        }
    }

    private func answer(_ scan: RequestScan, _ bytes: UnsafeRawBufferPointer, context: ChannelHandlerContext) -> Bool {
        guard self.connection.isQuiet else { return false }
        if !context.channel.isWritable {
            context.flush()
            guard context.channel.isWritable else { return false }
        }
        guard let answer = self.desk.answer(scan, bytes, caller: &self.caller, allocator: context.channel.allocator)
        else {
            return false
        }
        context.write(self.wrapOutboundOut(.byteBuffer(answer)), promise: nil)
        self.hasAnswered = true
        return true
    }

    // MARK: Idle connections

    /// Hummingbird would not hear of requests that are answered here, so connections are closed by this clock.
    private func watchIdle(after time: TimeAmount, context: ChannelHandlerContext) {
        self.idleTimer = context.eventLoop.assumeIsolated().scheduleTask(in: time) {
            self.idleTimer = nil
            let quietSince = max(self.heardAt, self.connection.answeredAt)
            let left = quietSince + self.idleTime - .now()
            if self.connection.isAnswering {
                self.watchIdle(after: self.idleTime, context: context)
            } else if left > .zero {
                self.watchIdle(after: left, context: context)
            } else {
                context.close(promise: nil)
            }
        }
    }
}

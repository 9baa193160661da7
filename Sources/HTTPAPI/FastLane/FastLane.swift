import NIOCore
import Serving

/// Answers users' own lists on the event loop, from the bytes of the request to the bytes of the answer, ahead of the HTTP
/// parser.
///
/// A request that is answered by the routes costs two hops between threads and some two hundred allocations, more than its
/// answer. This handler, the first of the pipeline, takes `GET` or `HEAD` of the one path, with nothing unusual about it. What
/// L1 may serve is answered at once. For what it may not, the request waits a moment, together with others of this event loop,
/// for one read of L2, and then for one computation. Everything else passes on untouched, and the parser, the
/// ``ConnectionGuard`` and Hummingbird see the same bytes as if the handler were not there; so does a request that has waited
/// for its patience, or for something that only the routes can say.
///
/// Order: a request is answered here only while nothing is being read or answered behind. A request that comes behind a slow one
/// passes on and waits its turn there. So does one whose client does not take its answers. What comes behind a request that
/// waits here is held, as long as it is little.
final class FastLane: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundOut = IOData

    /// How much may come behind a request that waits here.
    private static let maximumHeld = 64 << 10

    /// A request that waits here, and what has come with it and since.
    private struct Waiting {
        let number: UInt64
        var bytes: ByteBuffer
        let patienceEnds: NIODeadline
    }

    private let desk: LaneDesk
    private let connection: ConnectionGuard
    private let idleTime: TimeAmount
    private let patience: TimeAmount
    private var framing = RequestFraming()
    private var caller = LaneCaller()
    private var hasPassed = false
    private var hasAnswered = false
    private var heardAt = NIODeadline.now()
    private var idleTimer: Scheduled<Void>?
    private var waiting: Waiting?
    private var waited: UInt64 = 0
    private var patienceTimer: Scheduled<Void>?

    init(desk: LaneDesk, connection: ConnectionGuard, limits: HTTPConfiguration.Limits) {
        self.desk = desk
        self.connection = connection
        self.idleTime = TimeAmount(limits.idleTime)
        self.patience = TimeAmount(limits.patience)
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.watchIdle(after: self.idleTime, context: context)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.idleTimer?.cancel()
        self.idleTimer = nil
        self.patienceTimer?.cancel()
        self.patienceTimer = nil
        self.waiting = nil
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.waiting = nil
        context.fireChannelInactive()
    }

    /// The client has ended its side, or the port closes: whoever is behind has to know of the request that waits here.
    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        self.passWaiting(context: context)
        context.fireUserInboundEventTriggered(event)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var buffer = self.unwrapInboundIn(data)
        self.heardAt = .now()
        guard self.waiting == nil else {
            self.waiting?.bytes.writeBuffer(&buffer)
            if let held = self.waiting?.bytes.readableBytes, held > Self.maximumHeld {
                self.passWaiting(context: context)
            }
            return
        }
        self.take(buffer, context: context)
    }

    /// What was all answered here is not known behind, where it would look like the beginning of a request.
    func channelReadComplete(context: ChannelHandlerContext) {
        guard self.hasPassed else { return }
        self.hasPassed = false
        context.fireChannelReadComplete()
    }

    /// Answers, holds or passes on what came.
    ///
    /// - Parameter asks: Whether the first request may be answered here.
    private func take(_ buffer: ByteBuffer, asks: Bool = true, context: ChannelHandlerContext) {
        var passed = 0
        var cursor = 0
        var mayAsk = asks
        buffer.withUnsafeReadableBytes { bytes in
            while cursor < bytes.count {
                let rest = UnsafeRawBufferPointer(rebasing: bytes[cursor...])
                switch self.framing.next(rest) {
                case .pass(let length): cursor += length
                case .request(let scan):
                    if mayAsk, scan.isPlain, scan.bodyLength == 0,
                        ImmediateQuery.mayBe(UnsafeRawBufferPointer(rebasing: rest[scan.target]))
                    {
                        self.pass(buffer, passed..<cursor, context: context)
                        passed = cursor
                        switch self.reply(to: scan, rest, context: context) {
                        case .answer(let answer):
                            self.write(answer, context: context)
                            cursor += scan.headLength
                            passed = cursor
                            continue
                        case .ask(let wanted):
                            self.wait(for: wanted, buffer, from: cursor, context: context)
                            passed = bytes.count
                            cursor = passed
                            continue
                        case .routes: break
                        }
                    }
                    mayAsk = true
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

    private func pass(_ buffer: ByteBuffer, _ range: Range<Int>, context: ChannelHandlerContext) {
        guard !range.isEmpty else { return }
        self.hasPassed = true
        if range.count == buffer.readableBytes {
            context.fireChannelRead(self.wrapInboundOut(buffer))
        } else if let part = buffer.getSlice(at: buffer.readerIndex + range.lowerBound, length: range.count) {
            context.fireChannelRead(self.wrapInboundOut(part))
        }
    }

    private func reply(
        to scan: RequestScan,
        _ bytes: UnsafeRawBufferPointer,
        context: ChannelHandlerContext
    ) -> LaneDesk.Reply {
        guard self.connection.isQuiet else { return .routes }
        if !context.channel.isWritable {
            context.flush()
            guard context.channel.isWritable else { return .routes }
        }
        return self.desk.reply(to: scan, bytes, caller: &self.caller, allocator: context.channel.allocator)
    }

    private func write(_ answer: ByteBuffer, context: ChannelHandlerContext) {
        context.write(self.wrapOutboundOut(.byteBuffer(answer)), promise: nil)
        self.hasAnswered = true
    }

    // MARK: Requests that wait

    private func wait(
        for wanted: LaneDesk.Wanted,
        _ buffer: ByteBuffer,
        from start: Int,
        context: ChannelHandlerContext
    ) {
        var bytes = buffer
        bytes.moveReaderIndex(forwardBy: start)
        self.waited += 1
        let number = self.waited
        self.desk.ask(wanted) { found in self.deliver(found, to: number, context: context) }
        let end = NIODeadline.now() + self.patience
        self.waiting = Waiting(number: number, bytes: bytes, patienceEnds: end)
        if self.patienceTimer == nil { self.watchPatience(until: end, context: context) }
    }

    /// One timer for all that wait on this connection, one after the other: to set and to cancel one for each cost more than
    /// to look at the time when it fires.
    private func watchPatience(until end: NIODeadline, context: ChannelHandlerContext) {
        self.patienceTimer = context.eventLoop.assumeIsolated().scheduleTask(deadline: end) {
            self.patienceTimer = nil
            guard let waiting = self.waiting else { return }
            if waiting.patienceEnds <= .now() {
                self.passWaiting(context: context)
            } else {
                self.watchPatience(until: waiting.patienceEnds, context: context)
            }
        }
    }

    /// Answers the request that waits, if it still does, and takes what came behind it.
    private func deliver(_ found: LaneDesk.Found?, to number: UInt64, context: ChannelHandlerContext) {
        guard let waiting, waiting.number == number else { return }
        guard let found else { return self.passWaiting(context: context) }
        self.waiting = nil
        var bytes = waiting.bytes
        let answer = bytes.withUnsafeReadableBytes { head -> (ByteBuffer, Int)? in
            // It was whole when it came.
            guard case .request(let scan) = self.framing.next(head) else { return nil }
            return self.desk.answer(to: scan, head, from: found, allocator: context.channel.allocator)
                .map { ($0, scan.headLength) }
        }
        if let (answer, length) = answer {
            self.write(answer, context: context)
            bytes.moveReaderIndex(forwardBy: length)
            self.take(bytes, context: context)
        } else {
            self.take(bytes, asks: false, context: context)
        }
        self.channelReadComplete(context: context)
    }

    /// Has the routes answer the request that waits, and takes what came behind it.
    private func passWaiting(context: ChannelHandlerContext) {
        guard let waiting else { return }
        self.waiting = nil
        self.take(waiting.bytes, asks: false, context: context)
        self.channelReadComplete(context: context)
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

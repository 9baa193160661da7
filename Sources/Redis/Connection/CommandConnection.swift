import Metrics
import NIOCore
import Synchronization

/// Someone who waits for the replies of one submission.
enum CommandWaiter: Sendable {
    case one(CheckedContinuation<Result<RedisReply, RedisError>, Never>)
    case several(CheckedContinuation<Result<[RedisReply], RedisError>, Never>)

    func fail(with error: RedisError) {
        switch self {
        case .one(let continuation): continuation.resume(returning: .failure(error))
        case .several(let continuation): continuation.resume(returning: .failure(error))
        }
    }

    func succeed(with outcome: CommandQueue<CommandWaiter>.Outcome) {
        switch (self, outcome) {
        case (.one(let continuation), .one(let reply)): continuation.resume(returning: .success(reply))
        case (.several(let continuation), .several(let replies)): continuation.resume(returning: .success(replies))
        case (.several(let continuation), .one(let reply)): continuation.resume(returning: .success([reply]))
        case (.one, .several): preconditionFailure("one command has one reply")
        }
    }
}

/// One auto-pipelined connection: callers on any thread append to a queue, the first of a batch schedules the flush.
///
/// The connection ends on its event loop, with `onLoss` called once and before the waiting callers hear of it.
final class CommandConnection: ReplyReceiver {
    let session: UInt64
    /// Where there are sentinels.
    let hold: PrimaryHold?
    private let channel: any Channel
    private let queue: Mutex<CommandQueue<CommandWaiter>>
    private let lastID = Atomic<UInt64>(0)
    private let lostFor = Mutex<RedisConnectionLoss?>(nil)
    private let timer: NIOLoopBoundBox<Scheduled<Void>?>
    private let metrics: RedisMetrics
    private let onLoss: @Sendable (CommandConnection, RedisConnectionLoss) -> Void

    /// To be called on the channel's event loop.
    init(
        session: UInt64,
        hold: PrimaryHold?,
        channel: any Channel,
        maxQueued: Int,
        maxQueuedBytes: Int,
        metrics: RedisMetrics,
        onLoss: @escaping @Sendable (CommandConnection, RedisConnectionLoss) -> Void
    ) {
        self.session = session
        self.hold = hold
        self.channel = channel
        self.queue = Mutex(CommandQueue(limit: maxQueued, byteLimit: maxQueuedBytes))
        self.timer = NIOLoopBoundBox(nil, eventLoop: channel.eventLoop)
        self.metrics = metrics
        self.onLoss = onLoss
    }

    var eventLoop: any EventLoop { channel.eventLoop }
    var isOpen: Bool { queue.withLock { $0.isOpen } }
    /// Why it was lost; nil: it was not.
    var loss: RedisConnectionLoss? { lostFor.withLock { $0 } }

    /// Returns when the channel is closed.
    func untilClosed() async {
        // The close future never fails.
        try? await channel.closeFuture.get()
    }

    func execute(_ command: RedisCommand, timeout: TimeAmount) async -> Result<RedisReply, RedisError> {
        let id = nextID()
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                submit(id: id, count: 1, bytes: command.encodedSize, waiter: .one(continuation), timeout: timeout) {
                    command.write(to: &$0)
                }
            }
        } onCancel: {
            cancel(id: id)
        }
    }

    func execute(_ commands: [RedisCommand], timeout: TimeAmount) async -> Result<[RedisReply], RedisError> {
        guard !commands.isEmpty else { return .success([]) }
        let id = nextID()
        let bytes = commands.reduce(0) { $0 + $1.encodedSize }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                submit(
                    id: id,
                    count: commands.count,
                    bytes: bytes,
                    waiter: .several(continuation),
                    timeout: timeout
                ) { buffer in
                    for command in commands { command.write(to: &buffer) }
                }
            }
        } onCancel: {
            cancel(id: id)
        }
    }

    /// Takes no more commands, and closes when the replies that are outstanding have come or timed out.
    func drain() {
        eventLoop.execute { [self] in
            if queue.withLock({ $0.drainRequested() }) { close(.shutdown) }
        }
    }

    /// Closes at once; everyone who waits fails.
    func abandon(_ reason: RedisConnectionLoss) {
        eventLoop.execute { [self] in close(reason) }
    }

    func repliesReceived(_ replies: [RedisReply]) {
        var completions: [CommandQueue<CommandWaiter>.Completion] = []
        completions.reserveCapacity(replies.count)
        let action = queue.withLock { $0.repliesReceived(replies, completions: &completions) }
        let now = NIODeadline.now()
        for completion in completions {
            metrics.latency.recordNanoseconds((now - completion.submitted).nanoseconds)
            completion.waiter.succeed(with: completion.outcome)
        }
        switch action {
        case .carryOn: break
        case .drained: close(.shutdown)
        case .unsolicited: close(.protocolViolation("a reply to no command"))
        }
    }

    func connectionLost(_ reason: RedisConnectionLoss) {
        guard let failures = queue.withLock({ $0.connectionLost(reason, now: .now()) }) else { return }
        lostFor.withLock { $0 = reason }
        timer.value?.cancel()
        timer.value = nil
        onLoss(self, reason)
        for (waiter, error) in failures { waiter.fail(with: error) }
    }

    private func close(_ reason: RedisConnectionLoss) {
        connectionLost(reason)
        channel.close(promise: nil)
    }

    private func nextID() -> UInt64 {
        lastID.add(1, ordering: .relaxed).newValue
    }

    private func submit(
        id: UInt64,
        count: Int,
        bytes: Int,
        waiter: CommandWaiter,
        timeout: TimeAmount,
        write: @Sendable (inout ByteBuffer) -> Void
    ) {
        let now = NIODeadline.now()
        let action = queue.withLock { queue -> CommandQueue<CommandWaiter>.SubmitAction in
            // Under the lock: a cancellation either is seen here or finds the entry later.
            guard !Task.isCancelled else { return .refuse(.cancelled) }
            return queue.submitted(
                id: id,
                count: count,
                bytes: bytes,
                waiter: waiter,
                now: now,
                timeout: timeout,
                write: write
            )
        }
        switch action {
        case .accept(let scheduleFlush):
            if scheduleFlush { eventLoop.execute { [self] in flush() } }
        case .refuse(let error):
            waiter.fail(with: error)
        }
    }

    private func cancel(id: UInt64) {
        queue.withLock { $0.cancelled(id: id) }?.fail(with: .cancelled)
    }

    private func flush() {
        let action = queue.withLock { $0.flushed(now: .now()) }
        metrics.queueDepth.record(action.depth)
        if action.bytes.readableBytes > 0 { channel.writeAndFlush(action.bytes, promise: nil) }
        if let deadline = action.armTimer { arm(deadline) }
    }

    private func arm(_ deadline: NIODeadline) {
        timer.value?.cancel()
        timer.value = eventLoop.assumeIsolated().scheduleTask(deadline: deadline) { [self] in
            switch queue.withLock({ $0.timerFired(now: .now()) }) {
            case .nothing: break
            case .arm(let next): arm(next)
            case .expired: close(.commandTimeout)
            }
        }
    }
}

import NIOCore

/// The commands of one connection between being submitted and being answered: pure state, no I/O, no clock.
///
/// RESP has no request ids, so replies are matched by order alone: entries stand in the order in which their bytes were
/// appended to `outbound`, and each reply belongs to the first entry that is not complete. An entry therefore stays in
/// line when its caller gives up, until its replies have come. A reply that does not come cannot be skipped, so the
/// deadline of the first entry is the deadline of the connection.
///
/// A deadline is about the server. An event loop that was away, as those of a starved process are, has sent late and has not
/// read what may be there: what it sent late has its time from then on, and a timer that goes off late asks once more.
struct CommandQueue<Waiter: Sendable>: Sendable {
    struct Completion: Sendable {
        let waiter: Waiter
        let outcome: Outcome
        let submitted: NIODeadline
    }

    enum Outcome: Hashable {
        case one(RedisReply)
        case several([RedisReply])
    }

    enum SubmitAction: Hashable {
        /// Queued; the owner shall flush soon if told so, else a flush is under way.
        case accept(scheduleFlush: Bool)
        case refuse(RedisError)
    }

    struct FlushAction {
        var bytes: ByteBuffer
        /// When the deadline timer must fire, if it has to be set anew.
        var armTimer: NIODeadline?
        /// Commands without a reply.
        var depth: Int
    }

    enum ReplyAction: Hashable {
        case carryOn
        /// The last reply has come after `drainRequested`: close now.
        case drained
        /// A reply to nothing: close now.
        case unsolicited
    }

    enum TimerAction: Hashable {
        case nothing
        case arm(NIODeadline)
        case expired
    }

    private struct Entry: Sendable {
        let id: UInt64
        let count: Int
        let bytes: Int
        let submitted: NIODeadline
        var deadline: NIODeadline
        /// Nil when the caller was cancelled.
        var waiter: Waiter?
        var replies: [RedisReply] = []
    }

    private enum Phase {
        case open
        case draining
        case closed
    }

    /// What a loop may be late without having been away.
    private let punctual = TimeAmount.milliseconds(10)

    private let limit: Int
    private let byteLimit: Int
    private var phase = Phase.open
    private var entries = CircularBuffer<Entry>(initialCapacity: 128)
    private var depth = 0
    /// How many of the entries, the last ones, have not been flushed.
    private var unsent = 0
    /// The entry that was asked about once more.
    private var pardoned: UInt64?
    /// The bytes of the commands without all their replies.
    private var pendingBytes = 0
    private var outbound = ByteBuffer()
    private var flushIsScheduled = false
    private var armed: NIODeadline?

    init(limit: Int, byteLimit: Int) {
        self.limit = limit
        self.byteLimit = byteLimit
    }

    var isOpen: Bool { phase == .open }

    /// Commands shall be sent together; `write` appends their bytes, as many as `bytes` says.
    mutating func submitted(
        id: UInt64,
        count: Int,
        bytes: Int,
        waiter: Waiter,
        now: NIODeadline,
        timeout: TimeAmount,
        write: @Sendable (inout ByteBuffer) -> Void
    ) -> SubmitAction {
        guard phase == .open else { return .refuse(.notConnected) }
        guard depth + count <= limit, pendingBytes + bytes <= byteLimit else { return .refuse(.queueFull) }
        depth += count
        unsent += 1
        pendingBytes += bytes
        entries.append(
            Entry(id: id, count: count, bytes: bytes, submitted: now, deadline: now + timeout, waiter: waiter)
        )
        write(&outbound)
        defer { flushIsScheduled = true }
        return .accept(scheduleFlush: !flushIsScheduled)
    }

    /// The scheduled flush runs now.
    mutating func flushed(now: NIODeadline) -> FlushAction {
        flushIsScheduled = false
        if unsent > 0, now - entries[offset: entries.count - unsent].submitted > punctual {
            for index in entries.indices.suffix(unsent) {
                entries[index].deadline = entries[index].deadline + (now - entries[index].submitted)
            }
        }
        unsent = 0
        let bytes = outbound
        // The last batch is the best guess of the next one's size.
        outbound = ByteBufferAllocator().buffer(capacity: min(bytes.readableBytes, 64 * 1024))
        return FlushAction(bytes: bytes, armTimer: timerToArm(), depth: depth)
    }

    /// Replies came in, in order; those that complete an entry with a waiter are appended to `completions`.
    mutating func repliesReceived(_ replies: [RedisReply], completions: inout [Completion]) -> ReplyAction {
        guard phase != .closed else { return .carryOn }
        for reply in replies {
            guard !entries.isEmpty else { return .unsolicited }
            depth -= 1
            if entries[entries.startIndex].count == 1 {
                complete(with: .one(reply), completions: &completions)
            } else {
                entries[entries.startIndex].replies.append(reply)
                if entries[entries.startIndex].replies.count == entries[entries.startIndex].count {
                    complete(with: .several(entries[entries.startIndex].replies), completions: &completions)
                }
            }
        }
        return phase == .draining && entries.isEmpty ? .drained : .carryOn
    }

    /// The caller gave up: its waiter is handed back to be resumed, its place in line stays.
    mutating func cancelled(id: UInt64) -> Waiter? {
        guard let index = entries.firstIndex(where: { $0.id == id }) else { return nil }
        return entries[index].waiter.take()
    }

    /// The deadline timer went off.
    mutating func timerFired(now: NIODeadline) -> TimerAction {
        armed = nil
        guard phase != .closed, let first = entries.first else { return .nothing }
        if first.deadline <= now {
            let lateness: TimeAmount = now - first.deadline
            guard lateness > punctual, pardoned != first.id else { return .expired }
            pardoned = first.id
            let again = now + min(lateness, first.deadline - first.submitted)
            entries[entries.startIndex].deadline = again
            armed = again
            return .arm(again)
        }
        return timerToArm().map(TimerAction.arm) ?? .nothing
    }

    /// No more commands are taken; true when nothing is outstanding.
    mutating func drainRequested() -> Bool {
        guard phase == .open else { return false }
        phase = .draining
        return entries.isEmpty
    }

    /// The connection is over: nil if it was already, else everyone who waits and what to tell them.
    mutating func connectionLost(
        _ reason: RedisConnectionLoss,
        now: NIODeadline
    ) -> [(waiter: Waiter, error: RedisError)]? {
        guard phase != .closed else { return nil }
        phase = .closed
        let failures = entries.compactMap { entry in
            entry.waiter.map { ($0, entry.deadline <= now ? RedisError.timeout : .connectionLost(reason)) }
        }
        entries.removeAll()
        unsent = 0
        outbound = ByteBuffer()
        depth = 0
        pendingBytes = 0
        return failures
    }

    private mutating func complete(with outcome: Outcome, completions: inout [Completion]) {
        let entry = entries.removeFirst()
        unsent = min(unsent, entries.count)
        pendingBytes -= entry.bytes
        guard let waiter = entry.waiter else { return }
        completions.append(Completion(waiter: waiter, outcome: outcome, submitted: entry.submitted))
    }

    private mutating func timerToArm() -> NIODeadline? {
        guard let first = entries.first, armed.map({ first.deadline < $0 }) ?? true else { return nil }
        armed = first.deadline
        return first.deadline
    }
}

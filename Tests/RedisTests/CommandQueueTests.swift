import NIOCore
import Testing

@testable import Redis

@Suite("The command queue")
struct CommandQueueTests {
    typealias Queue = CommandQueue<String>

    @Test("the first of a batch asks for a flush, and the flush takes the bytes of all")
    func batching() {
        var queue = Queue(limit: 10, byteLimit: 1_000)
        #expect(queue.submit("a", at: 0) == .accept(scheduleFlush: true))
        #expect(queue.submit("b", at: 1) == .accept(scheduleFlush: false))
        let flush = queue.flushed()
        #expect(String(buffer: flush.bytes) == "ab")
        #expect(flush.depth == 2)
        #expect(flush.armTimer == time(100))

        #expect(queue.submit("c", at: 2) == .accept(scheduleFlush: true))
        let next = queue.flushed()
        #expect(String(buffer: next.bytes) == "c")
        #expect(next.armTimer == nil, "the timer is set already")
    }

    @Test("replies go to the waiters in order, and a pipeline waits for all of its own")
    func order() {
        var queue = Queue(limit: 10, byteLimit: 1_000)
        queue.submit("a", at: 0)
        queue.submit("p", count: 3, at: 5)
        queue.submit("b", at: 6)
        #expect(queue.receive([1, 2]) == ["a: 1"])
        #expect(queue.receive([3]) == [])
        #expect(queue.receive([4, 5]) == ["p: 2 3 4", "b: 5"])
    }

    @Test("commands are bounded, not submissions, and replies make room")
    func bound() {
        var queue = Queue(limit: 3, byteLimit: 1_000)
        queue.submit("p", count: 2, at: 0)
        #expect(queue.submit("q", count: 2, at: 0) == .refuse(.queueFull))
        #expect(queue.submit("a", at: 0) == .accept(scheduleFlush: false))
        #expect(queue.submit("b", at: 0) == .refuse(.queueFull))
        #expect(queue.receive([1]) == [])
        #expect(queue.submit("b", at: 0) == .accept(scheduleFlush: false))
    }

    @Test("bytes are bounded until the last reply, also of who has given up")
    func byteBound() {
        var queue = Queue(limit: 10, byteLimit: 8)
        queue.submit("five5", count: 2, at: 0)
        #expect(queue.submit("four", at: 0) == .refuse(.queueFull))
        #expect(queue.submit("abc", at: 0) == .accept(scheduleFlush: false))
        #expect(queue.submit("x", at: 0) == .refuse(.queueFull))
        _ = queue.flushed()
        #expect(queue.submit("x", at: 0) == .refuse(.queueFull), "sent is not answered")
        _ = queue.cancelled(id: "five5".id)
        #expect(queue.receive([1]) == [])
        #expect(queue.submit("x", at: 0) == .refuse(.queueFull))
        #expect(queue.receive([2]) == [])
        #expect(queue.submit("four5", at: 0) == .accept(scheduleFlush: true))
        #expect(queue.submit("larger than all", at: 0) == .refuse(.queueFull))
    }

    @Test("a cancelled waiter is handed back once, and its reply is still consumed")
    func cancellation() {
        var queue = Queue(limit: 10, byteLimit: 1_000)
        queue.submit("a", at: 0)
        queue.submit("b", at: 0)
        #expect(queue.cancelled(id: "a".id) == "a")
        #expect(queue.cancelled(id: "a".id) == nil)
        #expect(queue.cancelled(id: "z".id) == nil)
        #expect(queue.receive([1, 2]) == ["b: 2"])
        #expect(queue.cancelled(id: "b".id) == nil)
    }

    @Test("a reply to nothing is a violation")
    func unsolicited() {
        var queue = Queue(limit: 10, byteLimit: 1_000)
        var completions: [Queue.Completion] = []
        #expect(queue.repliesReceived([.integer(1)], completions: &completions) == .unsolicited)
        queue.submit("a", at: 0)
        #expect(queue.repliesReceived([.integer(1), .integer(2)], completions: &completions) == .unsolicited)
        #expect(completions.map(\.waiter) == ["a"])
    }

    @Test("the timer follows the oldest command")
    func timer() {
        var queue = Queue(limit: 10, byteLimit: 1_000)
        queue.submit("a", at: 0)
        #expect(queue.flushed().armTimer == time(100))
        queue.submit("b", at: 60)
        #expect(queue.flushed().armTimer == nil)
        #expect(queue.receive([1]) == ["a: 1"])
        #expect(queue.timerFired(now: time(100)) == .arm(time(160)))
        #expect(queue.timerFired(now: time(160)) == .expired)
    }

    @Test("what a loop sent late has its time from then on")
    func lateFlush() {
        var queue = Queue(limit: 10, byteLimit: 1_000)
        queue.submit("a", at: 0)
        queue.submit("b", at: 90)
        #expect(queue.flushed(at: 95).armTimer == time(195))
        #expect(queue.timerFired(now: time(195)) == .expired)

        queue = Queue(limit: 10, byteLimit: 1_000)
        queue.submit("a", at: 0)
        _ = queue.flushed(at: 5)
        queue.submit("b", at: 5)
        _ = queue.flushed(at: 60)
        #expect(queue.receive([1]) == ["a: 1"])
        #expect(queue.timerFired(now: time(100)) == .arm(time(160)))
        #expect(queue.timerFired(now: time(160)) == .expired)
    }

    @Test("a timer that goes off late asks once more, for as long as the loop was away")
    func lateTimer() {
        var queue = Queue(limit: 10, byteLimit: 1_000)
        queue.submit("a", at: 0)
        _ = queue.flushed()
        #expect(queue.timerFired(now: time(140)) == .arm(time(180)))
        queue.submit("b", at: 150)
        #expect(queue.flushed(at: 150).armTimer == nil)
        #expect(queue.timerFired(now: time(230)) == .expired, "only once")

        queue = Queue(limit: 10, byteLimit: 1_000)
        queue.submit("a", at: 0)
        _ = queue.flushed()
        #expect(queue.timerFired(now: time(5_000)) == .arm(time(5_100)), "not longer than it had")
        #expect(queue.receive([1]) == ["a: 1"])
        queue.submit("b", at: 5_100)
        #expect(queue.flushed(at: 5_100).armTimer == nil)
        #expect(queue.timerFired(now: time(5_100)) == .arm(time(5_200)))
    }

    @Test("the timer rests while nothing waits, and is set again by the next flush")
    func idleTimer() {
        var queue = Queue(limit: 10, byteLimit: 1_000)
        queue.submit("a", at: 0)
        _ = queue.flushed()
        #expect(queue.receive([1]) == ["a: 1"])
        #expect(queue.timerFired(now: time(100)) == .nothing)
        queue.submit("b", at: 500)
        #expect(queue.flushed().armTimer == time(600))
    }

    @Test("a shorter deadline than that of the handshake moves the timer forward")
    func earlierDeadline() {
        var queue = Queue(limit: 10, byteLimit: 1_000)
        queue.submit("handshake", at: 0, timeout: 1000)
        #expect(queue.flushed().armTimer == time(1000))
        #expect(queue.receive([1]) == ["handshake: 1"])
        queue.submit("a", at: 10)
        #expect(queue.flushed().armTimer == time(110))
    }

    @Test("a loss fails everyone once: the late with timeout, the others with the reason")
    func loss() throws {
        var queue = Queue(limit: 10, byteLimit: 1_000)
        queue.submit("late", at: 0)
        queue.submit("cancelled", at: 1)
        queue.submit("young", at: 50)
        _ = queue.cancelled(id: "cancelled".id)
        let lost = queue.connectionLost(.commandTimeout, now: time(100))
        let failures = try #require(lost)
        #expect(failures.map(\.waiter) == ["late", "young"])
        #expect(failures.map(\.error) == [.timeout, .connectionLost(.commandTimeout)])
        #expect(queue.connectionLost(.closedByServer, now: time(100)) == nil)
        #expect(!queue.isOpen)
        #expect(queue.submit("d", at: 101) == .refuse(.notConnected))
        #expect(queue.receive([1, 2, 3]) == [], "replies that come after the loss belong to no one")
        #expect(queue.flushed().bytes.readableBytes == 0)
        #expect(queue.timerFired(now: time(200)) == .nothing)
    }

    @Test("a drained queue takes no more and reports when the last reply has come")
    func drain() {
        var queue = Queue(limit: 10, byteLimit: 1_000)
        queue.submit("a", at: 0)
        queue.submit("b", at: 0)
        #expect(queue.drainRequested() == false)
        #expect(queue.submit("c", at: 0) == .refuse(.notConnected))
        var completions: [Queue.Completion] = []
        #expect(queue.repliesReceived([.integer(1)], completions: &completions) == .carryOn)
        #expect(queue.repliesReceived([.integer(2)], completions: &completions) == .drained)
        #expect(completions.count == 2)

        var idle = Queue(limit: 10, byteLimit: 1_000)
        #expect(idle.drainRequested() == true)
    }
}

private func time(_ milliseconds: Int) -> NIODeadline { .uptimeNanoseconds(UInt64(1_000_000 * (1000 + milliseconds))) }

extension String {
    fileprivate var id: UInt64 { utf8.reduce(0) { $0 &* 257 &+ UInt64($1) } }
}

extension CommandQueue<String> {
    @discardableResult
    fileprivate mutating func submit(
        _ waiter: String,
        count: Int = 1,
        at milliseconds: Int,
        timeout: Int64 = 100
    ) -> SubmitAction {
        let now = time(milliseconds)
        return submitted(
            id: waiter.id,
            count: count,
            bytes: waiter.utf8.count,
            waiter: waiter,
            now: now,
            timeout: .milliseconds(timeout)
        ) {
            $0.writeString(waiter)
        }
    }

    fileprivate mutating func flushed(at milliseconds: Int = 0) -> FlushAction {
        flushed(now: time(milliseconds))
    }

    fileprivate mutating func receive(_ numbers: [Int64]) -> [String] {
        var completions: [Completion] = []
        _ = repliesReceived(numbers.map(RedisReply.integer), completions: &completions)
        return completions.map { completion in
            switch completion.outcome {
            case .one(.integer(let number)): "\(completion.waiter): \(number)"
            case .several(let replies):
                "\(completion.waiter):"
                    + replies.map { if case .integer(let number) = $0 { " \(number)" } else { " ?" } }.joined()
            default: "?"
            }
        }
    }
}

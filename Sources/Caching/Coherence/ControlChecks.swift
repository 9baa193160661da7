import Synchronization

/// Requests that wait for a read of the control log begun after they arrived. One read serves all that wait when it begins.
final class ControlChecks: Sendable {
    private struct Waiter {
        let number: UInt64
        let since: ContinuousClock.Instant
        let continuation: CheckedContinuation<Bool, Never>
    }

    private struct State {
        /// In order of number.
        var waiting: [Waiter] = []
        var lastNumber: UInt64 = 0
        var stopped = false
    }

    private let state = Mutex(State())
    private let signals: AsyncStream<Void>
    private let signal: AsyncStream<Void>.Continuation

    init() {
        (self.signals, self.signal) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// Asks for a read without waiting for it.
    func request() {
        self.signal.yield()
    }

    /// Waits for a read begun from now on; false: it failed, took too long, or the node is stopping.
    func wait(since now: ContinuousClock.Instant) async -> Bool {
        await withCheckedContinuation { continuation in
            let stopped = self.state.withLock { state in
                if !state.stopped {
                    state.lastNumber += 1
                    state.waiting.append(Waiter(number: state.lastNumber, since: now, continuation: continuation))
                }
                return state.stopped
            }
            if stopped { continuation.resume(returning: false) } else { self.signal.yield() }
        }
    }

    /// Sends away who has waited since before a moment: a store that hangs must not hang every request.
    func expire(waitingSince limit: ContinuousClock.Instant) {
        let late = self.state.withLock { state in
            let count = state.waiting.prefix { $0.since < limit }.count
            defer { state.waiting.removeFirst(count) }
            return state.waiting.prefix(count).map(\.continuation)
        }
        for waiter in late { waiter.resume(returning: false) }
    }

    /// Runs `read` once for each batch of requests, until cancelled.
    func run(_ read: () async -> Bool) async {
        for await _ in self.signals {
            // Those who are waiting now are answered by this read, and may be sent away while it runs.
            let last = self.state.withLock { $0.lastNumber }
            let succeeded = await read()
            let batch = self.state.withLock { state in
                let count = state.waiting.prefix { $0.number <= last }.count
                defer { state.waiting.removeFirst(count) }
                return state.waiting.prefix(count).map(\.continuation)
            }
            for waiter in batch { waiter.resume(returning: succeeded) }
        }
        let rest = self.state.withLock { state in
            state.stopped = true
            defer { state.waiting = [] }
            return state.waiting.map(\.continuation)
        }
        for waiter in rest { waiter.resume(returning: false) }
    }
}

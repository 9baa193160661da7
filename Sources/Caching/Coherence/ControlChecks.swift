import Synchronization

/// Requests that wait for a read of the control log begun after they arrived. One read serves all that wait when it begins.
final class ControlChecks: Sendable {
    private struct State {
        var waiting: [CheckedContinuation<Bool, Never>] = []
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

    /// Waits for a read begun from now on; false: it failed, or the node is stopping.
    func wait() async -> Bool {
        await withCheckedContinuation { continuation in
            let stopped = self.state.withLock { state in
                if !state.stopped { state.waiting.append(continuation) }
                return state.stopped
            }
            if stopped { continuation.resume(returning: false) } else { self.signal.yield() }
        }
    }

    /// Runs `read` once for each batch of requests, until cancelled.
    func run(_ read: () async -> Bool) async {
        for await _ in self.signals {
            let batch = self.state.withLock { state in
                defer { state.waiting = [] }
                return state.waiting
            }
            let succeeded = await read()
            for waiter in batch { waiter.resume(returning: succeeded) }
        }
        let rest = self.state.withLock { state in
            state.stopped = true
            defer { state.waiting = [] }
            return state.waiting
        }
        for waiter in rest { waiter.resume(returning: false) }
    }
}

import Synchronization

/// Refreshes that no request waits for to the end: children of the cache's own service task, bounded in number.
final class RefreshQueue: Sendable {
    struct Job: Sendable {
        let run: @Sendable () async -> Void
        /// Called instead, where the service stops first.
        let abandon: @Sendable () -> Void
    }

    private struct State {
        var isOpen = false
        var waiting: [Job] = []
        /// Waiting and under way.
        var count = 0
    }

    private let state = Mutex(State())
    private let maximum: Int
    private let signals: AsyncStream<Void>
    private let signal: AsyncStream<Void>.Continuation

    /// - Parameter maximum: Jobs that wait or run at once.
    init(maximum: Int) {
        self.maximum = maximum
        (self.signals, self.signal) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// Whether jobs are taken at all.
    var isOpen: Bool { self.state.withLock { $0.isOpen } }

    /// Takes a job; false where the queue is full or the service does not run.
    func submit(_ job: Job) -> Bool {
        let isTaken = self.state.withLock { state in
            guard state.isOpen, state.count < self.maximum else { return false }
            state.waiting.append(job)
            state.count += 1
            return true
        }
        if isTaken { self.signal.yield() }
        return isTaken
    }

    /// Runs jobs until cancelled.
    func run() async {
        self.state.withLock { $0.isOpen = true }
        await withDiscardingTaskGroup { group in
            for await _ in self.signals {
                let jobs = self.state.withLock { state in
                    defer { state.waiting = [] }
                    return state.waiting
                }
                for job in jobs {
                    group.addTask {
                        await job.run()
                        self.state.withLock { $0.count -= 1 }
                    }
                }
            }
        }
        let left = self.state.withLock { state in
            state.isOpen = false
            defer { state.waiting = [] }
            state.count -= state.waiting.count
            return state.waiting
        }
        for job in left { job.abandon() }
    }
}

import ServiceLifecycle
import Serving
import Synchronization

/// Answers in time, also where the work does not end.
///
/// Each request's work is a task of its own that starts in place; where it ends without having waited, which is so for an
/// answer from memory, nothing else happens. Otherwise its caller waits, noted here, and ``run()`` looks at what is noted
/// every tick: one timer for all requests, as starting and stopping one for each would cost more than most answers. Work
/// that is late is cancelled and its caller answered; work that does not heed this is waited for by ``run()``, so that no
/// task outlives the service.
final class Deadlines: Service, Sendable {
    private struct Waiting {
        let deadline: ContinuousClock.Instant
        let race: Race<Result<Answer, Problem>>
        let work: Task<Void, Never>
    }

    private let limit: Duration
    private let tick: Duration
    private let now: @Sendable () -> ContinuousClock.Instant
    private let waiting = Mutex<[ObjectIdentifier: Waiting]>([:])

    init(
        limit: Duration,
        tick: Duration? = nil,
        now: @escaping @Sendable () -> ContinuousClock.Instant = { ContinuousClock.now }
    ) {
        self.limit = limit
        self.tick = tick ?? max(.milliseconds(1), min(.milliseconds(50), limit / 10))
        self.now = now
    }

    /// How many callers wait.
    var count: Int { self.waiting.withLock { $0.count } }

    /// How long some work may take.
    func time(within asked: Duration?, extra: Duration = .zero) -> Duration {
        let limit = self.limit + extra
        return min(limit, asked ?? limit)
    }

    /// The result of some work, or 504.
    ///
    /// - Parameters:
    ///   - asked: What the caller waits at most; nil, or more than the limit: the limit holds. It is kept to a tick.
    ///   - extra: By how much longer than the limit it may take.
    func run(
        within asked: Duration? = nil,
        extra: Duration = .zero,
        _ operation: @escaping @Sendable () async -> Result<Answer, Problem>
    ) async throws(Problem) -> Answer {
        let race = Race<Result<Answer, Problem>>()
        let work = Task.begun { race.finish(await operation()) }
        if let result = race.result { return try result.get() }
        let key = ObjectIdentifier(race)
        let entry = Waiting(deadline: self.now() + self.time(within: asked, extra: extra), race: race, work: work)
        self.waiting.withLock { $0[key] = entry }
        let result = await withTaskCancellationHandler {
            await race.wait()
        } onCancel: {
            work.cancel()
        }
        _ = self.waiting.withLock { $0.removeValue(forKey: key) }
        return try result.get()
    }

    func run() async throws {
        await withDiscardingTaskGroup { late in
            while !Task.isCancelled, !Task.isShuttingDownGracefully {
                for work in self.expire() { late.addTask { await work.value } }
                do {
                    try await cancelWhenGracefulShutdown { try await Task.sleep(for: self.tick) }
                } catch {
                    break
                }
            }
            for work in self.expire() { late.addTask { await work.value } }
        }
    }

    /// Answers whoever has waited for too long; the work that was cancelled.
    func expire() -> [Task<Void, Never>] {
        let now = self.now()
        let late = self.waiting.withLock { waiting in
            let late = waiting.filter { $0.value.deadline <= now }
            for key in late.keys { waiting[key] = nil }
            return late
        }
        for entry in late.values {
            entry.race.finish(.failure(.deadlineExceeded))
            entry.work.cancel()
        }
        return late.values.map(\.work)
    }
}

import RecommendationCore
import ServiceLifecycle

/// Waits for work no longer than its stage may take.
///
/// Work that is late is cancelled and not waited for by its caller: what it waits for may not end with it. ``run()`` waits for
/// it, so that no task outlives the service.
package final class StageClock: Service, Sendable {
    private let late: AsyncStream<Task<Void, Never>>
    private let lated: AsyncStream<Task<Void, Never>>.Continuation

    package init() {
        (self.late, self.lated) = AsyncStream.makeStream()
    }

    /// What comes of some work; nil: nothing has in time.
    ///
    /// - Parameter end: When its time is up; nil: it has all the time.
    func value<Value: Sendable>(
        by end: ContinuousClock.Instant?,
        _ work: @escaping @Sendable () async -> Value
    ) async -> Value? {
        guard let end else { return await work() }
        guard ContinuousClock.now < end else { return nil }
        let race = Race<Value?>()
        let task = Task.begun { race.finish(await work()) }
        if let result = race.result { return result }
        let timer = Task.begun {
            try? await Task.sleep(until: end, clock: .continuous)
            race.finish(nil)
        }
        let value = await withTaskCancellationHandler {
            await race.wait()
        } onCancel: {
            task.cancel()
        }
        timer.cancel()
        guard value == nil else { return value }
        task.cancel()
        self.lated.yield(task)
        return nil
    }

    package func run() async {
        await withDiscardingTaskGroup { group in
            for await task in self.late.cancelOnGracefulShutdown() { group.addTask { await task.value } }
        }
    }
}

extension StageClock {
    /// What comes of some work by the end of its stage.
    ///
    /// - Throws: `lateness` where nothing has in time.
    func value<Value: Sendable, Failure: Error>(
        by end: ContinuousClock.Instant?,
        orThrow lateness: Failure,
        _ work: @escaping @Sendable () async throws(Failure) -> Value
    ) async throws(Failure) -> Value {
        let result = await self.value(by: end) { () async -> Result<Value, Failure> in
            do throws(Failure) {
                return .success(try await work())
            } catch {
                return .failure(error)
            }
        }
        guard let result else { throw lateness }
        return try result.get()
    }
}

extension ServingContext {
    /// What comes of work on a pool, by the end of a stage.
    func timed<Value: Sendable>(
        by end: ContinuousClock.Instant?,
        _ work: @escaping @Sendable () async throws(PoolFailure) -> Value
    ) async throws(PoolFailure) -> Value {
        try await self.clock.value(by: end, orThrow: PoolFailure.deadline, work)
    }
}

extension RepositoryError {
    /// A store was not waited for any longer.
    static let late = RepositoryError.unavailable("no time is left")
}

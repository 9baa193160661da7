import Logging
import NIOPosix
import ServiceLifecycle
import Synchronization

/// Blocking connections on driver threads of their own, one thread for each slot.
///
/// A call costs one hop: acquire, statements, decoding and release all happen in one work item. A thread that has ended a call
/// goes on with the next one in line itself.
final class ConnectionPool: Sendable {
    private typealias ReleaseAction = PoolStateMachine<PoolRequest>.ReleaseAction

    private struct State {
        var machine: PoolStateMachine<PoolRequest>
        var drained: CheckedContinuation<Void, Never>?
    }

    private let state: Mutex<State>
    private let slots: [ConnectionSlot]
    private let threads: NIOThreadPool
    private let acquireTimeout: Duration
    let metrics: PostgresMetrics
    private let logger: Logger
    private let ids = Atomic<UInt64>(0)
    private let timers: AsyncStream<ContinuousClock.Instant>
    private let timersInput: AsyncStream<ContinuousClock.Instant>.Continuation

    init(
        size: Int,
        isPinned: Bool,
        configuration: PostgresConfiguration,
        canceller: Canceller,
        metrics: PostgresMetrics,
        logger: Logger
    ) {
        state = Mutex(State(machine: PoolStateMachine(slots: size, maxWaiters: configuration.maxWaiters)))
        slots = (0..<size).map { _ in
            ConnectionSlot(
                configuration: configuration,
                canceller: canceller,
                metrics: metrics,
                logger: logger,
                isPinned: isPinned
            )
        }
        threads = NIOThreadPool(numberOfThreads: size)
        acquireTimeout = configuration.acquireTimeout
        self.metrics = metrics
        self.logger = logger
        (timers, timersInput) = AsyncStream.makeStream(of: ContinuousClock.Instant.self)
    }

    /// What a call came to; without the type of its value, so that the way there and back is compiled once.
    private struct Ending: Sendable {
        /// nil: it failed with `error`.
        var value: (any Sendable)?
        /// What the retry rule judges; beside a value, an error within it.
        var error: PostgresError?
    }

    private struct Reading: Sendable {
        let statement: PostgresStatement
        let bindings: PostgresBindings
        let decode: @Sendable (borrowing ServerResult) -> Ending
    }

    /// Runs `body` with a connection on a driver thread; `timeout` covers the wait for the connection too.
    ///
    /// It may run again by the rule, also where `failure` finds an error in what it returned.
    func withConnection<Value: Sendable>(
        timeout: Duration? = nil,
        retry: RetryRule = .unsent,
        failure: @escaping @Sendable (Value) -> PostgresError? = { _ in nil },
        _ body: @escaping @Sendable (Connection) throws(PostgresError) -> Value
    ) async throws(PostgresError) -> Value {
        let ending = await perform(timeout: timeout, retry: retry) { connection in
            do throws(PostgresError) {
                let value = try body(connection)
                return Ending(value: value, error: failure(value))
            } catch {
                return Ending(value: nil, error: error)
            }
        }
        return try value(of: ending)
    }

    /// Runs one statement that changes nothing, alone or together with others in line.
    func withResult<Value: Sendable>(
        of statement: PostgresStatement,
        _ bindings: PostgresBindings,
        timeout: Duration?,
        _ decode: @escaping @Sendable (borrowing ServerResult) throws(PostgresError) -> Value
    ) async throws(PostgresError) -> Value {
        let reading = Reading(statement: statement, bindings: bindings) { result in
            do throws(PostgresError) {
                return Ending(value: try decode(result), error: nil)
            } catch {
                return Ending(value: nil, error: error)
            }
        }
        let ending = await perform(timeout: timeout, retry: .reads, reading: reading) { connection in
            do throws(PostgresError) {
                return reading.decode(try connection.run(statement, bindings))
            } catch {
                return Ending(value: nil, error: error)
            }
        }
        return try value(of: ending)
    }

    private func value<Value: Sendable>(of ending: Ending) throws(PostgresError) -> Value {
        if let any = ending.value, let value = any as? Value { return value }
        let error = ending.error ?? .shutDown
        metrics.failed(error)
        throw error
    }

    private func perform(
        timeout: Duration?,
        retry: RetryRule,
        reading: Reading? = nil,
        _ body: @escaping @Sendable (Connection) -> Ending
    ) async -> Ending {
        let now = ContinuousClock.now
        let deadline = timeout.map { now + $0 }
        let acquireLimit = now + acquireTimeout
        let id = ids.wrappingAdd(1, ordering: .relaxed).newValue
        let metrics = metrics
        return await withTaskCancellationHandler {
            await withCheckedContinuation { (caller: CheckedContinuation<Ending, Never>) in
                let read = reading.map { reading in
                    PoolRead(statement: reading.statement, bindings: reading.bindings) { result, began in
                        metrics.waited(now.duration(to: began))
                        let ending = reading.decode(result)
                        metrics.callEnded(after: began.duration(to: .now))
                        caller.resume(returning: ending)
                    }
                }
                let request = PoolRequest(id: id, deadline: deadline, read: read) { connection, attempt in
                    let started = ContinuousClock.now
                    if attempt == 1 { metrics.waited(now.duration(to: started)) }
                    let ending = body(connection)
                    let duration = started.duration(to: .now)
                    metrics.callEnded(after: duration)
                    guard let error = ending.error else {
                        return .ended(
                            PoolRequest.Ended(wasQuick: duration <= SharedReads.quick) {
                                caller.resume(returning: ending)
                            }
                        )
                    }
                    if retry.allows(error, hasSent: connection.hasSent, attempt: attempt) {
                        metrics.retried()
                        return .again
                    }
                    return .ended(PoolRequest.Ended { caller.resume(returning: ending) })
                } refuse: { error in
                    caller.resume(returning: Ending(value: nil, error: error))
                }
                submit(request, acquireBy: min(acquireLimit, deadline ?? acquireLimit))
                // A cancellation before the arrival found no request to cancel.
                if Task.isCancelled { cancel(id) }
            }
        } onCancel: {
            cancel(id)
        }
    }

    private func submit(_ request: PoolRequest, acquireBy deadline: ContinuousClock.Instant) {
        obey(change { $0.requestArrived(request, id: request.id, deadline: deadline) })
    }

    private func obey(_ action: PoolStateMachine<PoolRequest>.ArrivalAction) {
        switch action {
        case .run(let slot, let request): start(request, on: slot)
        case .wait(let timer): if let timer { timersInput.yield(timer) }
        case .refuse(let request, let error): request.refuse(error)
        }
    }

    private func cancel(_ id: UInt64) {
        // The interrupt is raised under the lock: the slot must not go to another request meanwhile.
        let refused = change { machine -> PoolRequest? in
            switch machine.requestCancelled(id) {
            case .refuse(let request): return request
            case .interrupt(let slot): slots[slot].interrupt.raise(for: id)
            case .nothing: break
            }
            return nil
        }
        refused?.refuse(.cancelled)
    }

    private func start(_ request: PoolRequest, on slot: Int) {
        threads.submit { [self] state in
            guard state == .active else {
                // Only after shutdown, which waits for all slots: a call that slipped in between.
                if case .close = release(slot) { close(slot) }
                return request.refuse(.shutDown)
            }
            var action = run(request, on: slot)
            while true {
                switch action {
                case .run(let next): action = run(next, on: slot, atOnce: true)
                case .runTogether(let requests): action = runTogether(requests, on: slot)
                case .close: return close(slot)
                case .keepIdle: return
                }
            }
        }
    }

    private func run(_ request: PoolRequest, on slot: Int, atOnce: Bool = false) -> ReleaseAction {
        let ended = slots[slot].run(request, atOnce: atOnce)
        let action = release(slot, sharing: ended.wasQuick ? request.read?.statement : nil)
        ended.complete()
        return action
    }

    private func runTogether(_ requests: [PoolRequest], on slot: Int) -> ReleaseAction {
        let completed = slots[slot].runTogether(requests.compactMap(\.read))
        guard completed < requests.count else { return release(slot, sharing: requests[0].read?.statement) }
        giveBack(requests.dropFirst(completed), from: slot)
        return release(slot)
    }

    /// Lets reads run alone that were left without rows.
    private func giveBack(_ requests: ArraySlice<PoolRequest>, from slot: Int) {
        let limit = ContinuousClock.now + acquireTimeout
        let actions = change { machine in
            requests.reversed().map { request in
                var request = request
                request.read = nil
                let deadline = min(limit, request.deadline ?? limit)
                return machine.requestReturned(request, id: request.id, from: slot, deadline: deadline)
            }
        }
        for action in actions {
            if case .refuse = action {} else { metrics.retried() }
            obey(action)
        }
    }

    /// Frees a slot for the next; with a statement, for several that run it and have time enough.
    private func release(_ slot: Int, sharing statement: PostgresStatement? = nil) -> ReleaseAction {
        guard let statement else { return change { $0.slotReleased(slot) } }
        let least = ContinuousClock.now + SharedReads.patience
        return change { machine in
            machine.slotReleased(slot) { request in
                request.read?.statement == statement && request.deadline.map { $0 > least } ?? true
            }
        }
    }

    private func close(_ slot: Int) {
        slots[slot].close()
        if change({ $0.slotClosed() }) { state.withLock { $0.drained.take() }?.resume() }
    }

    /// The gauges are set under the lock, so that the last one set is the last one true.
    private func change<Result: Sendable>(_ body: (inout PoolStateMachine<PoolRequest>) -> Result) -> Result {
        state.withLock { state in
            let result = body(&state.machine)
            metrics.poolChanged(
                idle: state.machine.idleCount,
                busy: state.machine.busyCount,
                waiting: state.machine.waitingCount
            )
            return result
        }
    }

    // MARK: Life

    /// Serves calls until shutdown or cancellation, and returns when all connections are closed.
    ///
    /// Graceful shutdown lets running calls end; cancellation interrupts them.
    func run() async {
        let misuse: Logger.Message = "the Postgres client runs already, or has shut down"
        guard state.withLock({ $0.machine.phase }) == .created else { return logger.error(misuse) }
        // First of all: a call that arrives once the pool has started is handed to them.
        threads.start()
        guard let waiting = change({ $0.started() }) else {
            logger.error(misuse)
            if state.withLock({ $0.machine.phase }) != .running { await stopThreads() }
            return
        }
        for (slot, request) in waiting { start(request, on: slot) }
        await withTaskCancellationHandler {
            await withGracefulShutdownHandler {
                await withDiscardingTaskGroup { group in
                    for await deadline in timers {
                        group.addTask { await self.expire(at: deadline) }
                    }
                    group.cancelAll()
                }
            } onGracefulShutdown: {
                self.shutDown()
            }
        } onCancel: {
            self.shutDown(interrupting: true)
        }
        await withCheckedContinuation { continuation in
            let isStopped = state.withLock { state in
                if state.machine.phase == .stopped { return true }
                state.drained = continuation
                return false
            }
            if isStopped { continuation.resume() }
        }
        await stopThreads()
    }

    private func stopThreads() async {
        do {
            try await threads.shutdownGracefully()
        } catch {
            logger.error("the driver threads did not stop", metadata: ["error": "\(error)"])
        }
    }

    /// Refuses all further calls and closes connections as they become free.
    func shutDown(interrupting: Bool = false) {
        let (refused, idle) = change { machine in
            let action = machine.shutdownBegan()
            if interrupting {
                for (slot, id) in machine.running {
                    if case .interrupt = machine.requestCancelled(id) { slots[slot].interrupt.raise(for: id) }
                }
            }
            return action
        }
        for request in refused { request.refuse(.shutDown) }
        for slot in idle {
            threads.submit { _ in self.close(slot) }
        }
        timersInput.finish()
    }

    private func expire(at deadline: ContinuousClock.Instant) async {
        do {
            try await ContinuousClock().sleep(until: deadline)
        } catch {
            return
        }
        let (expired, next) = change { $0.timerFired(at: .now) }
        for request in expired { request.refuse(.poolTimeout) }
        if let next { timersInput.yield(next) }
    }
}

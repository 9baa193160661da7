import Metrics
public import ServiceLifecycle
import Synchronization

/// Turns single reads that come at the same time into one.
///
/// A read waits until the batcher's task runs next, a tick, and goes out with all that came meanwhile; while as many batches
/// are under way as may be, what comes is gathered for the next. A batch is sent after the last of its members was asked for,
/// so each is read from a snapshot opened after its own request began. Batches belong to ``run()``: a caller that is
/// cancelled before its batch is sent leaves, and no caller's end ends a batch for the others. While the service does not run, each read goes out alone.
public final class TickBatcher<Request: Sendable, Response: Sendable, Failure: Error>: Service, Sendable {
    /// Reads many at once, in order.
    public typealias Read = @Sendable ([Request]) async throws(Failure) -> [Response]

    private struct Waiter {
        let id: UInt64
        let request: Request
        let continuation: CheckedContinuation<Result<Response, Failure>, Never>
    }

    private struct State {
        var isRunning = false
        var nextID: UInt64 = 0
        var pending: [Waiter] = []
        var underWay = 0
    }

    private let state = Mutex(State())
    private let maximumSize: Int
    private let width: Int
    private let cancelled: Failure
    private let read: Read
    private let signals: AsyncStream<Void>
    private let signal: AsyncStream<Void>.Continuation
    private let sizes: Recorder

    /// - Parameters:
    ///   - name: The value of the label `read`.
    ///   - maximumSize: Requests in one batch.
    ///   - width: Batches under way at once.
    ///   - cancelled: What a caller gets that is cancelled, or that waits when the service stops.
    public init(name: String, maximumSize: Int, width: Int, cancelled: Failure, read: @escaping Read) {
        self.maximumSize = max(1, maximumSize)
        self.width = max(1, width)
        self.cancelled = cancelled
        self.read = read
        self.sizes = Recorder(label: "vireo_cache_batch_size", dimensions: [("read", name)])
        (self.signals, self.signal) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// Reads one, together with whoever else reads now.
    public func load(_ request: Request) async throws(Failure) -> Response {
        guard self.isRunning else {
            let responses = try await self.read([request])
            return responses[0]
        }
        let id = self.state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { (continuation: CheckedContinuation<Result<Response, Failure>, Never>) in
                let isRefused = self.state.withLock { state in
                    if Task.isCancelled || !state.isRunning { return true }
                    state.pending.append(Waiter(id: id, request: request, continuation: continuation))
                    return false
                }
                if isRefused {
                    continuation.resume(returning: .failure(self.cancelled))
                } else {
                    self.signal.yield()
                }
            }
        } onCancel: {
            let waiter = self.state.withLock { state in
                state.pending.firstIndex { $0.id == id }.map { state.pending.remove(at: $0) }
            }
            waiter?.continuation.resume(returning: .failure(self.cancelled))
        }
        return try result.get()
    }

    /// Sends batches until the service is shut down.
    public func run() async throws {
        self.state.withLock { $0.isRunning = true }
        await cancelWhenGracefulShutdown {
            await withDiscardingTaskGroup { group in
                for await _ in self.signals {
                    while let batch = self.next() {
                        group.addTask { await self.send(batch) }
                    }
                }
            }
        }
        let rest = self.state.withLock { state in
            state.isRunning = false
            defer { state.pending = [] }
            return state.pending
        }
        for waiter in rest { waiter.continuation.resume(returning: .failure(self.cancelled)) }
    }

    /// Whether reads go out in batches.
    public var isRunning: Bool { self.state.withLock { $0.isRunning } }
    /// Reads that wait for their batch to be sent.
    public var waiting: Int { self.state.withLock { $0.pending.count } }

    private func next() -> [Waiter]? {
        self.state.withLock { state in
            guard !state.pending.isEmpty, state.underWay < self.width else { return nil }
            state.underWay += 1
            let batch = Array(state.pending.prefix(self.maximumSize))
            state.pending.removeFirst(batch.count)
            return batch
        }
    }

    private func send(_ batch: [Waiter]) async {
        self.sizes.record(batch.count)
        let result: Result<[Response], Failure>
        do throws(Failure) {
            result = .success(try await self.read(batch.map(\.request)))
        } catch {
            result = .failure(error)
        }
        let isMore = self.state.withLock { state in
            state.underWay -= 1
            return !state.pending.isEmpty
        }
        if isMore { self.signal.yield() }
        for (place, waiter) in batch.enumerated() {
            waiter.continuation.resume(returning: result.map { $0[place] })
        }
    }
}

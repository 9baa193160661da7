internal import CLibpq
import NIOPosix
import Synchronization

/// Sends cancel requests on a thread of its own.
///
/// `PQcancel` opens a connection and waits for the server to close it, without any time limit: on a frozen server it
/// hangs. Here that costs this one thread, while driver threads wait for a bounded time and then drop the connection.
final class Canceller: Sendable {
    private let thread = NIOThreadPool(numberOfThreads: 1)

    func start() {
        thread.start()
    }

    /// Does not wait for a request that hangs.
    func stop() {
        thread.shutdownGracefully { _ in }
    }

    func send(_ request: CancelRequest) {
        thread.submit { state in
            if state == .active { request.send() }
        }
    }
}

/// One cancel request for whatever a connection is running.
@safe
final class CancelRequest: Sendable {
    // PQcancel is thread-safe by contract (it may be called in a signal handler), and a PGcancel never changes.
    private nonisolated(unsafe) let handle: OpaquePointer
    private let interrupt: Interrupt
    private let done = Atomic<Bool>(false)

    /// Takes over `handle`, made by `PQgetCancel`.
    init(handle: OpaquePointer, interrupt: Interrupt) {
        unsafe self.handle = unsafe handle
        self.interrupt = interrupt
    }

    deinit {
        unsafe PQfreeCancel(handle)
    }

    /// Whether the server has the signal: from then on, the next statement is safe from it.
    var isDone: Bool { done.load(ordering: .acquiring) }

    fileprivate func send() {
        unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { message in
            // A refused request is not an error: the statement's own end or the grace time decides.
            _ = unsafe PQcancel(handle, message.baseAddress, CInt(message.count))
        }
        done.store(true, ordering: .releasing)
        interrupt.poke()
    }
}

import Synchronization

/// One result, of those that may come: the first counts.
package final class Race<Result: Sendable>: Sendable {
    private enum State {
        case running
        case awaited(CheckedContinuation<Result, Never>)
        case finished(Result)
    }

    private let state = Mutex(State.running)

    package init() {}

    /// The result, if there is one already.
    package var result: Result? {
        self.state.withLock { state in
            guard case .finished(let result) = state else { return nil }
            return result
        }
    }

    package func finish(_ result: Result) {
        let continuation = self.state.withLock { state -> CheckedContinuation<Result, Never>? in
            switch state {
            case .running:
                state = .finished(result)
                return nil
            case .awaited(let continuation):
                state = .finished(result)
                return continuation
            case .finished:
                return nil
            }
        }
        continuation?.resume(returning: result)
    }

    /// Waits for the result; one caller may.
    package func wait() async -> Result {
        await withCheckedContinuation { continuation in
            let result = self.state.withLock { state -> Result? in
                if case .finished(let result) = state { return result }
                state = .awaited(continuation)
                return nil
            }
            if let result { continuation.resume(returning: result) }
        }
    }
}

extension Task where Success == Void, Failure == Never {
    /// Begins on the caller's thread and goes on there until the work first waits.
    package static func begun(_ work: @escaping @Sendable () async -> Void) -> Self {
        if #available(macOS 26, *) {
            Task.immediate { await work() }
        } else {
            Task { await work() }
        }
    }
}

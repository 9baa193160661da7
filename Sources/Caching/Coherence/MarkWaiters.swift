import Synchronization

/// Callers that wait until something has reached a mark of theirs.
final class MarkWaiters<Mark: Sendable>: Sendable {
    private struct Waiter {
        let id: UInt64
        let mark: Mark
        let continuation: CheckedContinuation<Bool, Never>
    }

    private struct State {
        var waiting: [Waiter] = []
        var lastID: UInt64 = 0
        var isOver = false
    }

    private let state = Mutex(State())

    var isEmpty: Bool { self.state.withLock { $0.waiting.isEmpty } }

    /// Waits for ``reached(_:)`` to say that a mark is reached.
    ///
    /// - Parameters:
    ///   - check: Called when the wait has begun; true: the mark is reached already.
    ///   - limit: Returns when the wait is to end; cancelled when it has.
    /// - Returns: False: the mark was not reached by then, or the caller was cancelled.
    func wait(
        for mark: Mark,
        check: @escaping @Sendable () -> Bool,
        limit: @escaping @Sendable () async -> Void
    ) async -> Bool {
        await withTaskGroup(of: Bool.self) { group in
            let id = self.state.withLock { state in
                state.lastID += 1
                return state.lastID
            }
            group.addTask { await self.suspend(mark, id, check) }
            group.addTask {
                await limit()
                self.end(id, isReached: false)
                return false
            }
            let first = await group.next() ?? false
            group.cancelAll()
            // The other may have begun to wait after it was given up.
            self.end(id, isReached: false)
            return first
        }
    }

    private func suspend(_ mark: Mark, _ id: UInt64, _ check: () -> Bool) async -> Bool {
        await withCheckedContinuation { continuation in
            let isEnded = self.state.withLock { state in
                if state.isOver || Task.isCancelled { return true }
                state.waiting.append(Waiter(id: id, mark: mark, continuation: continuation))
                return false
            }
            if isEnded {
                continuation.resume(returning: false)
            } else if check() {
                self.end(id, isReached: true)
            }
        }
    }

    private func end(_ id: UInt64, isReached: Bool) {
        let waiter = self.state.withLock { state in
            state.waiting.firstIndex { $0.id == id }.map { state.waiting.remove(at: $0) }
        }
        waiter?.continuation.resume(returning: isReached)
    }

    /// Answers those whose mark is reached.
    func reached(_ isReached: (Mark) -> Bool) {
        let done = self.state.withLock { state in
            let done = state.waiting.filter { isReached($0.mark) }
            state.waiting.removeAll { isReached($0.mark) }
            return done
        }
        for waiter in done { waiter.continuation.resume(returning: true) }
    }

    /// Nothing will be reached any more: ends every wait, and those to come.
    func end() {
        let waiting = self.state.withLock { state in
            state.isOver = true
            defer { state.waiting = [] }
            return state.waiting
        }
        for waiter in waiting { waiter.continuation.resume(returning: false) }
    }
}

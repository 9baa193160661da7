import NIOCore
import Synchronization
import Testing

@testable import HTTPAPI

@Suite("Deadlines")
struct DeadlinesTests {
    private let offset = SharedDuration()

    private func deadlines() -> Deadlines {
        let start = ContinuousClock.now
        return Deadlines(limit: .seconds(2), now: { [offset] in start + offset.value })
    }

    @Test("work that does not wait is answered without being noted")
    func immediate() async throws {
        let deadlines = self.deadlines()
        let answer = try await deadlines.run { .success(.json(ByteBuffer(string: "x"))) }
        #expect(String(buffer: answer.body) == "x")
        #expect(deadlines.count == 0)
    }

    @Test("work that waits is answered when it ends, and forgotten")
    func waits() async throws {
        let deadlines = self.deadlines()
        let gate = Gate()
        let answer = Task {
            try await deadlines.run {
                await gate.wait()
                return .failure(.notFound)
            }
        }
        await poll { deadlines.count == 1 }
        #expect(deadlines.expire().isEmpty)
        gate.open()
        await #expect(throws: Problem.notFound) { try await answer.value }
        #expect(deadlines.count == 0)
    }

    @Test("who waits for less than the limit is answered for then, who for more at the limit", arguments: [500, 9_000])
    func asked(_ milliseconds: Int) async throws {
        let deadlines = self.deadlines()
        let gate = Gate()
        let answer = Task {
            try await deadlines.run(within: .milliseconds(milliseconds)) {
                await gate.wait()
                return .failure(.notFound)
            }
        }
        await poll { deadlines.count == 1 }
        let limit = min(milliseconds, 2_000)
        self.offset.value = .milliseconds(limit - 1)
        #expect(deadlines.expire().isEmpty)
        self.offset.value = .milliseconds(limit)
        let work = deadlines.expire()
        await #expect(throws: Problem.deadlineExceeded) { try await answer.value }
        gate.open()
        for task in work { await task.value }
    }

    @Test("what may take longer is late by so much later")
    func extra() async throws {
        let deadlines = self.deadlines()
        let gate = Gate()
        let answer = Task {
            try await deadlines.run(extra: .seconds(1)) {
                await gate.wait()
                return .failure(.notFound)
            }
        }
        await poll { deadlines.count == 1 }
        self.offset.value = .milliseconds(2_999)
        #expect(deadlines.expire().isEmpty)
        self.offset.value = .seconds(3)
        let work = deadlines.expire()
        await #expect(throws: Problem.deadlineExceeded) { try await answer.value }
        gate.open()
        for task in work { await task.value }
    }

    @Test("work that is late is answered for and cancelled, though it goes on")
    func late() async throws {
        let deadlines = self.deadlines()
        let gate = Gate()
        let wasCancelled = Mutex(false)
        let answer = Task {
            try await deadlines.run {
                await gate.wait()
                wasCancelled.withLock { $0 = Task.isCancelled }
                return .failure(.notFound)
            }
        }
        await poll { deadlines.count == 1 }
        self.offset.value = .milliseconds(1_999)
        #expect(deadlines.expire().isEmpty)
        self.offset.value = .seconds(2)
        let work = deadlines.expire()
        await #expect(throws: Problem.deadlineExceeded) { try await answer.value }
        #expect(deadlines.count == 0)
        gate.open()
        for task in work { await task.value }
        #expect(work.count == 1)
        #expect(wasCancelled.withLock { $0 })
    }
}

private final class SharedDuration: Sendable {
    private let stored = Mutex(Duration.zero)

    var value: Duration {
        get { self.stored.withLock { $0 } }
        set { self.stored.withLock { $0 = newValue } }
    }
}

/// Holds whoever waits, heedless of cancellation, until it is opened.
final class Gate: Sendable {
    private enum State {
        case closed([CheckedContinuation<Void, Never>])
        case open
    }

    private let state = Mutex(State.closed([]))

    func wait() async {
        await withCheckedContinuation { continuation in
            let isOpen = self.state.withLock { state in
                guard case .closed(let waiters) = state else { return true }
                state = .closed(waiters + [continuation])
                return false
            }
            if isOpen { continuation.resume() }
        }
    }

    func open() {
        let waiters = self.state.withLock { state -> [CheckedContinuation<Void, Never>] in
            defer { state = .open }
            guard case .closed(let waiters) = state else { return [] }
            return waiters
        }
        for waiter in waiters { waiter.resume() }
    }
}

/// Waits for what another task is about to do.
func poll(_ condition: @Sendable () -> Bool) async {
    for _ in 0..<10_000 where !condition() { try? await Task.sleep(for: .milliseconds(1)) }
    #expect(condition())
}

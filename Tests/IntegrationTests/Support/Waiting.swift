import Synchronization

struct NeverHappened: Error, CustomStringConvertible {
    let description: String
}

/// Waits, for a bounded time, until something that offers no event holds.
func eventually(_ what: String, within bound: Duration = .seconds(60), _ condition: () async throws -> Bool)
    async throws
{
    let limit = ContinuousClock.now + bound
    while try await !condition() {
        guard ContinuousClock.now < limit else { throw NeverHappened(description: "never: \(what)") }
        try await Task.sleep(for: .milliseconds(3))
    }
}

/// A word that no other test has.
func randomWord() -> String {
    var generator = SystemRandomNumberGenerator()
    return String(generator.next(), radix: 36)
}

/// What happened, in order.
final class EventLog<Event: Sendable>: Sendable {
    private let events = Mutex<[Event]>([])

    var all: [Event] { self.events.withLock { $0 } }

    func append(_ event: Event) { self.events.withLock { $0.append(event) } }
}

/// A value that several tasks share.
final class Shared<Value: Sendable>: Sendable {
    private let value: Mutex<Value>

    init(_ value: Value) {
        self.value = Mutex(value)
    }

    var now: Value { self.value.withLock { $0 } }

    func set(_ value: Value) { self.value.withLock { $0 = value } }

    func change(_ body: @Sendable (inout Value) -> Void) { self.value.withLock { body(&$0) } }
}

/// Lets a few through at a time, in order of arrival: all tests start at once, and a small machine would do none in time.
final class Turnstile: Sendable {
    /// Tests with a database of their own.
    static let databases = Turnstile(places: 6)

    private struct State {
        var free: Int
        var waiting: [CheckedContinuation<Void, Never>] = []
    }

    private let state: Mutex<State>

    init(places: Int) {
        self.state = Mutex(State(free: places))
    }

    func pass(_ body: () async throws -> Void) async throws {
        await withCheckedContinuation { continuation in
            let isFree = self.state.withLock { state in
                guard state.free > 0 else {
                    state.waiting.append(continuation)
                    return false
                }
                state.free -= 1
                return true
            }
            if isFree { continuation.resume() }
        }
        defer { self.leave() }
        try await body()
    }

    private func leave() {
        let next = self.state.withLock { state -> CheckedContinuation<Void, Never>? in
            guard !state.waiting.isEmpty else {
                state.free += 1
                return nil
            }
            return state.waiting.removeFirst()
        }
        next?.resume()
    }
}

import Logging
import Synchronization
import Testing
import VireoTestKit

@testable import Caching

/// What stands still until a test lets it go on.
private final class Doors: Sendable {
    private struct State {
        var waiting: [(end: ContinuousClock.Instant, continuation: CheckedContinuation<Void, Never>, id: Int)] = []
        var last = 0
    }

    private let state = Mutex(State())

    /// Waits until the moment is opened, or the task is cancelled.
    func wait(until end: ContinuousClock.Instant) async {
        let id = self.state.withLock { state in
            state.last += 1
            return state.last
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isCancelled = self.state.withLock { state in
                    if Task.isCancelled { return true }
                    state.waiting.append((end, continuation, id))
                    return false
                }
                if isCancelled { continuation.resume() }
            }
        } onCancel: {
            self.state.withLock { state in
                state.waiting.firstIndex { $0.id == id }.map { state.waiting.remove(at: $0).continuation }
            }?.resume()
        }
    }

    /// Ends all waits until a moment no later than that.
    func open(at now: ContinuousClock.Instant) {
        let done = self.state.withLock { state in
            let done = state.waiting.filter { $0.end <= now }
            state.waiting.removeAll { $0.end <= now }
            return done
        }
        for each in done { each.continuation.resume() }
    }

    var ends: [ContinuousClock.Instant] { self.state.withLock { $0.waiting.map(\.end) } }
}

private final class StubConfirmations: ControlConfirmations {
    private let state = Mutex<(confirmed: Int64?, fails: Bool)>((nil, false))

    func set(_ confirmed: Int64?) { self.state.withLock { $0 = (confirmed, false) } }
    func fail() { self.state.withLock { $0.fails = true } }

    func confirmedByAll() async throws -> Int64? {
        let (confirmed, fails) = self.state.withLock { $0 }
        if fails { throw JournalError.unavailable("told to") }
        return confirmed
    }
}

@Suite("Waiting for the whole fleet")
struct FleetWaitTests {
    private let clock = ManualClock()
    private let doors = Doors()
    private let confirmations = StubConfirmations()
    private let wait: FleetWait

    init() {
        let (clock, doors) = (self.clock, self.doors)
        self.wait = FleetWait(
            settings: CoherenceSettings(),
            confirmations: self.confirmations,
            log: Logger(label: "test"),
            now: { clock.now },
            sleep: { await doors.wait(until: $0) }
        )
    }

    /// Begins to wait, and does the rest when the wait stands.
    private func waiting(
        _ epoch: Int64?,
        publishedAt: ContinuousClock.Instant?,
        then act: () async -> Void
    ) async -> Bool {
        async let result = self.wait.wait(for: epoch, publishedAt: publishedAt)
        while self.doors.ends.isEmpty { await Task.yield() }
        await act()
        return await result
    }

    private func pass(_ milliseconds: Int) {
        self.clock.advance(by: .milliseconds(milliseconds))
        self.doors.open(at: self.clock.now)
    }

    @Test("what was published is everywhere one lease and 50 ms later, whoever has confirmed nothing")
    func time() async {
        for epoch in [Int64?.none, 9] {
            let published = self.clock.now
            let complete = await self.waiting(epoch, publishedAt: published) {
                #expect(self.doors.ends == [published.advanced(by: .milliseconds(1_050))])
                await self.wait.look()
                self.pass(1_049)
                #expect(self.doors.ends.count == 1)
                self.pass(1)
            }
            #expect(complete, "\(epoch ?? 0)")
        }
    }

    @Test("confirmations of all end the wait before that; those of an earlier change, or of some nodes only, do not")
    func confirmed() async {
        let complete = await self.waiting(9, publishedAt: self.clock.now) {
            self.confirmations.set(8)
            await self.wait.look()
            self.confirmations.set(nil)
            await self.wait.look()
            self.confirmations.fail()
            await self.wait.look()
            #expect(self.doors.ends.count == 1)
            self.confirmations.set(10)
            // The wait may not stand yet: its end is noted beside it.
            while !self.doors.ends.isEmpty {
                await self.wait.look()
                await Task.yield()
            }
        }
        #expect(complete)
    }

    @Test("what was not published is everywhere when all have confirmed it, and otherwise not known to be")
    func unpublished() async {
        let never = await self.waiting(9, publishedAt: nil) {
            #expect(self.doors.ends == [self.clock.now.advanced(by: .milliseconds(2_050))])
            self.confirmations.set(8)
            await self.wait.look()
            self.pass(2_050)
        }
        #expect(!never)
        let complete = await self.waiting(9, publishedAt: nil) {
            self.confirmations.set(9)
            while !self.doors.ends.isEmpty {
                await self.wait.look()
                await Task.yield()
            }
        }
        #expect(complete)
        // Nobody could confirm it, and nothing was said.
        #expect(await !self.wait.wait(for: nil, publishedAt: nil))
    }

    @Test("a wait that is cancelled is not complete, and leaves nobody waiting")
    func cancelled() async {
        let task = Task { await self.wait.wait(for: 9, publishedAt: self.clock.now) }
        while self.doors.ends.isEmpty { await Task.yield() }
        task.cancel()
        #expect(await !task.value)
        #expect(self.doors.ends.isEmpty)
    }

    @Test("the service reads as long as somebody waits")
    func service() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await self.wait.run() }
            let complete = await self.waiting(9, publishedAt: self.clock.now) {
                // It looks, in vain, and sleeps: then there are two who do.
                while self.doors.ends.count < 2 { await Task.yield() }
                self.confirmations.set(9)
                self.pass(20)
            }
            #expect(complete)
            group.cancelAll()
            try await group.waitForAll()
        }
    }
}

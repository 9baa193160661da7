import Synchronization
import Testing

@testable import Caching

@Suite("Tick batcher")
struct TickBatcherTests {
    private struct Failed: Error, Equatable {
        var reason = "store"
    }

    private final class Store: Sendable {
        private let seen = Mutex<[[Int]]>([])
        let gate = Gate()
        var batches: [[Int]] { self.seen.withLock { $0 } }

        func read(_ requests: [Int]) async -> [Int] {
            self.seen.withLock { $0.append(requests) }
            await self.gate.wait()
            return requests.map { $0 * 10 }
        }
    }

    private func batcher(_ store: Store, width: Int = 1) -> TickBatcher<Int, Int, Failed> {
        TickBatcher(name: "test", maximumSize: 16, width: width, cancelled: Failed(reason: "cancelled")) {
            requests async throws(Failed) in
            await store.read(requests)
        }
    }

    private func running<Result: Sendable>(
        _ batcher: TickBatcher<Int, Int, Failed>,
        _ body: () async throws -> Result
    ) async throws -> Result {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await batcher.run() }
            while !batcher.isRunning { await Task.yield() }
            let result = try await body()
            group.cancelAll()
            try await group.waitForAll()
            return result
        }
    }

    @Test("reads that come while one is under way go out together, each with its own answer")
    func together() async throws {
        let store = Store()
        let batcher = self.batcher(store)
        try await self.running(batcher) {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for request in 0..<33 {
                    group.addTask {
                        let answer = try await batcher.load(request)
                        #expect(answer == request * 10)
                    }
                }
                await store.gate.openWhen { store.batches.first.map { batcher.waiting >= 33 - $0.count } ?? false }
                try await group.waitForAll()
            }
        }
        #expect(store.batches.count <= 4)
        #expect(store.batches.allSatisfy { $0.count <= 16 })
        #expect(Set(store.batches.joined()) == Set(0..<33))
    }

    @Test("no read joins a batch that is under way already")
    func noOldSnapshot() async throws {
        let store = Store()
        let batcher = self.batcher(store, width: 2)
        try await self.running(batcher) {
            async let first = batcher.load(1)
            await store.gate.untilWaiting()
            async let second = batcher.load(1)
            while store.batches.count < 2 { await Task.yield() }
            await store.gate.open()
            _ = try await (first, second)
        }
        #expect(store.batches == [[1], [1]])
    }

    @Test("what fails fails for all of the batch, and not for the next")
    func failure() async throws {
        let isDown = Mutex(true)
        let batcher = TickBatcher<Int, Int, Failed>(name: "test", maximumSize: 16, width: 1, cancelled: Failed()) {
            requests throws(Failed) in
            if isDown.withLock({ $0 }) { throw Failed(reason: "down") }
            return requests
        }
        try await self.running(batcher) {
            await #expect(throws: Failed(reason: "down")) { try await batcher.load(1) }
            isDown.withLock { $0 = false }
            let answer = try await batcher.load(1)
            #expect(answer == 1)
        }
    }

    @Test("a caller that is cancelled before its batch is sent leaves; the others stay")
    func cancelled() async throws {
        let store = Store()
        let batcher = self.batcher(store)
        try await self.running(batcher) {
            async let first = batcher.load(1)
            await store.gate.untilWaiting()
            await withTaskGroup(of: Void.self) { group in
                group.addTask {
                    await #expect(throws: Failed(reason: "cancelled")) { try await batcher.load(2) }
                }
                while batcher.waiting == 0 { await Task.yield() }
                group.cancelAll()
            }
            async let third = batcher.load(3)
            while batcher.waiting == 0 { await Task.yield() }
            await store.gate.open()
            let answers = try await (first, third)
            #expect(answers == (10, 30))
        }
        #expect(store.batches == [[1], [3]])
    }

    @Test("while the service does not run each read goes out alone")
    func notRunning() async throws {
        let store = Store()
        await store.gate.open()
        #expect(try await self.batcher(store).load(4) == 40)
    }
}

import Logging
import RecommendationCore
import Synchronization
import Testing

@testable import Serving

@Suite("Many callers under one limit")
struct RateLimiterTests {
    /// A fleet's bucket that nothing comes into, and that takes a while for each draw.
    private final class Tokens: RateTokens {
        private let left: Mutex<Int>

        init(_ count: Int) {
            self.left = Mutex(count)
        }

        func draw(_ wanted: Int, of limit: KeyLimit) async throws(RepositoryError) -> RateDraw {
            try? await Task.sleep(for: .milliseconds(5))
            return self.left.withLock { left in
                let granted = min(wanted, left)
                left -= granted
                return RateDraw(granted: granted, wait: left == 0 ? .seconds(60) : .zero)
            }
        }
    }

    @Test(
        "at once as many are let through as there are tokens, one draw for all who wait, and nobody by a share beside it"
    )
    func atOnce() async throws {
        // Its time stands still: what was drawn is not given up, and nobody waits for too long, however busy the machine is.
        let now = ContinuousClock.now
        let limiter = RateLimiter(tokens: Tokens(500), nodes: { 2 }, log: Logger(label: "test"), now: { now })
        let limit = try #require(RateLimit(rate: 5, burst: 1_000))
        let key = limiter.key(KeyLimit(key: "k1", limit: limit))
        let admitted = await withTaskGroup(of: Int.self) { group in
            group.addTask {
                await limiter.run()
                return 0
            }
            let admitted = await withTaskGroup(of: Int.self) { callers in
                for _ in 0..<1_500 { callers.addTask { await key.take() == nil ? 1 : 0 } }
                return await callers.reduce(0, +)
            }
            group.cancelAll()
            return admitted
        }
        #expect(admitted == 500)
    }
}

package import Logging
import Metrics
package import RecommendationCore
import ServiceLifecycle
import Synchronization

/// Holds keys to their limits, on all nodes together.
package final class RateLimiter: Service, Sendable {
    private struct State {
        var isOpen = true
        /// As many as were ever presented.
        var keys: [String: LimitedKey] = [:]
    }

    private let tokens: any RateTokens
    fileprivate let nodes: @Sendable () -> Int
    fileprivate let now: @Sendable () -> ContinuousClock.Instant
    private let log: Logger
    private let state = Mutex(State())
    private let draws: AsyncStream<(LimitedKey, Int)>
    private let submit: AsyncStream<(LimitedKey, Int)>.Continuation
    private let refused = Dictionary(
        uniqueKeysWithValues: RateSource.allCases.map {
            ($0, Counter(label: "vireo_rate_limited_total", dimensions: [("source", $0.rawValue)]))
        }
    )

    /// - Parameters:
    ///   - tokens: Answers soon, or fails.
    ///   - nodes: How many nodes there are now.
    package init(
        tokens: any RateTokens,
        nodes: @escaping @Sendable () -> Int,
        log: Logger,
        now: @escaping @Sendable () -> ContinuousClock.Instant = { ContinuousClock.now }
    ) {
        self.tokens = tokens
        self.nodes = nodes
        self.now = now
        self.log = log
        // One at most of each key.
        (self.draws, self.submit) = AsyncStream.makeStream()
    }

    /// What is held of a key's limit.
    package func key(_ limit: KeyLimit) -> LimitedKey {
        self.state.withLock { state in
            if let key = state.keys[limit.key] {
                key.adopt(limit.limit)
                return key
            }
            let key = LimitedKey(limit, self)
            state.keys[limit.key] = key
            return key
        }
    }

    /// Draws for keys until the service is shut down; then each node goes by its share.
    package func run() async {
        await withDiscardingTaskGroup { group in
            for await (key, wanted) in self.draws.cancelOnGracefulShutdown() {
                group.addTask { await self.draw(wanted, for: key) }
            }
        }
        let keys = self.state.withLock { state in
            state.isOpen = false
            return Array(state.keys.values)
        }
        for key in keys { key.failed() }
    }

    /// Has tokens drawn; false: nobody will.
    fileprivate func draw(_ wanted: Int, later key: LimitedKey) -> Bool {
        self.state.withLock { $0.isOpen && self.isTaken(self.submit.yield((key, wanted))) }
    }

    private func isTaken(_ result: AsyncStream<(LimitedKey, Int)>.Continuation.YieldResult) -> Bool {
        if case .enqueued = result { true } else { false }
    }

    fileprivate func refused(by source: RateSource) { self.refused[source]?.increment() }

    private func draw(_ wanted: Int, for key: LimitedKey) async {
        do {
            key.drew(try await self.tokens.draw(wanted, of: key.limit))
        } catch {
            self.log.debug("no tokens of a limit drawn", metadata: ["error": "\(error)"])
            key.failed()
        }
    }
}

/// What this node holds of one key's limit.
package final class LimitedKey: Sendable {
    private struct State {
        var bucket: RateBucket
        var waiting: [CheckedContinuation<Void, Never>] = []
        /// How many calls are waiting, or about to.
        var asking = 0
    }

    /// How long a call waits for draws, in all, each of which ends soon; then it is refused: others have taken what came.
    private static let patience = Duration.seconds(1)

    private let name: String
    private let limiter: RateLimiter
    private let state: Mutex<State>

    fileprivate init(_ limit: KeyLimit, _ limiter: RateLimiter) {
        self.name = limit.key
        self.limiter = limiter
        self.state = Mutex(State(bucket: RateBucket(limit.limit, at: limiter.now())))
    }

    /// Whose it is, and what it may.
    package var limit: KeyLimit { KeyLimit(key: self.name, limit: self.state.withLock { $0.bucket.limit }) }

    /// What can be said to a call without waiting.
    package enum Answer: Sendable, Equatable {
        case admitted
        /// Its caller is to stay away for so long.
        case refused(Duration)
        /// ``LimitedKey/take()`` has to be asked.
        case wait
    }

    /// Lets a call through, or not, without waiting.
    package func takeNow() -> Answer {
        switch self.decide() {
        case .admitted: return .admitted
        case .refused(let time, let source):
            self.limiter.refused(by: source)
            return .refused(time)
        case .wait: return .wait
        }
    }

    /// Lets a call through; otherwise how long its caller is to stay away.
    package func take() async -> Duration? {
        let end = self.limiter.now() + Self.patience
        self.state.withLock { $0.asking += 1 }
        defer { self.state.withLock { $0.asking -= 1 } }
        while true {
            let decision = self.limiter.now() < end ? self.decide() : self.decideLate()
            switch decision {
            case .admitted: return nil
            case .refused(let time, let source):
                self.limiter.refused(by: source)
                return time
            case .wait:
                await withCheckedContinuation { continuation in
                    let isDrawing = self.state.withLock { state in
                        guard state.bucket.drawing > 0 else { return false }
                        state.waiting.append(continuation)
                        return true
                    }
                    if !isDrawing { continuation.resume() }
                }
            }
        }
    }

    /// Takes back what was let through by ``takeNow()`` and is asked for again.
    package func giveBack() {
        let now = self.limiter.now()
        self.state.withLock { $0.bucket.giveBack(at: now) }
    }

    fileprivate func adopt(_ limit: RateLimit) {
        self.state.withLock { state in
            if state.bucket.limit != limit { state.bucket.adopt(limit, at: self.limiter.now()) }
        }
    }

    private func decide() -> RateBucket.Decision {
        let (now, nodes) = (self.limiter.now(), self.limiter.nodes())
        let taken = self.state.withLock { state in
            state.bucket.take(at: now, nodes: nodes, waiting: max(1, state.asking))
        }
        if let draw = taken.draw, !self.limiter.draw(draw, later: self) { self.failed() }
        return taken.decision
    }

    /// Of a call that has waited for as long as it may.
    private func decideLate() -> RateBucket.Decision {
        let (now, nodes) = (self.limiter.now(), self.limiter.nodes())
        return self.state.withLock { state in
            state.bucket.end(at: now, nodes: nodes, waiting: state.asking)
        }
    }

    fileprivate func drew(_ draw: RateDraw) { self.end { $0.drew(draw, at: $1) } }

    fileprivate func failed() { self.end { $0.failed(at: $1) } }

    private func end(_ change: (inout RateBucket, ContinuousClock.Instant) -> Void) {
        let now = self.limiter.now()
        let waiting = self.state.withLock { state in
            change(&state.bucket, now)
            defer { state.waiting = [] }
            return state.waiting
        }
        for continuation in waiting { continuation.resume() }
    }
}

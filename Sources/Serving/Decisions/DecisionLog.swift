package import Logging
import Metrics
package import RecommendationCore
import ServiceLifecycle
import Synchronization

/// Stores the decisions that a policy has recorded, behind what serves: no answer waits for it.
///
/// Those that cannot be stored yet wait, as many as there is room for; beyond that they are dropped, and counted. Each is made
/// again before it is stored, and one that does not come out as it was served is counted and told of: a defect.
package final class DecisionLog: Service, Sendable {
    private static let interval = Duration.milliseconds(200)
    /// Between two attempts while the store does not take any.
    private static let pause = Duration.seconds(1)
    /// Stored in one transaction.
    private static let part = 25
    /// How many wait at most.
    private static let capacity = 1_000

    private let repository: any DecisionRepository
    private let codec: DecisionCodec
    private let log: Logger
    private let waiting = Mutex<[DecisionDraft]>([])
    /// How many are stored at once now.
    private let part = Atomic(DecisionLog.part)
    private let metrics = DecisionMetrics()

    package init(repository: any DecisionRepository, codec: DecisionCodec, log: Logger) {
        self.repository = repository
        self.codec = codec
        self.log = log
    }

    /// Whether there is room for one more, which is else dropped: what nobody would store need not be traced.
    func takesOne() -> Bool {
        let hasRoom = self.waiting.withLock { $0.count < Self.capacity }
        if !hasRoom { self.metrics.dropped.increment() }
        return hasRoom
    }

    func note(_ draft: DecisionDraft) {
        self.waiting.withLock { $0.append(draft) }
    }

    package func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                let start = ContinuousClock.now
                let hasMore = await self.storePart()
                // While there are many, half of the time is others'.
                let pause = hasMore.map { $0 ? ContinuousClock.now - start : Self.interval } ?? Self.pause
                try? await Task.sleep(for: pause)
            }
        }
        // What was served last.
        if await !self.flush() {
            self.metrics.dropped.increment(by: self.waiting.withLock { $0.count })
        }
    }

    /// Stores all that waits; false: some of it waits on.
    package func flush() async -> Bool {
        while let hasMore = await self.storePart() {
            if !hasMore { return true }
        }
        return false
    }

    /// Stores some of what waits; whether there is more; nil: it cannot be stored now.
    private func storePart() async -> Bool? {
        let waiting = self.waiting.withLock { $0 }
        guard let tenant = waiting.first?.state.tenant else { return false }
        let own = Array(waiting.lazy.filter { $0.state.tenant == tenant }.prefix(self.part.load(ordering: .relaxed)))
        do {
            let stored = try await self.repository.store(own.map(self.stored), tenant: tenant)
            self.metrics.stored.increment(by: stored)
            self.metrics.refused.increment(by: own.count - stored)
            self.part.store(Self.part, ordering: .relaxed)
        } catch .unavailable(let reason) {
            // Fewer may be done in time.
            self.part.store(max(1, own.count / 2), ordering: .relaxed)
            self.log.debug("decisions are not stored", metadata: ["error": "\(reason)"])
            return nil
        } catch .outcomeUnknown {
            return nil
        } catch  where own.count > 1 {
            // One that is not taken does not hold the others back.
            self.part.store(own.count / 2, ordering: .relaxed)
            return true
        } catch {
            self.metrics.dropped.increment(by: own.count)
            self.log.warning("decisions are dropped", metadata: ["error": "\(error)"])
        }
        let ids = Set(own.map(\.answer.id))
        return self.waiting.withLock { waiting in
            waiting.removeAll { ids.contains($0.answer.id) }
            return !waiting.isEmpty
        }
    }

    private func stored(_ draft: DecisionDraft) -> StoredDecision {
        let record = draft.record
        if record.decision.replayed() != record.decision.order {
            self.metrics.different.increment()
            self.log.warning(
                "a decision does not come out again as it was served",
                metadata: ["recommendation_id": "\(draft.answer.id.string)", "list": "\(draft.list.rawValue)"]
            )
        }
        return StoredDecision(
            recommendationID: draft.answer.id.bytes,
            user: draft.answer.user,
            userVersion: draft.answer.userVersion,
            document: self.codec.encode(record)
        )
    }
}

private struct DecisionMetrics: Sendable {
    let stored = DecisionMetrics.counter("stored")
    /// Of users who were erased or reset or do not allow personalisation.
    let refused = DecisionMetrics.counter("refused")
    let dropped = DecisionMetrics.counter("dropped")
    let different = Counter(label: "vireo_decision_mismatches_total")

    private static func counter(_ result: String) -> Counter {
        Counter(label: "vireo_decisions_total", dimensions: [("result", result)])
    }
}

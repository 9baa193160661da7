import Logging
import PostgresAdapters
import RecommendationCore
import ServiceLifecycle

/// Keeps the control state in PostgreSQL compact: folds bulk tombstones into rows, and deletes what is old of the control log
/// and what has expired.
///
/// Every node looks; one at a time does something. What fails is tried again: nothing that serves depends on it.
struct ControlUpkeep: Service {
    /// How long a change can be asked for by its id, and a node may be behind and read only what has changed.
    private static let retention = Duration.seconds(24 * 3_600)
    /// How long a tombstone that has expired is kept: far more than clocks are apart.
    private static let grace = Duration.seconds(3_600)

    let control: PostgresControlRepository
    let log: Logger

    func run() async throws {
        await cancelWhenGracefulShutdown {
            var prunedAt: ContinuousClock.Instant?
            while !Task.isCancelled {
                do {
                    try await self.repeated { () async throws(RepositoryError) in try await self.control.fold() }
                    if prunedAt.map({ ContinuousClock.now - $0 > .seconds(60) }) ?? true {
                        try await self.repeated { () async throws(RepositoryError) in
                            try await self.control.prune(olderThan: Self.retention)
                        }
                        try await self.repeated { () async throws(RepositoryError) in
                            try await self.control.deleteExpired(after: Self.grace)
                        }
                        prunedAt = .now
                    }
                } catch {
                    self.log.warning("the control state is not kept compact", metadata: ["error": "\(error)"])
                }
                try? await Task.sleep(for: .seconds(1))
            }
        }
    }

    /// Does a work of many short steps, with a pause as long as a step after each: half of the time is others'.
    private func repeated(_ step: () async throws(RepositoryError) -> Bool) async throws(RepositoryError) {
        var start = ContinuousClock.now
        while !Task.isCancelled, try await step() {
            try? await Task.sleep(for: ContinuousClock.now - start)
            start = .now
        }
    }
}

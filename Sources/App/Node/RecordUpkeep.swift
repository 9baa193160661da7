import Logging
import RecommendationCore
import ServiceLifecycle
import Serving

/// Removes records of what was served that are older than they are kept.
///
/// Every node looks; rows that another is about to remove are passed over. What fails is tried again: nothing that serves
/// depends on it.
struct RecordUpkeep: Service {
    private static let interval = Duration.seconds(60)

    /// What they are, for the log.
    let name: String
    let kept: Duration
    let log: Logger
    /// Removes some of what was recommended before a time; whether there may be more.
    let prune: @Sendable (Timestamp) async throws(RepositoryError) -> Bool

    func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                let kept = self.kept.components.seconds * 1_000_000
                let oldest = Timestamp(microseconds: WallClock.now().microseconds - kept)
                let start = ContinuousClock.now
                var hasMore = false
                do {
                    hasMore = try await self.prune(oldest)
                } catch {
                    self.log.warning("old \(self.name) are not removed", metadata: ["error": "\(error)"])
                }
                // A pause as long as a step after each: half of the time is others'.
                try? await Task.sleep(for: hasMore ? ContinuousClock.now - start : Self.interval)
            }
        }
    }
}

import Logging
import RecommendationCore
import ServiceLifecycle
import Serving

/// Removes impressions that are older than they are kept.
///
/// Every node looks; rows that another is about to remove are passed over. What fails is tried again: nothing that serves
/// depends on it.
struct ImpressionUpkeep: Service {
    private static let interval = Duration.seconds(60)

    let impressions: any ImpressionRepository
    let log: Logger

    func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                let kept = ImpressionService.retention.components.seconds * 1_000_000
                let oldest = Timestamp(microseconds: WallClock.now().microseconds - kept)
                let start = ContinuousClock.now
                var hasMore = false
                do {
                    hasMore = try await self.impressions.prune(before: oldest)
                } catch {
                    self.log.warning("old impressions are not removed", metadata: ["error": "\(error)"])
                }
                // A pause as long as a step after each: half of the time is others'.
                try? await Task.sleep(for: hasMore ? ContinuousClock.now - start : Self.interval)
            }
        }
    }
}

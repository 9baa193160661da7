import HTTPAPI
import Logging
import Metrics
import RecommendationCore
import Redis
import ServiceLifecycle
import Serving

/// Feedback over Redis pub/sub (coherence, section 7): every node hears each message, the unique event id in PostgreSQL is
/// the claim, so it is stored once. At most once by nature: what is published while no node listens is gone.
///
/// A subscription of its own: a flood of feedback must not hold up invalidations.
struct FeedbackChannel: Service {
    private static let prefix = "vireo:feedback"
    /// Messages stored at once.
    private static let concurrency = 16

    private let subscription: RedisSubscription
    private let feedback: FeedbackService
    private let control: ControlState
    private let log: Logger
    private let metrics = ChannelMetrics()

    init(configuration: RedisConfiguration, feedback: FeedbackService, control: ControlState, log: Logger) {
        // Of one tenant; a pattern would let every id reach into it.
        self.subscription = RedisSubscription(configuration: configuration, channels: [Self.prefix], logger: log)
        self.feedback = feedback
        self.control = control
        self.log = log
    }

    func run() async throws {
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                do { try await self.subscription.run() } catch { self.log.error("feedback channel ended") }
            }
            await cancelWhenGracefulShutdown {
                await withTaskGroup(of: Void.self) { stores in
                    var running = 0
                    for await event in self.subscription.events {
                        guard case .message(_, let payload, _) = event else { continue }
                        if running == Self.concurrency {
                            await stores.next()
                            running -= 1
                        }
                        stores.addTask { await self.store(payload) }
                        running += 1
                    }
                }
            }
        }
    }

    private func store(_ payload: [UInt8]) async {
        do {
            let request = try FeedbackMessage.decode(payload)
            let answer = try await self.feedback.record([request], tenant: .default)
            if let rejection = answer.rejected.first {
                self.metrics.rejected.increment()
                self.log.info("feedback over Redis rejected", metadata: ["code": "\(rejection.code)"])
            } else {
                self.metrics.taken.increment()
            }
        } catch let error as FeedbackMessageError {
            self.metrics.rejected.increment()
            self.log.info(
                "feedback over Redis rejected",
                metadata: ["code": "\(error.code)", "field": "\(error.field)"]
            )
        } catch {
            self.metrics.failed.increment()
            self.log.warning("feedback over Redis not stored", metadata: ["error": "\(error)"])
        }
    }
}

private struct ChannelMetrics: Sendable {
    let taken = Counter(label: "vireo_feedback_channel_total", dimensions: [("result", "taken")])
    let rejected = Counter(label: "vireo_feedback_channel_total", dimensions: [("result", "rejected")])
    let failed = Counter(label: "vireo_feedback_channel_total", dimensions: [("result", "failed")])
}

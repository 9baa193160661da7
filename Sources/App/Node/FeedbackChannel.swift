import HTTPAPI
import Logging
import Metrics
import RecommendationCore
import Redis
import ServiceLifecycle
import Serving

/// Feedback over Redis pub/sub (coherence, section 7): `vireo:feedback:TENANT`, and `vireo:feedback` for tenant `default`.
///
/// Every node hears each message, and the unique event id in PostgreSQL is the claim, so it is stored once. At most once by
/// nature: what is published while no node listens is gone. Subscriptions of their own, one a tenant: a flood of feedback
/// must not hold up invalidations, and no pattern lets an id reach into another tenant's.
struct FeedbackChannel: Service {
    private static let prefix = "vireo:feedback"
    /// Messages of a tenant stored at once.
    private static let concurrency = 16

    private let configuration: RedisConfiguration
    private let primary: (any RedisPrimarySource)?
    private let feedback: FeedbackService
    private let control: ControlState
    private let log: Logger
    private let metrics = ChannelMetrics()

    init(
        configuration: RedisConfiguration,
        primary: (any RedisPrimarySource)?,
        feedback: FeedbackService,
        control: ControlState,
        log: Logger
    ) {
        self.configuration = configuration
        self.primary = primary
        self.feedback = feedback
        self.control = control
        self.log = log
    }

    func run() async throws {
        await cancelWhenGracefulShutdown {
            await withDiscardingTaskGroup { group in
                var heard = Set<Tenant.ID>()
                while !Task.isCancelled {
                    for tenant in self.control.tenants where tenant != .fleet && heard.insert(tenant).inserted {
                        group.addTask { await self.listen(tenant) }
                    }
                    // A tenant that is new is heard soon.
                    try? await Task.sleep(for: .milliseconds(200))
                }
                group.cancelAll()
            }
        }
    }

    private func listen(_ tenant: Tenant.ID) async {
        var channels = ["\(Self.prefix):\(tenant.string)"]
        if tenant == .default { channels.append(Self.prefix) }
        let subscription = RedisSubscription(
            configuration: self.configuration,
            primary: self.primary,
            channels: channels,
            logger: self.log
        )
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                do { try await subscription.run() } catch { self.log.error("feedback channel ended") }
            }
            group.addTask {
                await withTaskGroup(of: Void.self) { stores in
                    var running = 0
                    for await event in subscription.events {
                        guard case .message(_, let payload, _) = event else { continue }
                        if running == Self.concurrency {
                            await stores.next()
                            running -= 1
                        }
                        stores.addTask { await self.store(payload, tenant: tenant) }
                        running += 1
                    }
                }
            }
        }
    }

    private func store(_ payload: [UInt8], tenant: Tenant.ID) async {
        do {
            let request = try FeedbackMessage.decode(payload)
            let answer = try await self.feedback.record([request], tenant: tenant)
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

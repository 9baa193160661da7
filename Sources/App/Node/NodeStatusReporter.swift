import Caching
import Logging
import Metrics
import RecommendationCore
import Redis
import ServiceLifecycle
import Serving
import Synchronization

/// What this node says of itself: to load balancers (`/readyz`), and to the fleet (the table of nodes).
final class NodeStatusReporter: Service {
    private struct State {
        var httpURL: String?
        var adminURL: String?
        var isStopping = false
    }

    /// How long a node counts as known to the fleet after it was last reported: it is on the list for twice as long. One that
    /// cannot report for that long has no lease, and reads the control log for each request.
    private static let admission = Duration.seconds(12 * 3_600)

    private let state = Mutex(State())
    /// Reports that are due at once, for ``run()``.
    private let dues: AsyncStream<Void>
    private let due: AsyncStream<Void>.Continuation
    private let nodeID: String
    private let control: ControlState
    private let keeper: CoherenceKeeper
    private let nodes: any NodeRepository & EpochRepository
    private let redis: any RedisCommands
    private let adminAddress: String?
    private let isWarm: @Sendable () -> Bool
    private let log: Logger
    private let startedAt = WallClock.now()
    private let live = Atomic(1)
    private let ready = Gauge(label: "vireo_ready")
    private let settingsAge = Gauge(label: "vireo_settings_age_seconds")
    private let snapshotAge = Gauge(label: "vireo_snapshot_age_seconds")
    private let lastGoodPolicies = Gauge(label: "vireo_tenants_on_last_good_policy")

    /// - Parameters:
    ///   - adminAddress: Where other nodes reach the admin port; nil: where it listens.
    ///   - isWarm: Whether L1 holds what it is to hold before the node is ready.
    init(
        nodeID: String,
        control: ControlState,
        keeper: CoherenceKeeper,
        nodes: any NodeRepository & EpochRepository,
        redis: any RedisCommands,
        adminAddress: String?,
        isWarm: @escaping @Sendable () -> Bool,
        log: Logger
    ) {
        self.nodeID = nodeID
        self.control = control
        self.keeper = keeper
        self.nodes = nodes
        self.redis = redis
        self.adminAddress = adminAddress
        self.isWarm = isWarm
        self.log = log
        (self.dues, self.due) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    func bound(http port: Int, host: String) {
        self.state.withLock { $0.httpURL = Self.url(host, port) }
        self.due.yield()
        self.log.info("serving", metadata: ["address": "\(Self.url(host, port))"])
    }

    func bound(admin port: Int, host: String) {
        self.state.withLock { $0.adminURL = self.adminAddress.map { "http://\($0)" } ?? Self.url(host, port) }
        self.due.yield()
        if self.adminAddress == nil, host == "0.0.0.0" || host == "::" {
            self.log.warning(
                "other nodes cannot reach this one by where it listens; set VIREO_ADMIN_ADDRESS",
                metadata: ["address": "\(Self.url(host, port))"]
            )
        }
        self.log.info("administration and operations", metadata: ["address": "\(Self.url(host, port))"])
    }

    func stopping() {
        self.state.withLock { $0.isStopping = true }
    }

    /// How many nodes were seen within the ten seconds before the register was read last, this one among them.
    var liveNodes: Int { self.live.load(ordering: .relaxed) }

    var isStopping: Bool { self.state.withLock { $0.isStopping } }

    func readiness() -> Readiness {
        var waitingFor: [String] = []
        if self.state.withLock({ $0.isStopping }) { waitingFor.append("stopping") }
        if self.control.appliedID == nil { waitingFor.append("control") }
        if !self.control.hasModels { waitingFor.append("snapshot") }
        if !self.isWarm() { waitingFor.append("warm_up") }
        var degraded: [Degradation] = self.redis.session == nil ? [.redis] : []
        if !self.control.tenantsOnLastGoodPolicy.isEmpty { degraded.append(.policy) }
        return Readiness(
            ready: waitingFor.isEmpty,
            waitingFor: waitingFor,
            degraded: degraded.map(\.rawValue)
        )
    }

    /// Brings readiness and ages up to the moment they are read at: where nothing is read any more, ages must grow.
    func record() {
        self.ready.record(self.readiness().ready ? 1 : 0)
        self.lastGoodPolicies.record(self.control.tenantsOnLastGoodPolicy.count)
        guard let ages = self.control.ages() else { return }
        self.settingsAge.record(ages.settings / .seconds(1))
        if let snapshot = ages.snapshot { self.snapshotAge.record(snapshot / .seconds(1)) }
    }

    func run() async throws {
        await cancelWhenGracefulShutdown {
            await withDiscardingTaskGroup { group in
                // What is applied is confirmed at once: others may wait for it.
                group.addTask { for await _ in self.control.advances { self.due.yield() } }
                group.addTask {
                    while !Task.isCancelled {
                        self.due.yield()
                        try? await Task.sleep(for: .seconds(1))
                    }
                }
                group.addTask {
                    while !Task.isCancelled {
                        await self.count()
                        try? await Task.sleep(for: .seconds(2))
                    }
                }
                group.addTask {
                    while !Task.isCancelled {
                        await self.forget()
                        try? await Task.sleep(for: .seconds(3_600))
                    }
                }
                for await _ in self.dues { await self.report() }
            }
        }
        // Best effort: a node that cannot say good-bye is forgotten after a minute.
        do {
            try await self.nodes.remove(self.nodeID)
        } catch {
            self.log.debug("node not taken off the list", metadata: ["error": "\(error)"])
        }
    }

    private func report() async {
        let (httpURL, adminURL) = self.state.withLock { ($0.httpURL, $0.adminURL) }
        guard let httpURL, let adminURL, let applied = self.control.position else { return }
        let begun = ContinuousClock.now
        let usage = self.keeper.localUsage
        let tenant = self.control.state(of: .default)
        let status = NodeStatus(
            id: self.nodeID,
            startedAt: self.startedAt,
            version: Node.version,
            httpURL: httpURL,
            adminURL: adminURL,
            leaseAgeMilliseconds: self.keeper.leaseAge().map { age in
                let (seconds, attoseconds) = age.components
                return seconds * 1_000 + attoseconds / 1_000_000_000_000_000
            },
            controlApplied: applied.id,
            // A node that serves by the last good policy has not applied what it cannot read, and confirms nothing.
            incarnation: self.control.tenantsOnLastGoodPolicy.isEmpty ? applied.incarnation : "",
            model: tenant?.model?.name,
            policy: (tenant?.policy ?? .builtIn).version,
            l1Entries: usage.entries,
            l1Bytes: usage.bytes,
            loadedModels: self.control.loadedModels,
            seenAt: WallClock.now()
        )
        do {
            try await self.nodes.report(status)
            self.keeper.admitted(until: begun.advanced(by: Self.admission))
        } catch {
            self.log.debug("status not reported", metadata: ["error": "\(error)"])
        }
    }

    /// Nodes that cannot be counted are as many as they were.
    private func count() async {
        do {
            let seen = try await self.nodes.nodes().map(\.seenAt.microseconds)
            let newest = seen.max() ?? 0
            self.live.store(max(1, seen.count { newest - $0 <= 10_000_000 }), ordering: .relaxed)
        } catch {
            self.log.debug("nodes not counted", metadata: ["error": "\(error)"])
        }
    }

    private func forget() async {
        do {
            try await self.nodes.forget()
        } catch {
            self.log.debug("nodes that are gone not forgotten", metadata: ["error": "\(error)"])
        }
    }

    private static func url(_ host: String, _ port: Int) -> String {
        host.contains(":") ? "http://[\(host)]:\(port)" : "http://\(host):\(port)"
    }
}

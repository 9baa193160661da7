public import Logging
import Metrics
public import ServiceLifecycle

/// Where the relay writes how far it has come.
public protocol RelayProgress: Sendable {
    /// The position Redis holds, nil where it holds none, and the number of the connection that said so.
    func relayed() async throws(SharedCacheError) -> (position: JournalPosition?, connection: UInt64)
    /// Writes the position and the head of the control log, over that same connection.
    func setRelayed(
        _ position: JournalPosition,
        controlHead: Int64,
        on connection: UInt64
    ) async throws(SharedCacheError)
}

/// Drains the journal into Redis, always: whatever a writer could not do after its commit, the next pass does.
///
/// One node of the fleet relays. A pass reads the position that Redis itself holds (so a Redis that came back with older data
/// gets everything since), raises floors and publishes for everything after it, and only then writes the new position; all
/// over one connection, so that a Redis that comes back in the middle of a pass is not told of what it never got. Beside
/// the position stands the head of the control log, by which nodes learn of changes that nobody published.
public final class Relay: Service, Sendable {
    /// Passes that may fail in a row before another node may try.
    private static let patience = 5

    private let settings: CoherenceSettings
    private let leadership: any Leadership
    private let journal: any Journal
    private let shared: any SharedCache
    private let bus: any InvalidationBus
    private let progress: any RelayProgress
    private let isPaired: @Sendable () -> Bool
    private let selfCheck: SelfCheck?
    private let log: Logger
    private let rows = Counter(label: "vireo_relayed_rows_total")
    private let passes = Counter(label: "vireo_relay_passes_total")
    private let failures = Counter(label: "vireo_relay_failures_total")

    /// A relay over the node's adapters.
    ///
    /// - Parameters:
    ///   - isPaired: Whether what is published here reaches the Redis that this node hears.
    ///   - selfCheck: Hears of what was brought; nil: nobody does.
    public init(
        settings: CoherenceSettings,
        leadership: any Leadership,
        journal: any Journal,
        shared: any SharedCache,
        bus: any InvalidationBus,
        progress: any RelayProgress,
        isPaired: @escaping @Sendable () -> Bool = { true },
        selfCheck: SelfCheck? = nil,
        log: Logger
    ) {
        self.settings = settings
        self.leadership = leadership
        self.journal = journal
        self.shared = shared
        self.bus = bus
        self.progress = progress
        self.isPaired = isPaired
        self.selfCheck = selfCheck
        self.log = log
    }

    /// Relays while this node is the leader, until the service is shut down.
    public func run() async throws {
        await cancelWhenGracefulShutdown {
            var failed = 0
            var maintainedAt: ContinuousClock.Instant?
            while !Task.isCancelled {
                if await self.leadership.isLeader() {
                    do {
                        try await self.pass()
                        failed = 0
                        if maintainedAt.map({ ContinuousClock.now - $0 > .seconds(600) }) ?? true {
                            try await self.journal.maintain()
                            maintainedAt = .now
                        }
                    } catch {
                        self.failures.increment()
                        failed += 1
                        self.log.warning("relay pass failed", metadata: ["error": "\(error)"])
                        // A node that cannot reach Redis must not keep others from relaying.
                        if failed >= Self.patience, error is SharedCacheError {
                            failed = 0
                            await self.leadership.resign()
                        }
                    }
                }
                try? await Task.sleep(for: self.settings.relayInterval)
            }
        }
        await self.leadership.resign()
    }

    func pass() async throws {
        let (position, connection) = try await self.progress.relayed()
        // Else a node whose commands reach another Redis than the fleet's would relay to nobody, and keep others from it.
        guard self.isPaired() else { throw SharedCacheError.connectionChanged }
        let page = try await self.journal.page(from: position)
        if !page.invalidations.isEmpty, !self.settings.faults.has(.noRelay) {
            try await self.shared.raiseFloors(page.invalidations, on: connection)
            try await self.bus.publish(page.invalidations.map { .invalidation($0) }, on: connection)
            self.rows.increment(by: page.invalidations.count)
        }
        try await self.progress.setRelayed(page.next, controlHead: page.controlHead, on: connection)
        self.passes.increment()
        self.selfCheck?.relayed(page.invalidations)
    }
}

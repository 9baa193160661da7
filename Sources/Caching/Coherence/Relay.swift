public import Logging
import Metrics
public import ServiceLifecycle

/// Where the relay writes how far it has come.
public protocol RelayProgress: Sendable {
    /// The position Redis holds; nil: none.
    func relayed() async throws(SharedCacheError) -> UInt64?
    /// Writes the position.
    func setRelayed(_ position: UInt64) async throws(SharedCacheError)
}

/// Drains the journal into Redis, always: whatever a writer could not do after its commit, the next pass does.
///
/// One node of the fleet relays. A pass reads the position that Redis itself holds (so a Redis that came back with older data
/// gets everything since), raises floors and publishes for every row from there, and only then writes the new position.
/// Rows that a long transaction makes come again and again are relayed once as long as Redis does not go back.
public final class Relay: Service, Sendable {
    private let settings: CoherenceSettings
    private let leadership: any Leadership
    private let journal: any Journal
    private let shared: any SharedCache
    private let bus: any InvalidationBus
    private let progress: any RelayProgress
    private let log: Logger
    private let rows = Counter(label: "vireo_relayed_rows_total")
    private let failures = Counter(label: "vireo_relay_failures_total")

    /// A relay over the node's adapters.
    public init(
        settings: CoherenceSettings,
        leadership: any Leadership,
        journal: any Journal,
        shared: any SharedCache,
        bus: any InvalidationBus,
        progress: any RelayProgress,
        log: Logger
    ) {
        self.settings = settings
        self.leadership = leadership
        self.journal = journal
        self.shared = shared
        self.bus = bus
        self.progress = progress
        self.log = log
    }

    /// Relays while this node is the leader, until the service is shut down.
    public func run() async throws {
        await cancelWhenGracefulShutdown {
            var memory = RelayMemory()
            var maintainedAt: ContinuousClock.Instant?
            while !Task.isCancelled {
                if await self.leadership.isLeader() {
                    do {
                        try await self.pass(&memory)
                        if maintainedAt.map({ ContinuousClock.now - $0 > .seconds(600) }) ?? true {
                            try await self.journal.maintain()
                            maintainedAt = .now
                        }
                    } catch {
                        self.failures.increment()
                        self.log.warning("relay pass failed", metadata: ["error": "\(error)"])
                        memory = RelayMemory()
                        // A node that cannot reach Redis must not keep others from relaying.
                        if error is SharedCacheError { await self.leadership.resign() }
                    }
                } else {
                    memory = RelayMemory()
                }
                try? await Task.sleep(for: self.settings.relayInterval)
            }
        }
        await self.leadership.resign()
    }

    func pass(_ memory: inout RelayMemory) async throws {
        let position = try await self.progress.relayed()
        let page = try await self.journal.page(from: position)
        let fresh = memory.fresh(page, position: position)
        if !fresh.isEmpty {
            try await self.shared.raiseFloors(fresh)
            try await self.bus.publish(fresh.map { .invalidation($0) })
            self.rows.increment(by: fresh.count)
        }
        if position != page.next { try await self.progress.setRelayed(page.next) }
        memory.relayed(page)
    }
}

/// Which rows this relay has brought to the Redis it talks to.
struct RelayMemory: Sendable {
    private var position: UInt64?
    private var done: [Int64: UInt64] = [:]

    /// The invalidations of a page that were not relayed yet: one for each key, with its highest version.
    mutating func fresh(_ page: JournalPage, position: UInt64?) -> [Invalidation] {
        if position == nil || position != self.position { self.done = [:] }
        var highest: [CacheKey: Int64] = [:]
        var order: [CacheKey] = []
        for row in page.rows where self.done[row.id] == nil {
            if let version = highest[row.invalidation.key] {
                highest[row.invalidation.key] = max(version, row.invalidation.version)
            } else {
                highest[row.invalidation.key] = row.invalidation.version
                order.append(row.invalidation.key)
            }
        }
        return order.map { Invalidation(key: $0, version: highest[$0]!) }
    }

    /// Every row of a page is in Redis, and its `next` is Redis's position.
    mutating func relayed(_ page: JournalPage) {
        self.position = page.next
        self.done = self.done.filter { $0.value >= page.next }
        for row in page.rows where row.transaction >= page.next { self.done[row.id] = row.transaction }
    }
}

public import Logging
import Metrics
public import ServiceLifecycle
import Synchronization

/// Where nodes leave the places that they were asked for most, for those that start after them.
public protocol WarmPlaces: Sendable {
    /// Replaces what this node left before.
    func leave(_ places: [CachePlace]) async throws(SharedCacheError)
    /// What this node left in its life before, or else what another did, the most asked for first.
    func left() async throws(SharedCacheError) -> [CachePlace]
}

/// Fills L1 before a node is ready, with what it or another node was asked for most: from L2 alone, nothing is computed.
///
/// Bounded in number and time: a node that finds no list, or no Redis, is ready at once, one whose list is long when its time
/// is over. Everything is read by the rules of every look in L2, and stamped or not as they say.
public final class WarmUp: Service, Sendable {
    /// What a node fills L1 with, at most.
    public static let places = 2_000
    /// Of one read.
    private static let batch = 100
    /// How long it may take from when the node could serve, the wait for its first lease included.
    private static let limit = Duration.seconds(3)
    /// How often the places are left; a node that is killed leaves what it had then.
    private static let interval = Duration.seconds(30)

    private let cache: TieredCache
    private let store: any WarmPlaces
    private let isPrepared: @Sendable () -> Bool
    private let log: Logger
    private let done = Mutex(false)
    private let held = Counter(label: "vireo_warm_up_places_total", dimensions: [("result", "held")])
    private let missing = Counter(label: "vireo_warm_up_places_total", dimensions: [("result", "missing")])

    /// - Parameter isPrepared: Whether the node could serve: it knows what is in force, and has a model.
    public init(
        cache: TieredCache,
        store: any WarmPlaces,
        log: Logger,
        isPrepared: @escaping @Sendable () -> Bool
    ) {
        self.cache = cache
        self.store = store
        self.isPrepared = isPrepared
        self.log = log
    }

    /// Whether the node need not be waited for any more.
    public var isDone: Bool { self.done.withLock { $0 } }

    /// Warms up, and then leaves what is asked for most, every half minute and when the service is shut down.
    public func run() async throws {
        await cancelWhenGracefulShutdown {
            while !self.isPrepared(), (try? await Task.sleep(for: .milliseconds(20))) != nil {}
            await self.warm(until: .now.advanced(by: Self.limit))
            while (try? await Task.sleep(for: Self.interval)) != nil { await self.leave() }
        }
        await self.leave()
    }

    /// Reads what was left, until a moment.
    func warm(until end: ContinuousClock.Instant) async {
        defer { self.done.withLock { $0 = true } }
        let begun = ContinuousClock.now
        var places: [CachePlace] = []
        do {
            places = Array(try await self.store.left().prefix(Self.places))
        } catch {
            self.log.info("no warm-up: Redis cannot be asked", metadata: ["error": "\(error)"])
        }
        guard !places.isEmpty else { return }
        // Without a lease nothing is stamped, and all would be read again.
        while !self.cache.keeper.standing().isLive {
            guard ContinuousClock.now < end, (try? await Task.sleep(for: .milliseconds(10))) != nil else { return }
        }
        var rest = places[...]
        var count = 0
        while !rest.isEmpty, ContinuousClock.now < end, !Task.isCancelled {
            let some = Array(rest.prefix(Self.batch))
            rest = rest.dropFirst(some.count)
            for look in await self.cache.sharedEntries(of: some) {
                if case .fresh = look { count += 1 }
            }
        }
        self.held.increment(by: count)
        self.missing.increment(by: places.count - rest.count - count)
        self.log.info(
            "warmed up",
            metadata: [
                "held": "\(count)", "asked": "\(places.count - rest.count)", "left_out": "\(rest.count)",
                "ms": "\((ContinuousClock.now - begun).milliseconds)",
            ]
        )
    }

    private func leave() async {
        let places = self.cache.keeper.local.hottest(Self.places)
        guard !places.isEmpty else { return }
        do {
            try await self.store.leave(places)
        } catch {
            self.log.debug("the places asked for most are not left", metadata: ["error": "\(error)"])
        }
    }
}

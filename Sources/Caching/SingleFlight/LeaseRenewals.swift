import Logging
import Metrics
import Synchronization

/// Renews the compute leases of computations that take long, so that nobody begins the same one beside them (coherence,
/// section 5). A lease is short for the sake of those who wait for a node that is gone; a node that is slow keeps it.
///
/// What is quick is never renewed: only what has been held for a whole interval.
final class LeaseRenewals: Sendable {
    private struct Held {
        let lease: ComputeLease
        let key: CacheKey
        /// Intervals that began while it was held.
        var age = 0

        var older: Held { Held(lease: self.lease, key: self.key, age: self.age + 1) }
    }

    /// How often leases are renewed: four times while one runs, so that three may fail.
    let interval: Duration
    private let duration: Duration
    /// Intervals after which a computation is not renewed any more.
    private let maximumAge: Int
    private let held = Mutex<[String: Held]>([:])
    private let shared: any SharedCache
    private let metrics: PoolMetrics
    private let log: Logger

    init(shared: any SharedCache, settings: CoherenceSettings, metrics: PoolMetrics, log: Logger) {
        self.shared = shared
        self.duration = settings.computeLease
        self.interval = settings.computeLease / 4
        self.maximumAge = Int(settings.longestCompute / self.interval)
        self.metrics = metrics
        self.log = log
    }

    /// Renews a lease from now on, until ``drop(_:)``.
    func hold(_ lease: ComputeLease, on key: CacheKey) {
        self.held.withLock { $0[lease.id] = Held(lease: lease, key: key) }
    }

    /// Ends that; nothing where it has ended.
    func drop(_ lease: ComputeLease) {
        self.held.withLock { held in _ = held.removeValue(forKey: lease.id) }
    }

    /// Renews what has been held for an interval; to be called at the end of each.
    ///
    /// A lease that somebody else has by now, or that was taken back, is not asked for again: its fill will be refused. One
    /// that could not be renewed in time may be taken by others.
    func renew() async {
        let due = self.held.withLock { held in
            var due: [Held] = []
            for (id, lease) in held {
                if lease.age > 0 { due.append(lease) }
                held[id] = lease.age < self.maximumAge ? lease.older : nil
            }
            return due
        }
        for leases in Dictionary(grouping: due, by: \.lease.connection).values {
            do throws(SharedCacheError) {
                let renewed = try await self.shared.renew(leases.map { ($0.lease, $0.key) }, for: self.duration)
                for (lease, isHeld) in zip(leases, renewed) {
                    if isHeld { self.metrics.leasesRenewed.increment() } else { self.drop(lease.lease) }
                }
            } catch .connectionChanged {
                // Nor may their fills go over another.
                for lease in leases { self.drop(lease.lease) }
            } catch {
                self.metrics.sharedErrors.increment()
                self.log.debug("compute leases not renewed", metadata: ["error": "\(error)"])
            }
        }
    }
}

import Metrics
import Synchronization

/// What the tiered cache counts.
struct PoolMetrics: Sendable {
    private static func counter(_ name: String, _ dimensions: (String, String)...) -> Counter {
        Counter(label: "vireo_cache_\(name)_total", dimensions: [("cache", CacheKind.pool.rawValue)] + dimensions)
    }

    private static func gauge(_ name: String, _ dimensions: (String, String)...) -> Gauge {
        Gauge(label: "vireo_cache_\(name)", dimensions: [("cache", CacheKind.pool.rawValue)] + dimensions)
    }

    // Looking.
    let localHits = counter("hits", ("tier", "l1"))
    let localMisses = counter("misses", ("tier", "l1"))
    /// Served after a check, and stamped anew.
    let localVerified = counter("verified", ("tier", "l1"), ("by", "request"))
    let reverified = counter("verified", ("tier", "l1"), ("by", "sweep"))
    /// Found void by such a check.
    let localVoid = counter("void", ("tier", "l1"))
    let sharedHits = counter("hits", ("tier", "l2"))
    let sharedMisses = counter("misses", ("tier", "l2"))
    /// In L2, while L2 was not believed, and older than PostgreSQL.
    let untrusted = counter("void", ("tier", "l2"))
    let sharedErrors = counter("errors", ("tier", "l2"))
    let reverificationFailures = counter("errors", ("tier", "l1"))
    let negative = CacheMetrics(.negative)

    // Stale.
    let stale = counter("stale_served")
    /// A stale copy in hand that had been invalidated.
    let staleRefused = counter("stale_refused")
    let refreshed = counter("refreshes", ("result", "done"))
    let refreshFailures = counter("refreshes", ("result", "failed"))
    let refreshesShed = counter("refreshes", ("result", "shed"))
    let refreshedEarly = counter("early_refreshes")

    // Computing.
    let loadErrors = counter("errors", ("tier", "load"))
    private let loadTime = Timer(label: "vireo_cache_load_seconds", dimensions: [("cache", CacheKind.pool.rawValue)])
    private let payloadBytes = Recorder(
        label: "vireo_cache_payload_bytes",
        dimensions: [("cache", CacheKind.pool.rawValue)]
    )
    let waiters = Recorder(label: "vireo_cache_flight_waiters", dimensions: [("cache", CacheKind.pool.rawValue)])
    let joined = counter("joins", ("result", "served"))
    let joinsRejected = counter("joins", ("result", "rejected"))
    let foreignWaits = counter("foreign_waits")
    let leasesRenewed = counter("leases_renewed")
    let localWritesRefused = counter("writes_refused", ("tier", "l1"), ("reason", "invalidated"))
    let fillErrors = counter("writes_refused", ("tier", "l2"), ("reason", "error"))
    private let refusals: [FillOutcome: Counter] = Dictionary(
        uniqueKeysWithValues: FillOutcome.allCases.filter { $0 != .stored }.map {
            ($0, counter("writes_refused", ("tier", "l2"), ("reason", $0.rawValue)))
        }
    )
    private let undecodables: [CacheEntryError: Counter] = Dictionary(
        uniqueKeysWithValues: CacheEntryError.allCases.map { ($0, counter("undecodable", ("reason", $0.rawValue))) }
    )

    // L1 as a whole.
    private let evictions = counter("evictions")
    private let expirations = counter("expirations")
    private let entries = gauge("entries")
    private let keys = gauge("keys")
    private let fields = gauge("fields")
    private let bytes = gauge("bytes")
    private let hotShares = [1, 10, 100].map { ($0, gauge("hot_key_share", ("keys", String($0)))) }
    private let last = LastStatistics()

    func refused(_ outcome: FillOutcome) { self.refusals[outcome]?.increment() }

    func undecodable(_ error: CacheEntryError) { self.undecodables[error]?.increment() }

    func computed(_ entry: CacheEntry, _ cost: Duration) {
        self.loadTime.recordNanoseconds(cost.nanoseconds)
        self.payloadBytes.record(entry.payload.count)
    }

    func publish(_ statistics: LocalCache.Statistics) {
        self.entries.record(statistics.entries)
        self.keys.record(statistics.keys)
        self.fields.record(statistics.fields)
        self.bytes.record(statistics.bytes)
        for (keys, gauge) in self.hotShares { gauge.record(statistics.hotKeys.share(ofTop: keys)) }
        let before = self.last.replace(statistics)
        self.evictions.increment(by: statistics.evictions - before.evictions)
        self.expirations.increment(by: statistics.expirations - before.expirations)
    }

    private final class LastStatistics: Sendable {
        private let last = Mutex(LocalCache.Statistics())
        func replace(_ statistics: LocalCache.Statistics) -> LocalCache.Statistics {
            self.last.withLock { last in
                defer { last = statistics }
                return last
            }
        }
    }
}

public import Metrics

/// The caches of a node, as the label `cache` names them.
public enum CacheKind: String, CaseIterable, Sendable {
    /// Pools of users, in L1 and L2.
    case pool
    /// The lists that users without one of their own share.
    case cold
    /// Owners known to have no value of their own.
    case negative
    /// Snapshots of models in memory.
    case snapshot
    /// The state read from the control log.
    case control
    /// Item metadata in memory.
    case item
}

/// What every cache counts; one naming scheme, `vireo_cache_*` with the label `cache`.
public struct CacheMetrics: Sendable {
    /// Asked for and there.
    public let hits: Counter
    /// Asked for and not there.
    public let misses: Counter
    /// Could not be loaded.
    public let errors: Counter
    /// What loading took.
    public let loadTime: Timer
    /// Bytes of one value.
    public let payloadBytes: Recorder
    /// Values held.
    public let entries: Gauge

    /// The metrics of one cache.
    public init(_ kind: CacheKind) {
        let dimensions = [("cache", kind.rawValue)]
        self.hits = Counter(label: "vireo_cache_hits_total", dimensions: dimensions + [("tier", "memory")])
        self.misses = Counter(label: "vireo_cache_misses_total", dimensions: dimensions + [("tier", "memory")])
        self.errors = Counter(label: "vireo_cache_errors_total", dimensions: dimensions + [("tier", "memory")])
        self.loadTime = Timer(label: "vireo_cache_load_seconds", dimensions: dimensions)
        self.payloadBytes = Recorder(label: "vireo_cache_payload_bytes", dimensions: dimensions)
        self.entries = Gauge(label: "vireo_cache_entries", dimensions: dimensions)
    }

    /// Counts a value that was computed or loaded.
    public func loaded(in time: Duration, bytes: Int) {
        self.loadTime.recordNanoseconds(time.nanoseconds)
        self.payloadBytes.record(bytes)
    }
}

/// How a node stands at one moment, for a request that is answered without waiting.
public struct Moment: Sendable {
    /// When that was, on the node's monotonic clock.
    public let instant: ContinuousClock.Instant
    /// Whether the freshness lease is live: control state and entries of the session are current.
    public let isLive: Bool
    /// The subscription session that entries must be stamped with.
    let session: UInt64?
    /// Milliseconds of Redis time.
    public let milliseconds: Int64
    /// Whether Redis has taken a write of this node within the last lease.
    public let isSharedReachable: Bool
}

/// The settings of coherence; the defaults give the bounds of the README.
public struct CoherenceSettings: Sendable {
    /// The freshness lease L: the staleness bound of a node that hears nothing.
    public var lease: Duration
    /// How often a heartbeat is sent.
    public var heartbeatInterval: Duration
    /// How often the control log is read although nothing was said.
    public var controlInterval: Duration
    /// How often the relay drains the journal.
    public var relayInterval: Duration
    /// How long a computation may hold the compute lease.
    public var computeLease: Duration
    /// How long a waiter sleeps between two looks at an entry that another node computes.
    public var foreignComputePoll: Duration
    /// How long a computation of another node is waited for; then this one computes, and stores nothing.
    public var foreignComputeLimit: Duration
    /// The byte bound of L1.
    public var localBytes: Int

    /// Settings, each with its default.
    public init(
        lease: Duration = .seconds(1),
        heartbeatInterval: Duration = .milliseconds(250),
        controlInterval: Duration = .seconds(1),
        relayInterval: Duration = .milliseconds(100),
        computeLease: Duration = .seconds(2),
        foreignComputePoll: Duration = .milliseconds(5),
        foreignComputeLimit: Duration = .milliseconds(500),
        localBytes: Int = 268_435_456
    ) {
        self.lease = lease
        self.heartbeatInterval = heartbeatInterval
        self.controlInterval = controlInterval
        self.relayInterval = relayInterval
        self.computeLease = computeLease
        self.foreignComputePoll = foreignComputePoll
        self.foreignComputeLimit = foreignComputeLimit
        self.localBytes = localBytes
    }
}

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
    /// How often the journal is read by a node that hears nothing from the bus.
    public var journalInterval: Duration
    /// Rows of the journal in one such read; more are not followed one by one.
    public var journalRows: Int
    /// How long a compute lease runs that is not renewed: at most half of what a request has, so that those who wait for a
    /// node that is gone have the other half.
    public var computeLease: Duration
    /// How long a computation's lease is renewed: what a request has.
    public var longestCompute: Duration
    /// How long a waiter sleeps between two looks at an entry that another node computes.
    public var foreignComputePoll: Duration
    /// How long a computation of another node is waited for; then this one computes, and stores nothing. Longer than its
    /// lease: where that node is gone, one of those who wait gets the next lease, and the others what it fills.
    public var foreignComputeLimit: Duration
    /// How long a request waits for the refresh of a copy past its soft expiry before that copy is served, marked stale.
    public var refreshPatience: Duration
    /// How many refreshes wait or run at once on a node; what is more is not refreshed.
    public var refreshesAtOnce: Int
    /// How many owners without a value of their own are remembered, at 48 bytes each.
    public var coldOwners: Int
    /// How long such an owner is remembered. What ends it earlier is an event of that owner that invalidates.
    public var coldOwnerLifetime: Duration
    /// The byte bound of L1.
    public var localBytes: Int
    /// The rules that this node breaks, in a debug build.
    public var faults: SeededFaults

    /// How long after the publication of a change no node has a lease any more that does not know of it, with what clocks
    /// may differ by.
    public var everywhereAfter: Duration { self.lease + .milliseconds(50) }

    /// How long anybody waits for a change to be everywhere: where it was not published, nodes read of it by themselves.
    public var waitLimit: Duration { self.controlInterval + self.everywhereAfter }

    /// Settings, each with its default.
    public init(
        lease: Duration = .seconds(1),
        heartbeatInterval: Duration = .milliseconds(250),
        controlInterval: Duration = .seconds(1),
        relayInterval: Duration = .milliseconds(100),
        journalInterval: Duration = .milliseconds(200),
        journalRows: Int = 10_000,
        computeLease: Duration = .seconds(1),
        longestCompute: Duration = .seconds(2),
        foreignComputePoll: Duration = .milliseconds(5),
        foreignComputeLimit: Duration = .milliseconds(1_500),
        refreshPatience: Duration = .milliseconds(50),
        refreshesAtOnce: Int = 64,
        coldOwners: Int = 65_536,
        coldOwnerLifetime: Duration = .seconds(60),
        localBytes: Int = 268_435_456,
        faults: SeededFaults = SeededFaults()
    ) {
        self.lease = lease
        self.heartbeatInterval = heartbeatInterval
        self.controlInterval = controlInterval
        self.relayInterval = relayInterval
        self.journalInterval = journalInterval
        self.journalRows = journalRows
        self.computeLease = computeLease
        self.longestCompute = longestCompute
        self.foreignComputePoll = foreignComputePoll
        self.foreignComputeLimit = foreignComputeLimit
        self.refreshPatience = refreshPatience
        self.refreshesAtOnce = refreshesAtOnce
        self.coldOwners = coldOwners
        self.coldOwnerLifetime = coldOwnerLifetime
        self.localBytes = localBytes
        self.faults = faults
    }
}

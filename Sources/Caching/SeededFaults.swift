/// A rule of coherence that a debug build can be told to break, so that those who look for such bugs can be seen to find
/// them (coherence, section 8). Each is read at the rule that it breaks, in one line.
public enum SeededFault: Sendable {
    /// Messages are published before the floors are raised.
    case publishFirst
    /// A heartbeat renews the lease when its reply is there, on the task that beats, not behind the messages before it.
    case heartbeatApart
    /// What is written to L1 is stamped with what holds at the end, not with what was noted before the first command.
    case stampAtEnd
    /// A floor that is missing counts as zero.
    case nilFloorIsZero
    /// A fill is accepted whoever holds the lease.
    case fillWithoutLease
    /// A duplicate event is acknowledged and not invalidated again.
    case duplicateForgotten
    /// The next session begins when a connection is lost, not when its subscription is confirmed.
    case sessionAtLoss
    /// Whoever comes joins the flight there is, and takes what came of it.
    case joinOldFlight
    /// One version in a thousand is not dropped when its message comes.
    case skipOneInAThousand
    /// Floors are set by min.
    case minForMax
    /// Fallback lists show what a tombstone denies.
    case unfilteredFallback
    /// A list keeps the id and the tokens of the first answer that was made of it.
    case cachedToken
    /// The generation, which a purge raises, is not part of an entry's name.
    case lostGeneration
    /// The relay writes its position and does nothing else.
    case noRelay
    /// Heartbeats alone say that the bus brings everything, though the relay passes elsewhere.
    case passUnheeded
}

#if DEBUG
    extension SeededFault: CaseIterable {}

    /// The rules that a node breaks; none, but where a test says so.
    public struct SeededFaults: Sendable {
        private var members: Set<SeededFault> = []

        /// A node that keeps every rule.
        public init() {}

        /// A node that breaks some.
        public init(_ faults: some Sequence<SeededFault>) { self.members = Set(faults) }

        /// Whether a rule is broken.
        public func has(_ fault: SeededFault) -> Bool { !self.members.isEmpty && self.members.contains(fault) }
    }
#else
    /// A release build keeps every rule: this has no size, and what asks it is not compiled.
    @frozen public struct SeededFaults: Sendable {
        /// A node that keeps every rule.
        @inlinable public init() {}

        /// Whether a rule is broken: no.
        @inlinable @inline(__always)
        public func has(_ fault: SeededFault) -> Bool { false }
    }
#endif

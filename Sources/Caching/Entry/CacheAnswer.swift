/// What a computation gives.
public struct Computation: Sendable {
    /// The version of the owner in the snapshot the value was computed from; 0: nobody knows the owner.
    public let version: Int64
    /// The value.
    public let payload: [UInt8]
    /// False: nothing is stored under this owner's name in either tier. The value is the one that all owners without one of their
    /// own share; only the fact is remembered on this node (``ColdOwners``), unless it ``isTransient``.
    public let isCacheable: Bool
    /// The value is for this one request, and nothing is remembered.
    public let isTransient: Bool
    /// It is fresh for no longer than this, whatever was said before it was computed; nil: no more is known.
    public let freshFor: Duration?

    /// A computed value.
    public init(
        version: Int64,
        payload: [UInt8],
        isCacheable: Bool,
        isTransient: Bool = false,
        freshFor: Duration? = nil
    ) {
        self.version = version
        self.payload = payload
        self.isCacheable = isCacheable && !isTransient
        self.isTransient = isTransient
        self.freshFor = freshFor
    }
}

/// Where an answer came from.
public enum CacheTier: Sendable, Equatable {
    case local, shared, stale, computed
}

/// An entry and where it came from.
public struct CacheAnswer: Sendable {
    /// The entry.
    public let entry: CacheEntry
    /// Where it came from.
    public let tier: CacheTier
    /// Redis could not be used.
    public let withoutShared: Bool
    /// Time spent looking in L1 and L2.
    public let lookup: Duration
    /// Time spent computing, or waiting for who computes.
    public let compute: Duration
}

/// How long entries are fresh and how long they may be served.
public struct Lifetimes: Sendable, Equatable {
    /// From computation to stale.
    public let soft: Duration
    /// From computation to unservable.
    public let hard: Duration
    /// What jitter has left of both.
    private let factor: Double

    /// Lifetimes; `jitter` in 0...1 takes up to 10 % off both, so that entries filled together do not expire together.
    public init(soft: Duration, hard: Duration, jitter: Double = 0) {
        let factor = 1 - 0.1 * min(max(jitter, 0), 1)
        self.soft = soft * factor
        self.hard = hard * factor
        self.factor = factor
    }

    /// From a computation to stale.
    func soft(of computation: Computation) -> Duration {
        computation.freshFor.map { min(self.soft, $0 * self.factor) } ?? self.soft
    }
}

/// How often something may be done.
public struct RateLimit: Sendable, Equatable {
    /// What both numbers may be.
    public static let range = 1...1_000_000

    /// Times a second, in the long run.
    public let rate: Int
    /// Times at once.
    public let burst: Int

    /// A limit of these numbers; nil where one is out of ``range``.
    public init?(rate: Int, burst: Int) {
        guard Self.range.contains(rate), Self.range.contains(burst) else { return nil }
        self.rate = rate
        self.burst = burst
    }
}

/// How often a key may be used.
public struct KeyLimit: Sendable, Equatable {
    /// The public part of the key.
    public let key: String
    /// What it may.
    public let limit: RateLimit

    /// The limit of a key.
    public init(key: String, limit: RateLimit) {
        self.key = key
        self.limit = limit
    }
}

/// What was done under a limit: the generic cell rate algorithm in its form of a leaky bucket (ITU-T I.371, annex A), in whole
/// numbers. The bucket loses `rate` a second and takes no more than `burst`; within any time of t seconds at most
/// rate × t + burst are taken.
///
/// Nodes that know nothing of each other take a share each.
public struct RateMeter: Sendable, Equatable {
    /// Millionths of one call's share.
    private static let unit: Int64 = 1_000_000

    /// What is in the bucket: millionths of a call, times the shares.
    private var level: Int64 = 0
    private var shares: Int64 = 1
    /// When that was so, in µs.
    private var at: Int64?

    /// An empty bucket.
    public init() {}

    /// Takes as many as fit, and how many those are.
    ///
    /// - Parameters:
    ///   - wanted: The most that is of use.
    ///   - shares: Among how many the limit is divided; each may take one at once, however many there are.
    ///   - now: In µs, of any clock; what it jumps back is passed over.
    public mutating func take(upTo wanted: Int, of limit: RateLimit, shares: Int = 1, at now: Int64) -> Int {
        self.leak(limit, max(1, Int64(shares)), now)
        let cost = Self.unit * self.shares
        let granted = min(Int64(wanted), max(0, (self.capacity(limit) - self.level) / cost))
        self.level += granted * cost
        return Int(granted)
    }

    /// How long after the last look it takes until one fits, in µs; 0: it does.
    public func wait(of limit: RateLimit) -> Int64 {
        let excess = self.level + Self.unit * self.shares - self.capacity(limit)
        let rate = Int64(limit.rate)
        return excess <= 0 ? 0 : (excess + rate - 1) / rate
    }

    private mutating func leak(_ limit: RateLimit, _ shares: Int64, _ now: Int64) {
        if shares != self.shares {
            self.level = self.level / self.shares * shares
            self.shares = shares
        }
        let passed = max(0, now - (self.at ?? now))
        let (leaked, isOver) = passed.multipliedReportingOverflow(by: Int64(limit.rate))
        self.level = isOver ? 0 : min(max(0, self.level - leaked), self.capacity(limit))
        self.at = now
    }

    private func capacity(_ limit: RateLimit) -> Int64 {
        max(Int64(limit.burst) * Self.unit, Self.unit * self.shares)
    }
}

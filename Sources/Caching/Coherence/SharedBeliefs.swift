/// Keys of which something was written to L1 on L2's word since the last heartbeat that showed its data to be as before.
///
/// Data may go back without a connection being lost; the next heartbeat shows it. If the connection is lost before that, no
/// heartbeat ever will: what was written in between is let go.
struct SharedBeliefs: Sendable {
    private let maximum: Int
    private var keys: [CacheKey] = []
    /// How many were let go from the front.
    private var confirmed: UInt64 = 0
    /// What came behind the last key, and is not held.
    private var leftOut: UInt64 = 0

    init(maximum: Int = 4_096) {
        self.maximum = maximum
    }

    /// What has been written so far; kept from before a heartbeat is sent.
    var mark: UInt64 { self.confirmed + UInt64(self.keys.count) + self.leftOut }

    mutating func append(_ key: CacheKey) {
        if self.leftOut == 0, self.keys.count < self.maximum {
            self.keys.append(key)
        } else {
            self.leftOut += 1
        }
    }

    /// A heartbeat that was sent at a mark showed that the data is as before.
    mutating func confirm(through mark: UInt64) {
        guard mark > self.confirmed else { return }
        let count = mark - self.confirmed
        let held = min(self.keys.count, Int(clamping: count))
        self.keys.removeFirst(held)
        self.leftOut -= min(self.leftOut, count - UInt64(held))
        self.confirmed = mark
    }

    /// What nobody has confirmed; nil: more than can be told.
    mutating func take() -> [CacheKey]? {
        let taken = self.leftOut == 0 ? self.keys : nil
        self.confirm(through: self.mark)
        return taken
    }
}

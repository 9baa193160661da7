import Synchronization

/// What writers do with this node after COMMIT.
extension CoherenceKeeper {
    /// Drops this node's entries of a key below a version: the first step after COMMIT.
    public func dropLocally(_ invalidation: Invalidation) {
        self.local.invalidate(invalidation.key, below: invalidation.version)
    }

    /// The number of the command connection, while what is published over it is known to reach the Redis that this node hears;
    /// nil: that is not known. Two primaries, or an address that leads elsewhere, may each have one of a node's connections.
    public var pairing: UInt64? {
        self.state.withLock { $0.isPaired ? $0.connections.count : nil }
    }

    /// The control log was changed on this node: nothing is served as fresh until it is read, and the caller waits for that.
    public func controlChangedLocally() async -> Bool {
        self.state.withLock { $0.controlBehind() }
        return await self.checks.wait(since: self.now())
    }

    /// Waits until the relay has brought every row of a transaction to Redis; false at the deadline, and earlier where this
    /// node reaches no Redis that could tell it.
    public func relayed(past transaction: UInt64, within limit: Duration) async -> Bool {
        let start = self.now()
        let deadline = start.advanced(by: limit)
        self.beatSoon.yield()
        // A connection that is there again by then may still tell.
        let grace = min(limit, self.settings.relayInterval)
        if self.isApart(for: grace) { return false }
        return await self.relayWaiters.wait(for: transaction) {
            self.state.withLock { $0.relayed?.covers(transaction) ?? false }
        } limit: {
            // A cancelled sleep ends the wait as well.
            try? await Task.sleep(until: start.advanced(by: grace), clock: .continuous)
            guard !self.isApart(for: grace) else { return }
            try? await Task.sleep(until: deadline, clock: .continuous)
        }
    }

    /// Whether there has been no connection to Redis for so long.
    private func isApart(for time: Duration) -> Bool {
        let now = self.now()
        return self.state.withLock { $0.apartSince.map { now - $0 >= time } ?? false }
    }
}

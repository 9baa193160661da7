import Synchronization

/// Bounds how many computations run at once on this node, so that PostgreSQL never sees more.
public final class ComputeLimit: Sendable {
    private let limit: Int
    private let running = Mutex(0)

    /// A bound of at least one.
    public init(_ limit: Int) {
        self.limit = max(1, limit)
    }

    /// Takes a place; false where all are taken.
    public func enter() -> Bool {
        self.running.withLock { running in
            guard running < self.limit else { return false }
            running += 1
            return true
        }
    }

    /// Whether more than a quarter of the places are taken: what can wait should.
    public var isBusy: Bool { self.running.withLock { 4 * $0 > self.limit } }

    /// Gives a place back.
    public func leave() {
        self.running.withLock { $0 -= 1 }
    }
}

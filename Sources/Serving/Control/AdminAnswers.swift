package import RecommendationCore

/// The answer to a change of tombstones.
package struct TombstoneAnswer: Sendable, Equatable {
    package let epoch: Int64
    /// Added, or removed where they were taken away.
    package let changed: Int
    package let unchanged: Int
    package let announcement: Announcement

    package init(epoch: Int64, changed: Int, unchanged: Int, announcement: Announcement) {
        self.epoch = epoch
        self.changed = changed
        self.unchanged = unchanged
        self.announcement = announcement
    }
}

/// The answer to a purge.
package enum PurgeAnswer: Sendable, Equatable {
    /// Everything of the scope computed before is out of use.
    case generation(epoch: Int64, Announcement)
    /// The user's version was raised.
    case user(version: User.Version, Announcement)
    /// Nothing was done: `dry_run`, or a user without a row.
    case nothing
}

/// What `/readyz` says.
package struct Readiness: Sendable, Equatable {
    /// Control state and snapshots are loaded and the node is not stopping.
    package var ready: Bool
    /// What is missing, one word each, for example `control`, `snapshot`, `stopping`.
    package var waitingFor: [String]
    /// What the node does without, for example `redis`.
    package var degraded: [String]

    package init(ready: Bool, waitingFor: [String], degraded: [String]) {
        self.ready = ready
        self.waitingFor = waitingFor
        self.degraded = degraded
    }
}

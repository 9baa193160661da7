package import Caching
import RecommendationCore

/// How far a change that is committed has been told to the fleet.
package struct Announcement: Sendable, Equatable {
    /// Its id in the control log; nil: it has none.
    package let epoch: Int64?
    /// Whether every node that has a lease one lease from now has applied it.
    package let isPropagated: Bool
    /// When its message was with Redis; nil: it is not.
    package let publishedAt: ContinuousClock.Instant?

    package init(epoch: Int64?, isPropagated: Bool, publishedAt: ContinuousClock.Instant?) {
        self.epoch = epoch
        self.isPropagated = isPropagated
        self.publishedAt = publishedAt
    }
}

extension Invalidator {
    /// Applies a change of the control state here and tells the other nodes.
    package func announce(epoch: Int64?) async -> Announcement {
        let (isApplied, publishedAt) = await self.announceControl()
        return Announcement(
            epoch: epoch,
            isPropagated: isApplied && publishedAt != nil,
            publishedAt: publishedAt
        )
    }
}

extension SelfCheck {
    /// Hears of tombstones that were announced; of one that was not nothing is promised yet.
    func denied(_ tombstones: [Tombstone], of tenant: Tenant.ID, _ announcement: Announcement) {
        guard announcement.isPropagated, let epoch = announcement.epoch else { return }
        self.denied(
            tombstones.lazy.map { tombstone in
                Denial(
                    owner: tenant.string,
                    kind: tombstone.kind.rawValue,
                    name: tombstone.key.string,
                    epoch: epoch
                )
            }
        )
    }
}

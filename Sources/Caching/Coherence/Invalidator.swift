import Metrics

/// The steps between COMMIT and acknowledgement, in their fixed order: local stripes dropped → floors raised → published.
///
/// Whatever fails after the commit is the relay's to finish; the writer waits for it up to a limit and otherwise says that the
/// write is durable and not yet propagated.
public struct Invalidator: Sendable {
    private let keeper: CoherenceKeeper
    private let shared: any SharedCache
    private let bus: any InvalidationBus
    private let selfCheck: SelfCheck?
    private let failures = Counter(label: "vireo_invalidations_unpropagated_total")

    /// An invalidator over the node's keeper and adapters.
    ///
    /// - Parameter selfCheck: Hears of what went out; nil: nobody does.
    public init(
        keeper: CoherenceKeeper,
        shared: any SharedCache,
        bus: any InvalidationBus,
        selfCheck: SelfCheck? = nil
    ) {
        self.keeper = keeper
        self.shared = shared
        self.bus = bus
        self.selfCheck = selfCheck
    }

    /// Propagates invalidations that are committed. True: every node that has a lease after one lease from now has applied
    /// them.
    ///
    /// - Parameters:
    ///   - transaction: Of the journal rows, to recognise the relay's pass by.
    ///   - limit: How long to wait for the relay where this node's own way to Redis failed.
    public func propagate(_ invalidations: [Invalidation], transaction: UInt64, within limit: Duration) async -> Bool {
        guard !invalidations.isEmpty else { return true }
        for invalidation in invalidations { self.keeper.dropLocally(invalidation) }
        let pairing = self.keeper.pairing
        do {
            let messages = invalidations.map { BusMessage.invalidation($0) }
            if self.keeper.faults.has(.publishFirst) { try await self.bus.publish(messages, on: nil) }
            try await self.shared.raiseFloors(invalidations, on: nil)
            if !self.keeper.faults.has(.publishFirst) { try await self.bus.publish(messages, on: nil) }
            // A Redis that nobody listens to takes everything, too.
            if let pairing, pairing == self.keeper.pairing {
                self.selfCheck?.acknowledged(invalidations)
                return true
            }
        } catch {
            // Floors that could not be raised: what L2 says of these keys is not to be believed.
            self.keeper.sharedDoubted()
        }
        if await self.keeper.relayed(past: transaction, within: limit) { return true }
        self.failures.increment()
        return false
    }

    /// Announces that the control log has grown, after this node has applied it itself.
    ///
    /// - Returns: Whether this node has applied it (it has no lease until it has), and when the message was with Redis; nil:
    ///   it is not, and nodes learn of the change by their own reads, within the control interval and a lease.
    public func announceControl() async -> (isApplied: Bool, publishedAt: ContinuousClock.Instant?) {
        let isApplied = await self.keeper.controlChangedLocally()
        do {
            try await self.bus.publish([.control], on: nil)
            return (isApplied, .now)
        } catch {
            return (isApplied, nil)
        }
    }
}

public import Logging
public import ServiceLifecycle

/// What nodes have confirmed of the control log.
public protocol ControlConfirmations: Sendable {
    /// The last id of the control log that every node which may hold a lease has confirmed, at some moment after the call;
    /// nil: one of them has confirmed nothing, or there is none. A node confirms an id when all that it serves from then on
    /// is served by a state that holds it.
    func confirmedByAll() async throws -> Int64?
}

/// Waits until a change is in what every node serves (`wait=all`; coherence, section 3).
///
/// What proves it is time: whoever has not heard a message that was published has no lease one lease later. Confirmations
/// can only come before that, never instead of it, so no node that is dead or cut off holds anybody up for longer. A change
/// that was not published is proved by confirmations alone.
public final class FleetWait: Service {
    /// How often confirmations are read while somebody waits.
    private static let interval = Duration.milliseconds(20)

    private let settings: CoherenceSettings
    private let confirmations: any ControlConfirmations
    private let log: Logger
    private let now: @Sendable () -> ContinuousClock.Instant
    private let sleep: @Sendable (ContinuousClock.Instant) async -> Void
    private let waiters = MarkWaiters<Int64>()
    private let signals: AsyncStream<Void>
    private let signal: AsyncStream<Void>.Continuation

    /// - Parameters:
    ///   - now: The monotonic clock that times of publication are of.
    ///   - sleep: Until a moment of that clock, or until the task is cancelled.
    public init(
        settings: CoherenceSettings,
        confirmations: any ControlConfirmations,
        log: Logger,
        now: @escaping @Sendable () -> ContinuousClock.Instant = { .now },
        sleep: @escaping @Sendable (ContinuousClock.Instant) async -> Void = { end in
            try? await Task.sleep(until: end, clock: .continuous)
        }
    ) {
        self.settings = settings
        self.confirmations = confirmations
        self.log = log
        self.now = now
        self.sleep = sleep
        (self.signals, self.signal) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// Waits, at most for ``CoherenceSettings/everywhereAfter`` from the publication, or, where there was none, for
    /// ``CoherenceSettings/waitLimit`` from now.
    ///
    /// - Parameters:
    ///   - epoch: The change's id in the control log; nil: it has none, and nobody confirms it.
    ///   - publishedAt: When the message was with Redis; nil: it is not.
    /// - Returns: Whether every request that any node begins from now on is served with the change, or marked as not
    ///   verified. False: that is not known.
    public func wait(for epoch: Int64?, publishedAt: ContinuousClock.Instant?) async -> Bool {
        let proven = publishedAt?.advanced(by: self.settings.everywhereAfter)
        let end = proven ?? self.now().advanced(by: self.settings.waitLimit)
        if let epoch {
            if await self.confirmed(epoch, by: end) { return true }
        } else if proven != nil {
            await self.sleep(end)
        }
        // A sleep that was cancelled proves nothing.
        return proven.map { $0 <= self.now() } ?? false
    }

    private func confirmed(_ epoch: Int64, by end: ContinuousClock.Instant) async -> Bool {
        await self.waiters.wait(for: epoch) {
            self.signal.yield()
            return false
        } limit: {
            await self.sleep(end)
        }
    }

    /// Reads confirmations while somebody waits, until the service is shut down; who waits then has time alone.
    public func run() async throws {
        await cancelWhenGracefulShutdown {
            for await _ in self.signals {
                while !self.waiters.isEmpty, !Task.isCancelled {
                    await self.look()
                    await self.sleep(self.now().advanced(by: Self.interval))
                }
            }
        }
    }

    func look() async {
        do {
            guard let confirmed = try await self.confirmations.confirmedByAll() else { return }
            self.waiters.reached { $0 <= confirmed }
        } catch {
            self.log.debug("confirmations cannot be read", metadata: ["error": "\(error)"])
        }
    }
}

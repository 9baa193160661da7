import NIOCore
import ServiceLifecycle
import Synchronization

/// The desks of a port, one for each event loop, and the service that does what they wait for.
final class LaneDesks: Service, Sendable {
    // A desk is not Sendable; it is found here by connections of its own loop only, and used on that loop only.
    private struct Desk: @unchecked Sendable {
        let desk: LaneDesk
    }

    private let plan: LanePlan
    private let desks = Mutex<[ObjectIdentifier: Desk]>([:])
    private let jobs: AsyncStream<@Sendable () async -> Void>
    private let submit: AsyncStream<@Sendable () async -> Void>.Continuation

    init(_ plan: LanePlan) {
        self.plan = plan
        // Bounded by the batches that desks have under way.
        (self.jobs, self.submit) = AsyncStream.makeStream()
    }

    /// Runs what desks submit until the service is shut down; what is submitted later is never done, and its requests are
    /// passed on when their time is up.
    func run() async {
        await withDiscardingTaskGroup { group in
            for await job in self.jobs.cancelOnGracefulShutdown() { group.addTask { await job() } }
        }
    }

    /// The desk of the event loop that calls.
    func desk(of eventLoop: any EventLoop) -> LaneDesk {
        eventLoop.preconditionInEventLoop()
        let key = ObjectIdentifier(eventLoop)
        return self.desks.withLock { desks in
            if let desk = desks[key] { return desk }
            let desk = Desk(desk: LaneDesk(self.plan, on: eventLoop) { self.submit.yield($0) })
            desks[key] = desk
            return desk
        }.desk
    }
}

import NIOCore
import Synchronization

/// The desks of a port, one for each event loop.
final class LaneDesks: Sendable {
    // A desk is not Sendable; it is found here by connections of its own loop only, and used on that loop only.
    private struct Desk: @unchecked Sendable {
        let desk: LaneDesk
    }

    private let plan: LanePlan
    private let desks = Mutex<[ObjectIdentifier: Desk]>([:])

    init(_ plan: LanePlan) {
        self.plan = plan
    }

    /// The desk of the event loop that calls.
    func desk(of eventLoop: any EventLoop) -> LaneDesk {
        eventLoop.preconditionInEventLoop()
        let key = ObjectIdentifier(eventLoop)
        return self.desks.withLock { desks in
            if let desk = desks[key] { return desk }
            let desk = Desk(desk: LaneDesk(self.plan))
            desks[key] = desk
            return desk
        }.desk
    }
}

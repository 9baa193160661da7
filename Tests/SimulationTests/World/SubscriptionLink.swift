import Caching

/// A node's subscription connection: what the server has sent is on its way in order, and what has arrived waits for the
/// applier. Its loss takes what was on its way.
final class SubscriptionLink {
    private let scheduler: Scheduler
    private(set) var session: UInt64 = 0
    private(set) var isLive = false
    private var connection = 0
    private var lastArrival: Int64 = 0
    private var inbox: [BusEvent] = []
    private var waiter: ((BusEvent?) -> Void)?
    private var isClosed = false
    /// What is sent arrives no sooner.
    var heldUntil: Int64 = 0
    /// Called at once when the connection is lost, ahead of what has arrived.
    var onLost: (UInt64) -> Void = { _ in }
    var onEnded: () -> Void = {}

    init(_ scheduler: Scheduler) {
        self.scheduler = scheduler
    }

    /// The server has confirmed the subscription.
    func confirm() {
        self.session += 1
        self.connection += 1
        self.isLive = true
        self.heldUntil = 0
        self.lastArrival = self.scheduler.now
        self.transmit(.began(session: self.session))
    }

    /// What the server sends.
    func transmit(_ event: BusEvent) {
        let connection = self.connection
        let transit = Transit.draw(self.scheduler)
        self.lastArrival = max(self.lastArrival + 1, self.heldUntil, self.scheduler.now + transit)
        self.scheduler.at(self.lastArrival) {
            guard connection == self.connection, self.isLive else { return }
            self.arrive(event)
        }
    }

    func lose() {
        guard self.isLive else { return }
        self.isLive = false
        self.onLost(self.session)
        self.arrive(.ended(session: self.session))
        self.onEnded()
    }

    private func arrive(_ event: BusEvent) {
        if let waiter = self.waiter {
            self.waiter = nil
            waiter(event)
        } else {
            self.inbox.append(event)
        }
    }

    /// Gives the next event, when there is one; nil: there will be none.
    func next(_ body: @escaping (BusEvent?) -> Void) {
        if self.isClosed {
            body(nil)
        } else if self.inbox.isEmpty {
            self.waiter = body
        } else {
            body(self.inbox.removeFirst())
        }
    }

    func close() {
        self.isClosed = true
        self.isLive = false
        self.waiter?(nil)
        self.waiter = nil
    }
}

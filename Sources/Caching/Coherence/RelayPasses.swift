/// The relay's pass over a Redis: who relays, and how many passes without a failure it has ended over this connection.
public struct RelayPass: Sendable, Hashable {
    /// Told from every other; another one after any failure.
    public let relay: String
    /// Grows by one with each pass.
    public let count: UInt64

    /// A pass of these parts.
    public init(relay: String, count: UInt64) {
        self.relay = relay
        self.count = count
    }

    /// The pass of a text; any other word, as the version before writes, is the first of a relay of its own.
    public init(_ text: String) {
        let parts = text.split(separator: ":", maxSplits: 1)
        if parts.count == 2, let count = UInt64(parts[1]) {
            self.init(relay: String(parts[0]), count: count)
        } else {
            self.init(relay: text, count: 0)
        }
    }

    /// As it stands in Redis.
    public var text: String { "\(self.relay):\(self.count)" }
}

/// What the relay is known to have brought over the Redis that this node hears, as a state machine.
///
/// Both ways of a node may lead to a primary that the rest of the fleet has left, and heartbeats come back from there. What
/// writers publish elsewhere gets here by the relay alone: it drains the journal into this Redis, or not at all. So beside the
/// heartbeats the passes count. Where a heartbeat was told that a pass had ended, and a later one that two more had, the last of
/// them began after the first heartbeat was sent: everything committed by then is ahead of the later one on the subscription.
///
/// `deploy/checks/model.py` has a trace that breaks without the second pass, and one without waiting for the heartbeat; that
/// another name begins anew is argued at `PassCounter` alone.
struct RelayPasses: Sendable {
    typealias Instant = ContinuousClock.Instant

    /// Heartbeats that are remembered; they outlast a lease.
    private static let most = 16

    /// Until when everything that was committed is applied here, by whichever node; nil: it is not known.
    private(set) var broughtThrough: Instant?
    /// The send time of the first heartbeat that was told the last pass; nil: none was told in this session.
    private(set) var toldAt: Instant?

    private var session: UInt64?
    private var last: RelayPass?
    private var beats: [(sentAt: Instant, count: UInt64)] = []
    private var replied: [(number: UInt64, through: Instant)] = []
    private var reached: UInt64 = 0

    mutating func sessionBegan(_ session: UInt64) {
        self = RelayPasses()
        self.session = session
    }

    mutating func sessionEnded() { self = RelayPasses() }

    /// Redis answered a heartbeat.
    mutating func heartbeatReplied(_ heartbeat: Heartbeat, pass: RelayPass?, sentAt: Instant) {
        guard heartbeat.session == self.session, let pass else { return }
        if pass.relay != self.last?.relay || pass.count < self.last?.count ?? 0 { self.beats.removeAll() }
        if pass != self.last { self.toldAt = sentAt }
        self.last = pass
        if let before = self.beats.last(where: { $0.count + 2 <= pass.count }) {
            if heartbeat.number <= self.reached {
                self.bring(through: before.sentAt)
            } else {
                self.replied.append((heartbeat.number, before.sentAt))
            }
        }
        self.beats.append((sentAt, pass.count))
        if self.beats.count > Self.most { self.beats.removeFirst() }
        if self.replied.count > Self.most { self.replied.removeFirst() }
    }

    /// The applier reached a heartbeat: what was published before it is applied.
    mutating func heartbeatReached(_ heartbeat: Heartbeat) {
        guard heartbeat.session == self.session else { return }
        self.reached = max(self.reached, heartbeat.number)
        for (number, through) in self.replied where number <= self.reached { self.bring(through: through) }
        self.replied.removeAll { $0.number <= self.reached }
    }

    private mutating func bring(through instant: Instant) {
        self.broughtThrough = max(self.broughtThrough ?? instant, instant)
    }
}

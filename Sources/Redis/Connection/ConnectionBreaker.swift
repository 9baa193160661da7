/// Whether a new connection is used at once, or has to show first that the server answers in time.
///
/// A server that does not answer at all lets no connection become ready: the handshake is what asks whether it is back, one at
/// a time, and callers are refused meanwhile. One that limps passes the handshake, and each connection to it would keep its
/// callers waiting for the command timeout. So when connections end by time-outs in a row, the breaker is open: the next one
/// owes answers in time, asked for one by one, before anybody may use it, twice as many each time. A connection
/// that has served for a while ends the row.
struct ConnectionBreaker: Sendable {
    typealias Instant = ContinuousClock.Instant

    /// Time-outs in a row before it opens: one may be an accident.
    private static let tolerated = 1
    /// How long a connection must have served for its time-out to be the first of a row.
    private static let spell = Duration.seconds(1)
    private static let mostProbes = 16

    private var timeouts = 0
    private var readyAt: Instant?

    /// How many answers in time a new connection owes.
    var probes: Int {
        self.timeouts <= Self.tolerated ? 0 : min(1 << min(self.timeouts - Self.tolerated - 1, 30), Self.mostProbes)
    }

    /// Whether callers are refused until a connection has given its answers.
    var isOpen: Bool { self.probes > 0 && self.readyAt == nil }

    /// A connection has answered what it owed, and is used from now on.
    mutating func connected(at now: Instant) {
        self.readyAt = now
    }

    /// A connection that was in use is lost.
    mutating func lost(byTimeout: Bool, at now: Instant) {
        if let readyAt, now - readyAt >= Self.spell { self.timeouts = 0 }
        self.readyAt = nil
        if byTimeout { self.timeouts += 1 }
    }
}

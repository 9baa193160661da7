package import LoadClient

/// Which request goes out on which connection, and when: a value that is told what happened and says what to do.
///
/// Requests become due by the schedule alone. One that finds every connection of its target busy waits in a line, and its
/// waiting is part of its latency: a server that stalls for a second is seen by every request that was due in that second,
/// not only by those that were under way (no coordinated omission). Targets take turns, each with a line and connections of
/// its own, so that a slow node keeps its share.
///
/// Times are durations since the start of the run.
package struct Dispatcher: Sendable {
    package enum Action: Sendable, Equatable {
        case send(Int, Arrival)
        /// Opens a connection, or opens it again.
        case connect(Int)
        /// Closes a connection whose answer has not come in time.
        case abandon(Int)
    }

    /// What becomes of a request.
    package struct Outcome: Sendable, Equatable {
        package let arrival: Arrival
        /// When it was really sent; nil: never.
        package let sent: Duration?
        /// How much later it was sent than it could have been, being due and having a connection: the client's own part.
        package let lag: Duration
        package let ended: Duration
        package let end: End
    }

    package enum End: Sendable, Equatable {
        case answered
        case failed(Failure)
    }

    package struct Limits: Sendable {
        /// From the sending of a request to the end of its answer.
        package var timeout: Duration = .seconds(10)
        /// How long the last requests may take after the schedule's end.
        package var grace: Duration = .seconds(10)
        /// Before a connection that was refused is tried again.
        package var reconnect: Duration = .milliseconds(100)

        package init() {}
    }

    private enum Connection: Sendable {
        case opening
        case waiting(until: Duration)
        case free(since: Duration)
        case busy(Arrival, sent: Duration, lag: Duration)
    }

    private struct Lane: Sendable {
        var free: [Int] = []
        var line = Line()
    }

    private var schedule: ArrivalSchedule
    private let limits: Limits
    private var connections: [Connection]
    private var lanes: [Lane]
    private var taken = 0
    private var stopped = false
    private var end: Duration
    /// What was sent, in order, to see which is over its time; an entry is void once its connection has gone on.
    private var deadlines = Line()
    /// How many connections wait to be tried again.
    private var retrying = 0

    /// How many wait for a connection.
    package private(set) var waiting = 0
    package private(set) var mostWaiting = 0
    package private(set) var busy = 0

    /// - Parameters:
    ///   - targets: How many addresses take turns.
    ///   - connections: How many connections in all; connection `c` is to target `c % targets`. At least one each.
    package init(schedule: ArrivalSchedule, targets: Int, connections: Int, limits: Limits = Limits()) {
        precondition(targets > 0 && connections >= targets)
        self.schedule = schedule
        self.limits = limits
        self.connections = Array(repeating: .opening, count: connections)
        self.lanes = Array(repeating: Lane(), count: targets)
        self.end = schedule.duration + limits.grace
    }

    package var targets: Int { self.lanes.count }

    /// Whether nothing is due, waiting or under way any more.
    package var isFinished: Bool { self.busy == 0 && self.waiting == 0 && (self.stopped || self.schedule.next == nil) }

    /// When to call ``advance(to:actions:outcomes:)`` next, whatever happens; nil: never.
    package var nextWake: Duration? {
        guard !self.isFinished else { return nil }
        var wake = self.end
        if !self.stopped, let next = self.schedule.next { wake = min(wake, next) }
        if let oldest = self.deadlines.first { wake = min(wake, oldest.at + self.limits.timeout) }
        if self.retrying > 0 {
            for case .waiting(let until) in self.connections { wake = min(wake, until) }
        }
        return wake
    }

    /// Time has gone on: takes what is due, gives up what is late, and sends what can be sent.
    package mutating func advance(to now: Duration, actions: inout [Action], outcomes: inout [Outcome]) {
        while !self.stopped, let arrival = self.schedule.take(by: now) {
            self.lanes[self.taken % self.lanes.count].line.append(arrival, at: arrival.intended)
            self.taken += 1
            self.waiting += 1
        }
        while let oldest = self.deadlines.first {
            if let connection = self.connection(of: oldest) {
                guard oldest.at + self.limits.timeout <= now else { break }
                self.give(up: connection, .timeout, at: now, &actions, &outcomes)
            }
            self.deadlines.removeFirst()
        }
        if self.retrying > 0 { self.retry(at: now, &actions) }
        for lane in self.lanes.indices { self.send(lane, at: now, &actions) }
        self.mostWaiting = max(self.mostWaiting, self.waiting)
        if now >= self.end { self.giveUpAll(at: now, &actions, &outcomes) }
    }

    package mutating func opened(_ connection: Int, at now: Duration, actions: inout [Action]) {
        self.connections[connection] = .free(since: now)
        self.lanes[connection % self.lanes.count].free.append(connection)
        self.send(connection % self.lanes.count, at: now, &actions)
    }

    package mutating func couldNotOpen(_ connection: Int, at now: Duration) {
        self.connections[connection] = .waiting(until: now + self.limits.reconnect)
        self.retrying += 1
    }

    /// The answer is there to its last byte.
    ///
    /// - Parameter keepsOpen: False where the server will close the connection.
    package mutating func answered(
        _ connection: Int,
        keepsOpen: Bool = true,
        at now: Duration,
        actions: inout [Action],
        outcomes: inout [Outcome]
    ) {
        guard case .busy(let arrival, let sent, let lag) = self.connections[connection] else { return }
        self.busy -= 1
        outcomes.append(Outcome(arrival: arrival, sent: sent, lag: lag, ended: now, end: .answered))
        if keepsOpen {
            self.opened(connection, at: now, actions: &actions)
        } else {
            self.connections[connection] = .opening
            actions.append(.connect(connection))
        }
    }

    /// The connection is gone; what was under way on it has failed.
    package mutating func broke(
        _ connection: Int,
        _ failure: Failure,
        at now: Duration,
        actions: inout [Action],
        outcomes: inout [Outcome]
    ) {
        switch self.connections[connection] {
        case .busy(let arrival, let sent, let lag):
            self.busy -= 1
            outcomes.append(Outcome(arrival: arrival, sent: sent, lag: lag, ended: now, end: .failed(failure)))
        case .free:
            // The longest free is the first: it is rarely far from there.
            self.lanes[connection % self.lanes.count].free.removeAll { $0 == connection }
        case .opening, .waiting: return
        }
        self.connections[connection] = .opening
        actions.append(.connect(connection))
    }

    /// Nothing more becomes due; what is under way has a last moment, what waits is not sent.
    package mutating func stop(at now: Duration, grace: Duration, outcomes: inout [Outcome]) {
        guard !self.stopped else { return }
        self.stopped = true
        self.end = min(self.end, now + grace)
        self.giveUpWaiting(at: now, &outcomes)
    }

    private mutating func retry(at now: Duration, _ actions: inout [Action]) {
        for (index, connection) in self.connections.enumerated() {
            guard case .waiting(let until) = connection, until <= now else { continue }
            self.connections[index] = .opening
            self.retrying -= 1
            actions.append(.connect(index))
        }
    }

    private mutating func send(_ lane: Int, at now: Duration, _ actions: inout [Action]) {
        while !self.lanes[lane].free.isEmpty, let first = self.lanes[lane].line.first {
            self.lanes[lane].line.removeFirst()
            self.waiting -= 1
            let connection = self.lanes[lane].free.removeFirst()
            guard case .free(let since) = self.connections[connection] else { continue }
            let lag = now - max(since, first.arrival.intended)
            self.connections[connection] = .busy(first.arrival, sent: now, lag: lag)
            self.busy += 1
            self.deadlines.append(first.arrival, at: now, connection: connection)
            actions.append(.send(connection, first.arrival))
        }
    }

    private func connection(of entry: Line.Entry) -> Int? {
        guard case .busy(let arrival, let sent, _) = self.connections[entry.connection],
            arrival == entry.arrival, sent == entry.at
        else { return nil }
        return entry.connection
    }

    private mutating func give(
        up connection: Int,
        _ failure: Failure,
        at now: Duration,
        _ actions: inout [Action],
        _ outcomes: inout [Outcome]
    ) {
        guard case .busy(let arrival, let sent, let lag) = self.connections[connection] else { return }
        self.busy -= 1
        outcomes.append(Outcome(arrival: arrival, sent: sent, lag: lag, ended: now, end: .failed(failure)))
        actions.append(.abandon(connection))
        self.connections[connection] = .opening
        actions.append(.connect(connection))
    }

    private mutating func giveUpAll(at now: Duration, _ actions: inout [Action], _ outcomes: inout [Outcome]) {
        self.stopped = true
        for index in self.connections.indices { self.give(up: index, .timeout, at: now, &actions, &outcomes) }
        self.giveUpWaiting(at: now, &outcomes)
    }

    private mutating func giveUpWaiting(at now: Duration, _ outcomes: inout [Outcome]) {
        for lane in self.lanes.indices {
            while let first = self.lanes[lane].line.first {
                self.lanes[lane].line.removeFirst()
                self.waiting -= 1
                outcomes.append(
                    Outcome(arrival: first.arrival, sent: nil, lag: .zero, ended: now, end: .failed(.unsent))
                )
            }
        }
    }
}

/// First in, first out, without moving what waits.
struct Line: Sendable {
    struct Entry: Sendable {
        let arrival: Arrival
        let at: Duration
        let connection: Int
    }

    private var entries: [Entry] = []
    private var head = 0

    var first: Entry? { self.head < self.entries.count ? self.entries[self.head] : nil }

    mutating func append(_ arrival: Arrival, at time: Duration, connection: Int = 0) {
        self.entries.append(Entry(arrival: arrival, at: time, connection: connection))
    }

    mutating func removeFirst() {
        self.head += 1
        guard self.head >= 1_024, self.head * 2 > self.entries.count else { return }
        self.entries.removeFirst(self.head)
        self.head = 0
    }
}

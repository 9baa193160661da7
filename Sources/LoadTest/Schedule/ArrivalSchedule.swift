/// When requests are due, whatever the server does: an open loop.
///
/// Request `n` is due at `n / rate`, computed from `n` and never added up, so that an hour is as exact as a second. A
/// scenario's invalidations have clocks of their own and are merged in.
package struct ArrivalSchedule: Sendable {
    /// The time after the start at which nothing is due any more.
    package let duration: Duration
    /// How many requests there are at most; each of a pass over all users is due at once.
    package let limit: Int
    /// nil: all are due at the start, and connections are the only limit; a closed loop.
    package let rate: Double?
    private let periods: [Duration]
    private var taken = 0
    private var extrasTaken: [Int]

    /// - Parameters:
    ///   - rate: Requests per second.
    ///   - limit: How many there are at most; nil: as many as fit.
    ///   - periods: How often each of the scenario's extra requests is due; the first time after one period.
    package init(rate: Double, duration: Duration, limit: Int? = nil, periods: [Duration] = []) {
        self.rate = rate
        self.limit = limit ?? .max
        self.periods = periods
        self.extrasTaken = periods.map { _ in 0 }
        // With a limit, the end is the moment after the last request.
        let end = limit.map { Self.time(of: $0, rate: rate) }
        self.duration = end.map { min($0, duration) } ?? duration
    }

    /// As many requests as there are, as fast as connections allow, for at most a time.
    package init(allAtOnce count: Int, within duration: Duration) {
        self.rate = nil
        self.limit = count
        self.duration = duration
        self.periods = []
        self.extrasTaken = []
    }

    /// When the next is due; nil: there is none.
    package var next: Duration? { self.earliest?.at }

    /// Takes what is due by `now`, the earliest first.
    package mutating func take(by now: Duration) -> Arrival? {
        guard let (at, source) = self.earliest, at <= now else { return nil }
        switch source {
        case nil:
            self.taken += 1
            return Arrival(intended: at, kind: .request(self.taken - 1))
        case let extra?:
            self.extrasTaken[extra] += 1
            return Arrival(intended: at, kind: .extra(extra, self.extrasTaken[extra] - 1))
        }
    }

    /// The next arrival's time and, where it is an extra one, which.
    private var earliest: (at: Duration, extra: Int?)? {
        var earliest: (at: Duration, extra: Int?)?
        if self.taken < self.limit {
            let at = self.rate.map { Self.time(of: self.taken, rate: $0) } ?? .zero
            if at < self.duration { earliest = (at, nil) }
        }
        for (index, period) in self.periods.enumerated() {
            let at = period * (self.extrasTaken[index] + 1)
            if at < self.duration, at < earliest?.at ?? self.duration { earliest = (at, index) }
        }
        return earliest
    }

    private static func time(of number: Int, rate: Double) -> Duration {
        .nanoseconds(Int64((Double(number) / rate * 1_000_000_000).rounded()))
    }
}

/// A request that is due.
package struct Arrival: Sendable, Equatable {
    package enum Kind: Sendable, Equatable {
        /// The scenario's request of this number.
        case request(Int)
        /// An extra one: which of them, and its number.
        case extra(Int, Int)
    }

    /// When it is due, after the start: latency counts from here, also where it can be sent only later.
    package let intended: Duration
    package let kind: Kind

    package init(intended: Duration, kind: Kind) {
        self.intended = intended
        self.kind = kind
    }
}

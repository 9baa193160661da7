/// Where one HTTP/1.1 connection stands: what is being read, what is still to be answered, and how it ends.
///
/// Requests may be pipelined: while one is answered, the next is read, and may come too slowly or be nonsense. Its refusal
/// then waits for its turn, as answers go out in the order of requests. After the last answer nothing more is read or
/// written; what comes from above is dropped.
struct ConnectionState {
    /// The one timer of a connection.
    enum Timer: Equatable {
        case head, body, linger
    }

    enum TimerChange: Equatable {
        case none
        case start(Timer)
        case stop
    }

    /// What becomes of an answer's part.
    enum Writing: Equatable {
        case pass
        /// The head says that the connection ends with this answer.
        case passSayingClose
        /// Ends the connection after this.
        case passAndEnd
        /// Refuses what is being read, after this.
        case passAndRefuse(Refusal)
        case drop
    }

    enum Ending: Equatable {
        case none
        case refuse(Refusal)
        /// At once: whoever is there has had the answer.
        case close
    }

    private enum Reading {
        case nothing, head, body
    }

    private var reading = Reading.nothing
    /// Of each request that is not answered yet, the oldest first, whether the connection outlives its answer.
    private var keepAlive: [Bool] = []
    private var isAnswering = false
    private var refusal: Refusal?
    private var isEnding = false
    private var sawPart = false
    private(set) var timer: Timer?

    /// Whether what is read still reaches a route.
    var forwards: Bool { !self.isEnding && self.refusal == nil }

    /// Whether nothing is being read or answered: what is written now stands in its turn.
    var isQuiet: Bool {
        self.forwards && self.reading == .nothing && self.keepAlive.isEmpty && !self.isAnswering
    }

    /// Whether a request that was read whole waits for its answer.
    var isWaitedFor: Bool { self.reading != .body && !self.keepAlive.isEmpty }

    /// Whether the last answer is written.
    var isOver: Bool { self.isEnding }

    /// Whether the rest of a body that was begun will never be handed on.
    var abandonsBody: Bool { !self.forwards && self.reading == .body }

    /// Whether the request that began last may be told to go on sending: nothing else is being answered.
    var maySayContinue: Bool { self.forwards && self.keepAlive.count == 1 && !self.isAnswering }

    mutating func requestBegan(keepAlive: Bool) -> TimerChange {
        guard self.forwards else { return .none }
        self.sawPart = true
        self.reading = .body
        self.keepAlive.append(keepAlive)
        return self.stop(.head)
    }

    mutating func bodyArrived() {
        self.sawPart = true
    }

    mutating func requestEnded() -> TimerChange {
        guard self.forwards else { return .none }
        self.sawPart = true
        self.reading = .nothing
        return self.stop(.body)
    }

    /// All that could be decoded of what arrived was handed on; if that was nothing, a head has begun and not ended.
    mutating func readCompleted() -> TimerChange {
        guard self.forwards else { return .none }
        defer { self.sawPart = false }
        switch self.reading {
        case .nothing:
            guard !self.sawPart else { return .none }
            self.reading = .head
            return self.start(.head)
        case .head: return .none
        case .body: return self.timer == nil ? self.start(.body) : .none
        }
    }

    mutating func timerFired() -> Ending {
        let timer = self.timer
        self.timer = nil
        switch timer {
        case .head, .body: return self.fail(.timeout)
        case .linger: return .close
        case nil: return .none
        }
    }

    /// What is being read cannot go on.
    mutating func fail(_ refusal: Refusal) -> Ending {
        guard self.forwards else { return .none }
        if self.reading == .body, self.keepAlive.isEmpty {
            self.isEnding = true
            return .close
        }
        self.refusal = refusal
        // The request that is being read may be half answered; that answer is then the last.
        if self.keepAlive.count == self.turn, !self.isAnswering {
            self.isEnding = true
            return .refuse(refusal)
        }
        return .none
    }

    /// - Parameter closes: Whether the answer itself says that it is the last.
    mutating func answerBegan(closes: Bool) -> Writing {
        guard !self.isEnding else { return .drop }
        self.isAnswering = true
        guard let first = self.keepAlive.first else { return .pass }
        guard closes || !first else { return .pass }
        self.keepAlive[0] = false
        return .passSayingClose
    }

    mutating func answerEnded() -> Writing {
        guard !self.isEnding else { return .drop }
        self.isAnswering = false
        let keepAlive = self.keepAlive.isEmpty || self.keepAlive.removeFirst()
        if let refusal, self.keepAlive.count == self.turn {
            self.isEnding = true
            return keepAlive && !self.wasLast ? .passAndRefuse(refusal) : .passAndEnd
        }
        guard keepAlive else {
            self.isEnding = true
            return .passAndEnd
        }
        return .pass
    }

    /// The last answer is written; the other side may still send for a while.
    mutating func lingers() -> TimerChange {
        self.start(.linger)
    }

    /// The other side has ended its side.
    mutating func inputEnded() -> (timer: TimerChange, ending: Ending) {
        if self.isEnding { return (.stop, .close) }
        return (self.stop(.head), .none)
    }

    /// How many answers are due when the refusal's turn comes: the refusal stands for the answer to a request whose body
    /// is being read.
    private var turn: Int { self.reading == .body && !self.keepAlive.isEmpty ? 1 : 0 }

    /// Whether the answer that ended was that of the request being read: nothing is left to refuse.
    private var wasLast: Bool { self.reading == .body && self.keepAlive.isEmpty }

    private mutating func start(_ timer: Timer) -> TimerChange {
        self.timer = timer
        return .start(timer)
    }

    private mutating func stop(_ timer: Timer) -> TimerChange {
        guard self.timer == timer else { return .none }
        self.timer = nil
        return .stop
    }
}

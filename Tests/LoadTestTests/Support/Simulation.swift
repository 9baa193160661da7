import LoadClient

@testable import LoadTest

/// Runs a dispatcher against a pretended server on a pretended clock: no time passes.
struct Simulation {
    var dispatcher: Dispatcher
    var recorder = Recorder()
    private(set) var now: Duration = .zero
    /// What was sent: the connection, the arrival, and when.
    private(set) var sent: [(connection: Int, arrival: Arrival, at: Duration)] = []
    private(set) var abandoned: [Int] = []
    private(set) var connects: [(connection: Int, at: Duration)] = []
    private(set) var outcomes: [Dispatcher.Outcome] = []
    /// When each busy connection's answer comes.
    private var answers: [Int: Duration] = [:]
    /// When an answer comes to what is sent at a time, on a connection; nil: never.
    private let server: (Int, Duration) -> Duration?
    /// How late the client's own timer fires.
    var timerDelay: Duration = .zero

    init(
        _ schedule: ArrivalSchedule,
        targets: Int = 1,
        connections: Int,
        limits: Dispatcher.Limits = Dispatcher.Limits(),
        server: @escaping (Int, Duration) -> Duration?
    ) {
        self.dispatcher = Dispatcher(schedule: schedule, targets: targets, connections: connections, limits: limits)
        self.server = server
        for connection in 0..<connections { self.open(connection) }
    }

    mutating func open(_ connection: Int) {
        self.event { dispatcher, now, actions, _ in dispatcher.opened(connection, at: now, actions: &actions) }
    }

    mutating func breaks(_ connection: Int) {
        self.answers[connection] = nil
        self.event { dispatcher, now, actions, outcomes in
            dispatcher.broke(connection, .closed, at: now, actions: &actions, outcomes: &outcomes)
        }
    }

    mutating func couldNotOpen(_ connection: Int) {
        self.event { dispatcher, now, _, _ in dispatcher.couldNotOpen(connection, at: now) }
    }

    mutating func stop(grace: Duration) {
        self.event { dispatcher, now, _, outcomes in dispatcher.stop(at: now, grace: grace, outcomes: &outcomes) }
    }

    /// Goes on until the dispatcher is finished, or to a moment.
    mutating func run(until end: Duration = .seconds(1_000)) {
        while !self.dispatcher.isFinished, self.now < end {
            let answer = self.answers.min { ($0.value, $0.key) < ($1.value, $1.key) }
            let wake = self.dispatcher.nextWake.map { $0 + self.timerDelay } ?? end
            let next = min(answer?.value ?? end, wake, end)
            self.now = max(self.now, next)
            if let answer, answer.value <= self.now {
                self.answers[answer.key] = nil
                self.event { dispatcher, now, actions, outcomes in
                    dispatcher.answered(answer.key, at: now, actions: &actions, outcomes: &outcomes)
                }
            }
            self.event { dispatcher, now, actions, outcomes in
                dispatcher.advance(to: now, actions: &actions, outcomes: &outcomes)
            }
        }
    }

    private mutating func event(
        _ body: (inout Dispatcher, Duration, inout [Dispatcher.Action], inout [Dispatcher.Outcome]) -> Void
    ) {
        var actions: [Dispatcher.Action] = []
        var outcomes: [Dispatcher.Outcome] = []
        body(&self.dispatcher, self.now, &actions, &outcomes)
        self.outcomes += outcomes
        for outcome in outcomes { self.recorder.record(outcome) }
        for action in actions {
            switch action {
            case .send(let connection, let arrival):
                self.sent.append((connection, arrival, self.now))
                self.answers[connection] = self.server(connection, self.now)
            case .connect(let connection): self.connects.append((connection, self.now))
            case .abandon(let connection):
                self.abandoned.append(connection)
                self.answers[connection] = nil
            }
        }
    }
}

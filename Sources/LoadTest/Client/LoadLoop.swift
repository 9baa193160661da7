import Glibc
import Histogram
import LoadClient
import NIOCore
import NIOHTTP1
import NIOPosix

/// One part of a run on one event loop: connections, the dispatcher, and the clock between them.
///
/// It is made, used and let go on its loop.
final class LoadLoop: ConnectionObserver {
    struct Plan: Sendable {
        var schedule: ArrivalSchedule
        var addresses: [Address]
        var connections: Int
        var limits: Dispatcher.Limits
        /// What all requests have in common, after the `Host`.
        var headers: [(name: String, value: String)]
        var request: @Sendable (Arrival.Kind) -> OutgoingRequest
        /// How long what is under way may still take after a stop.
        var lastMoment: Duration = .seconds(1)
    }

    struct Result: Sendable {
        var recorder = Recorder()
        var mostWaiting = 0
        var elapsed: Duration = .zero
        /// Processor time of the event loop.
        var processor: Duration = .zero
        var isInterrupted = false
    }

    private let plan: Plan
    private let eventLoop: any EventLoop
    private let report: @Sendable (LoadProgress) -> Void
    private let done: EventLoopPromise<Result>
    private var dispatcher: Dispatcher
    private var result = Result()
    private var channels: [(any Channel)?]
    private var handlers: [ResponseHandler?]
    private var stillOpening: Int
    private var start: NIODeadline?
    private var processorStart: Duration = .zero
    private var wake: (at: Duration, task: Scheduled<Void>)?
    private var actions: [Dispatcher.Action] = []
    private var outcomes: [Dispatcher.Outcome] = []
    private var isPerforming = false
    private var isOver = false

    init(plan: Plan, eventLoop: any EventLoop, report: @escaping @Sendable (LoadProgress) -> Void) {
        self.plan = plan
        self.eventLoop = eventLoop
        self.report = report
        self.done = eventLoop.makePromise()
        self.dispatcher = Dispatcher(
            schedule: plan.schedule,
            targets: plan.addresses.count,
            connections: plan.connections,
            limits: plan.limits
        )
        self.channels = Array(repeating: nil, count: plan.connections)
        self.handlers = Array(repeating: nil, count: plan.connections)
        self.stillOpening = plan.connections
    }

    /// Opens the connections, and starts the clock when all are open.
    func run() -> EventLoopFuture<Result> {
        for connection in self.channels.indices { self.connect(connection) }
        return self.done.futureResult
    }

    /// Ends the run; its result is that of what was done so far.
    func stop() {
        self.result.isInterrupted = true
        guard self.start != nil else { return self.end() }
        self.happen { dispatcher, now, _, outcomes in
            dispatcher.stop(at: now, grace: self.plan.lastMoment, outcomes: &outcomes)
        }
    }

    func answered(_ connection: Int, _ answer: Answer) {
        self.result.recorder.answered(status: answer.status, tier: answer.tier, bytes: answer.bytes)
        if !answer.keepsOpen { self.forget(connection) }
        self.happen { dispatcher, now, actions, outcomes in
            dispatcher.answered(
                connection,
                keepsOpen: answer.keepsOpen,
                at: now,
                actions: &actions,
                outcomes: &outcomes
            )
            dispatcher.advance(to: now, actions: &actions, outcomes: &outcomes)
        }
    }

    func broke(_ connection: Int, _ failure: Failure) {
        self.forget(connection)
        self.happen { dispatcher, now, actions, outcomes in
            dispatcher.broke(connection, failure, at: now, actions: &actions, outcomes: &outcomes)
        }
    }

    private var now: Duration {
        guard let start else { return .zero }
        return .nanoseconds(max(0, (NIODeadline.now() - start).nanoseconds))
    }

    private func begin() {
        for (target, address) in self.plan.addresses.enumerated() {
            let own = stride(from: target, to: self.channels.count, by: self.plan.addresses.count)
            guard own.contains(where: { self.channels[$0] != nil }) else {
                self.isOver = true
                self.closeAll()
                return self.done.fail(LoadError.unreachable(address))
            }
        }
        self.start = .now()
        self.processorStart = Self.processorTime
        self.tick()
        self.advance()
    }

    private func advance() {
        self.happen { dispatcher, now, actions, outcomes in
            dispatcher.advance(to: now, actions: &actions, outcomes: &outcomes)
        }
    }

    /// Tells the dispatcher something, does what it says, and sees to the next wake.
    private func happen(
        _ event: (inout Dispatcher, Duration, inout [Dispatcher.Action], inout [Dispatcher.Outcome]) -> Void
    ) {
        guard !self.isOver else { return }
        event(&self.dispatcher, self.now, &self.actions, &self.outcomes)
        // What is done below may make more happen at once: it is then done by the outermost call.
        guard !self.isPerforming else { return }
        self.isPerforming = true
        var index = 0
        while index < self.actions.count {
            self.perform(self.actions[index])
            index += 1
        }
        self.actions.removeAll(keepingCapacity: true)
        self.isPerforming = false
        for outcome in self.outcomes { self.result.recorder.record(outcome) }
        self.outcomes.removeAll(keepingCapacity: true)
        guard self.start != nil else { return }
        if self.dispatcher.isFinished { self.end() } else { self.setWake() }
    }

    private func perform(_ action: Dispatcher.Action) {
        switch action {
        case .connect(let connection): self.connect(connection)
        case .abandon(let connection):
            self.handlers[connection]?.detach()
            self.channels[connection]?.close(promise: nil)
            self.forget(connection)
        case .send(let connection, let arrival):
            guard let channel = self.channels[connection] else { return }
            self.plan.request(arrival.kind)
                .write(to: channel, self.plan.addresses[self.target(connection)], headers: self.plan.headers)
        }
    }

    private func connect(_ connection: Int) {
        guard !self.isOver else { return }
        let address = self.plan.addresses[self.target(connection)]
        let own = NIOLoopBound(self, eventLoop: self.eventLoop)
        ClientBootstrap(group: self.eventLoop)
            .connectTimeout(.seconds(5))
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let handler = ResponseHandler(connection: connection, observer: own.value)
                    own.value.handlers[connection] = handler
                    try channel.pipeline.syncOperations.addHTTPClientHandlers()
                    try channel.pipeline.syncOperations.addHandler(handler)
                }
            }
            .connect(host: address.host, port: address.port)
            .assumeIsolated()
            .whenComplete { self.opened(connection, $0) }
    }

    private func opened(_ connection: Int, _ channel: Swift.Result<any Channel, any Error>) {
        switch channel {
        case .success(let channel):
            guard !self.isOver else { return channel.close(promise: nil) }
            self.channels[connection] = channel
            self.happen { dispatcher, now, actions, _ in dispatcher.opened(connection, at: now, actions: &actions) }
        case .failure:
            self.result.recorder.couldNotConnect()
            self.happen { dispatcher, now, _, _ in dispatcher.couldNotOpen(connection, at: now) }
        }
        guard self.start == nil, !self.isOver else { return }
        self.stillOpening -= 1
        if self.stillOpening == 0 { self.begin() }
    }

    private func forget(_ connection: Int) {
        self.channels[connection] = nil
        self.handlers[connection] = nil
    }

    private func target(_ connection: Int) -> Int { connection % self.plan.addresses.count }

    private func setWake() {
        guard let next = self.dispatcher.nextWake else { return }
        if let wake {
            guard next < wake.at else { return }
            wake.task.cancel()
        }
        let delay = max(.zero, next - self.now)
        let task = self.eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(delay)) {
            self.wake = nil
            self.advance()
        }
        self.wake = (next, task)
    }

    private func tick() {
        guard !self.isOver else { return }
        let recorder = self.result.recorder
        let recent = self.result.recorder.takeRecent()
        self.report(
            LoadProgress(
                elapsed: self.now,
                duration: self.plan.schedule.duration,
                requests: self.plan.schedule.limit,
                sent: recorder.sent,
                completed: recorder.completed,
                failed: recorder.failures.values.reduce(0, +),
                waiting: self.dispatcher.waiting,
                p50: .microseconds(Int64(recent.valueAtPercentile(50))),
                p99: .microseconds(Int64(recent.valueAtPercentile(99)))
            )
        )
        self.eventLoop.assumeIsolated().scheduleTask(in: .seconds(1)) { self.tick() }
    }

    private func end() {
        guard !self.isOver else { return }
        self.isOver = true
        self.wake?.task.cancel()
        self.result.mostWaiting = self.dispatcher.mostWaiting
        self.result.elapsed = self.now
        self.result.processor = Self.processorTime - self.processorStart
        self.closeAll()
        self.done.succeed(self.result)
    }

    private func closeAll() {
        for handler in self.handlers { handler?.detach() }
        for channel in self.channels { channel?.close(promise: nil) }
    }

    /// Of this thread.
    private static var processorTime: Duration {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
    }
}

package import LoadClient
import NIOCore

/// A load test: preparation, then requests at a constant rate, then what came of it.
///
/// It ends by itself: after its duration and at most one time-out more.
package struct LoadRun: Sendable {
    package struct Options: Sendable {
        package var addresses: [Address]
        /// The administration's address, for a scenario that purges.
        package var admin: Address?
        /// Sent as `Authorization: Bearer`; never shown.
        package var key: String?
        package var scenario: Scenario
        package var population: Population
        /// Requests per second, over all addresses.
        package var rate: Double
        package var duration: Duration
        /// Over all addresses.
        package var connections: Int
        package var seed: UInt64
        package var timeout: Duration = .seconds(10)
        /// How long the passes over all users may take.
        package var preparationLimit: Duration = .seconds(120)

        package init(
            addresses: [Address],
            scenario: Scenario,
            population: Population,
            rate: Double,
            duration: Duration,
            connections: Int,
            seed: UInt64
        ) {
            self.addresses = addresses
            self.scenario = scenario
            self.population = population
            self.rate = rate
            self.duration = duration
            self.connections = connections
            self.seed = seed
        }
    }

    private let options: Options

    package init(_ options: Options) {
        self.options = options
    }

    /// When the task is cancelled, the result is that of what was done until then.
    ///
    /// - Parameter progress: Called about once a second, on another thread.
    package func run(progress: @escaping @Sendable (LoadProgress) -> Void) async throws -> LoadReport {
        try await withEventLoopThread { eventLoop in try await self.run(on: eventLoop, progress) }
    }

    private func run(
        on eventLoop: any EventLoop,
        _ progress: @escaping @Sendable (LoadProgress) -> Void
    ) async throws -> LoadReport {
        let options = self.options
        var generator = SystemRandomNumberGenerator()
        let run = String(UInt64.random(in: 0...(.max), using: &generator), radix: 36)
        let maker = RequestMaker(
            scenario: options.scenario,
            population: options.population,
            seed: options.seed,
            run: run
        )
        var report = LoadReport(options, run: run)
        let addresses = self.measured
        var headers: [(name: String, value: String)] = [("User-Agent", "vireo-load")]
        if let key = options.key { headers.append(("Authorization", "Bearer \(key)")) }
        var limits = Dispatcher.Limits()
        limits.timeout = options.timeout
        limits.grace = options.timeout
        var plan = LoadLoop.Plan(
            schedule: ArrivalSchedule(
                rate: options.rate,
                duration: options.duration,
                limit: options.scenario.once ? options.population.users : nil,
                periods: options.scenario.every.map(\.period)
            ),
            addresses: addresses,
            connections: max(options.connections, addresses.count),
            limits: limits,
            headers: headers,
            request: { maker.request(for: $0) }
        )
        try await self.purge(plan, eventLoop, &report)
        try await self.pass(plan, maker, eventLoop, progress, &report)
        if report.isInterrupted { return report }
        if plan.schedule.duration < options.duration {
            report.notes.append("the run ends when each of the \(options.population.users) users was asked for once")
        }
        plan.lastMoment = min(.seconds(1), options.timeout)
        report.fill(try await Self.run(plan, eventLoop, progress), scheduled: plan.schedule.duration)
        return report
    }

    /// The addresses that are asked while the clock runs.
    private var measured: [Address] {
        let all = self.options.addresses
        guard self.options.scenario.preparation.passes > 0, self.options.scenario.preparation.at == .first else {
            return all
        }
        return all.count > 1 ? Array(all.dropFirst()) : all
    }

    private func purge(_ plan: LoadLoop.Plan, _ eventLoop: any EventLoop, _ report: inout LoadReport) async throws {
        guard let surface = self.options.scenario.preparation.purge else { return }
        guard let admin = self.options.admin else {
            report.notes.append("nothing was purged: there is no VIREO_ADMIN_URL")
            return
        }
        var plan = plan
        plan.schedule = ArrivalSchedule(allAtOnce: 1, within: .seconds(10))
        plan.addresses = [admin]
        plan.connections = 1
        let body = #"{"scope":"surface","id":\#(JSONWriter.quoted(surface))}"#
        plan.request = { _ in OutgoingRequest(method: .post, target: "/v1/admin/purge", body: body) }
        let result = try await Self.run(plan, eventLoop) { _ in }
        guard result.recorder.statuses[200] == 1 || result.isInterrupted else {
            throw LoadError.refused("the purge", status: result.recorder.statuses.keys.first)
        }
        report.isInterrupted = result.isInterrupted
    }

    private func pass(
        _ plan: LoadLoop.Plan,
        _ maker: RequestMaker,
        _ eventLoop: any EventLoop,
        _ progress: @escaping @Sendable (LoadProgress) -> Void,
        _ report: inout LoadReport
    ) async throws {
        let preparation = self.options.scenario.preparation
        guard preparation.passes > 0, !report.isInterrupted else { return }
        let addresses = preparation.at == .every ? self.options.addresses : [self.options.addresses[0]]
        let count = self.options.population.users * preparation.passes * addresses.count
        var plan = plan
        plan.schedule = ArrivalSchedule(allAtOnce: count, within: self.options.preparationLimit)
        plan.addresses = addresses
        plan.connections = max(min(16 * addresses.count, self.options.connections), addresses.count)
        plan.limits.grace = .zero
        plan.request = { kind in
            guard case .request(let number) = kind else { return maker.request(for: kind) }
            return maker.preparation(number / addresses.count)
        }
        let result = try await Self.run(plan, eventLoop) { state in
            var state = state
            state.isPreparation = true
            progress(state)
        }
        report.prepared(result)
        if result.recorder.completed < count, !result.isInterrupted {
            report.notes.append("the preparation got \(result.recorder.completed) of \(count) answers in its time")
        }
        if let status = result.recorder.statuses.keys.first(where: { $0 != 200 }) {
            throw LoadError.refused("the preparation", status: status)
        }
    }

    private static func run(
        _ plan: LoadLoop.Plan,
        _ eventLoop: any EventLoop,
        _ progress: @escaping @Sendable (LoadProgress) -> Void
    ) async throws -> LoadLoop.Result {
        let loop = try await eventLoop.submit {
            NIOLoopBound(LoadLoop(plan: plan, eventLoop: eventLoop, report: progress), eventLoop: eventLoop)
        }.get()
        return try await withTaskCancellationHandler {
            try await eventLoop.flatSubmit { loop.value.run() }.get()
        } onCancel: {
            eventLoop.execute { loop.value.stop() }
        }
    }
}

/// Where a run stands.
package struct LoadProgress: Sendable {
    package var isPreparation = false
    package var elapsed: Duration
    package var duration: Duration
    /// How many requests there are, where that is the measure.
    package var requests: Int
    package var sent: Int
    package var completed: Int
    package var failed: Int
    /// How many are due and have no connection.
    package var waiting: Int
    /// Of the last second, from when requests were due.
    package var p50: Duration
    package var p99: Duration
}

/// Why there is no result.
package enum LoadError: Error, Sendable, CustomStringConvertible {
    case unreachable(Address)
    case refused(String, status: Int?)

    package var description: String {
        switch self {
        case .unreachable(let address): "nothing answers at \(address)"
        case .refused(let what, let status?):
            switch status {
            case 401, 403: "\(what) was refused with status \(status); set VIREO_API_KEY to a key with that right"
            default: "\(what) was answered with status \(status)"
            }
        case .refused(let what, nil): "\(what) was not answered"
        }
    }
}

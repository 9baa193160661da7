package import LoadClient
import NIOCore

/// A check of a fleet: users are written and read on all nodes at once, and every list is judged by what it holds.
///
/// It ends by itself: after its duration, and what the last writes take to be followed and taken back.
package struct CheckRun: Sendable {
    private let options: CheckOptions

    package init(_ options: CheckOptions) {
        self.options = options
    }

    /// When the task is cancelled, writes are taken back, and the result is that of what was done until then.
    ///
    /// - Parameter progress: Called about once a second.
    package func run(progress: @escaping @Sendable (CheckProgress) -> Void) async throws -> CheckReport {
        try await withEventLoopThread { eventLoop in try await self.run(on: eventLoop, progress) }
    }

    private func run(
        on eventLoop: any EventLoop,
        _ progress: @escaping @Sendable (CheckProgress) -> Void
    ) async throws -> CheckReport {
        let options = self.options
        var generator = SystemRandomNumberGenerator()
        let run = String(UInt64.random(in: 0...(.max), using: &generator), radix: 36)
        let clock = RunClock()
        var headers: [(name: String, value: String)] = [("User-Agent", "vireo-check")]
        if let key = options.key { headers.append(("Authorization", "Bearer \(key)")) }
        let client = try await NodeClient.open(
            options.nodes,
            headers: headers,
            timeout: options.timeout,
            clock: clock,
            on: eventLoop
        )
        let admin = try await NodeClient.open(
            options.admins,
            headers: headers,
            timeout: options.timeout,
            clock: clock,
            on: eventLoop
        )
        do {
            try await self.examine(client)
            let session = CheckSession(options, run: run, clock: clock, client: client, admin: admin)
            try await Self.work(session, progress)
            try await client.close()
            try await admin.close()
            return CheckReport(session, isInterrupted: Task.isCancelled)
        } catch {
            try await client.close()
            try await admin.close()
            throw error
        }
    }

    /// A wrong address or key is told before anything is written.
    private func examine(_ client: NodeClient) async throws {
        let request = ListRequest.own(self.options.users.id(0)).request(limit: 1, minimumVersion: 0)
        for (node, address) in self.options.nodes.enumerated() {
            switch try await client.send(request, to: node).outcome {
            case .none(.connect): throw CheckError.unreachable(address)
            case .none: throw CheckError.silent(address)
            case .answer(let status, _) where status == 401 || status == 403:
                throw CheckError.refused(address, status: status)
            case .answer(404, _): throw CheckError.foreign(address)
            case .answer: break
            }
        }
    }

    private static func work(
        _ session: CheckSession,
        _ progress: @escaping @Sendable (CheckProgress) -> Void
    ) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<session.options.readers {
                group.addTask {
                    var reader = Reader(session, number: number)
                    do { try await reader.run() } catch is CancellationError {}
                }
            }
            group.addTask {
                do { try await Self.watch(session, progress) } catch is CancellationError {}
            }
            group.addTask {
                defer { session.end() }
                try await Self.write(session)
            }
            try await group.waitForAll()
        }
    }

    /// Tells where the run stands, and sees how late the checker itself is.
    private static func watch(
        _ session: CheckSession,
        _ progress: @escaping @Sendable (CheckProgress) -> Void
    ) async throws {
        var ticks = 0
        while !session.isOver {
            if ticks % 10 == 0 { progress(CheckProgress(session)) }
            ticks += 1
            let next = session.clock.now + .milliseconds(100)
            try await session.clock.sleep(until: next)
            session.late(by: session.clock.now - next)
        }
    }

    /// Returns when every write was followed to its end.
    private static func write(_ session: CheckSession) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<session.options.writers {
                group.addTask {
                    var writer = UserWriter(session, number: number)
                    do { try await writer.run() } catch is CancellationError {}
                }
            }
            for kind in session.options.kinds where kind.isControl {
                group.addTask {
                    var writer = ControlWriter(session, kind)
                    try await writer.run()
                }
            }
            try await group.waitForAll()
        }
    }
}

/// Where a run stands.
package struct CheckProgress: Sendable {
    package let elapsed: Duration
    package let duration: Duration
    package let writes: Int
    package let pairs: Int
    package let violations: Int
    package let errors: Int

    init(_ session: CheckSession) {
        let (verdict, traffic, _) = session.result
        let total = verdict.total
        self.elapsed = session.clock.now
        self.duration = session.options.duration
        self.writes = total.acknowledged
        self.pairs = total.pairs
        self.violations = total.violations
        self.errors = traffic.errors
    }
}

/// Why there is no result.
package enum CheckError: Error, Sendable, CustomStringConvertible {
    case unreachable(Address)
    case silent(Address)
    case foreign(Address)
    case refused(Address, status: Int)

    package var description: String {
        switch self {
        case .unreachable(let address): "nothing answers at \(address)"
        case .silent(let address): "\(address) gives no answer"
        case .foreign(let address): "\(address) serves no recommendations"
        case .refused(let address, let status):
            "\(address) refused with status \(status); set VIREO_API_KEY to a key with the rights read and write"
        }
    }
}

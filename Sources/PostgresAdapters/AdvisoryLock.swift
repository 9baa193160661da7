import Caching
package import Logging
import Postgres
import ServiceLifecycle
import Synchronization

/// One job of the fleet, held by an advisory lock on a connection of its own: when the connection is lost, so is the job.
///
/// A holder learns of the loss at its next look; until then two nodes may do the job, so a job must bear that.
package final class AdvisoryLock: Service, Leadership {
    private struct State {
        var isHeld = false
        var isResigning = false
    }

    private static let interval = Duration.milliseconds(500)

    private let store: PostgresStore
    private let job: AdvisoryKey
    private let log: Logger
    private let state = Mutex(State())

    package init(store: PostgresStore, job: AdvisoryKey, log: Logger) {
        self.store = store
        self.job = job
        self.log = log
    }

    package func isLeader() async -> Bool { self.state.withLock { $0.isHeld && !$0.isResigning } }

    package func resign() async { self.state.withLock { $0.isResigning = $0.isHeld } }

    package func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                do {
                    try await self.store.client.withSession { try await self.hold(with: $0) }
                } catch {
                    self.log.debug("no session for \(self.job)", metadata: ["error": "\(error)"])
                }
                self.state.withLock { $0 = State() }
                // After giving up, another node gets the time to take over.
                try? await Task.sleep(for: Self.interval * 2)
            }
        }
    }

    /// Returns when the job was given up; throws when the connection is lost.
    private func hold(with session: PostgresSession) async throws {
        // A holder that is stopped keeps its connection; the server ends it, so that another node gets the job.
        try await session.execute("SET idle_session_timeout = '2s'")
        while !Task.isCancelled {
            if self.state.withLock({ $0.isResigning }) { return }
            if self.state.withLock({ $0.isHeld }) {
                try await session.execute("SELECT 1")
            } else {
                let taken = try await session.query("SELECT pg_try_advisory_lock($1)", [self.job.rawValue]) {
                    row in try row.decode(0, as: Bool.self)
                }
                if taken.first == true {
                    self.state.withLock { $0.isHeld = true }
                    self.log.info("this node does the job", metadata: ["job": "\(self.job)"])
                }
            }
            try await Task.sleep(for: Self.interval)
        }
    }
}

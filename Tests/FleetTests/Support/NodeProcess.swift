import Glibc
import LocalServers
import Synchronization

/// One node of a fleet through its lives: a process of `vireo serve`, and the next one on the same ports where it is to go on.
final class NodeProcess: Sendable {
    private struct State {
        var pid: Int32 = 0
        var goesOn = false
    }

    private let state = Mutex(State())

    /// Of its present life.
    var pid: Int32 { self.state.withLock { $0.pid } }

    /// Runs it until it ends and is not to go on, or the task is cancelled.
    func run(environment: [String: String?], log: String) async throws {
        while true {
            _ = try await ChildProcess.run(Vireo.path, arguments: ["serve"], environment: environment, log: log) {
                pid in
                self.state.withLock { $0.pid = pid }
            }
            // A test may kill it; that is not an error of the fleet.
            guard self.state.withLock({ $0.goesOn }) else { return }
            try await Task.sleep(for: .milliseconds(50))
        }
    }

    /// Kills it as the kernel would for want of memory; it begins anew at once.
    func crash() throws { try self.beginAnew(after: SIGKILL) }

    /// Asks it to stop; it begins anew when it has.
    func restart() throws { try self.beginAnew(after: SIGTERM) }

    private func beginAnew(after signal: Int32) throws {
        let pid = self.state.withLock { state in
            state.goesOn = true
            return state.pid
        }
        guard kill(pid, signal) == 0 else { throw RawHTTP.Failed(description: "no process \(pid)") }
    }
}

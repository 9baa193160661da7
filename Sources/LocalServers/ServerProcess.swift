import Glibc

/// A server's process, told from others that got its number later by program name and working directory.
///
/// Servers run detached and their parent may never reap them, so a zombie counts as gone.
struct ServerProcess: Sendable, Hashable {
    let pid: Int32
    let program: String
    let directory: String

    var isAlive: Bool {
        guard let state = Self.state(of: pid), state.program == program, state.letter != "Z", state.letter != "X" else {
            return false
        }
        return Files.linkTarget("/proc/\(pid)/cwd") == directory
    }

    /// True when nothing of the process is left, so that its files and ports are closed.
    ///
    /// The first thread of a dying process may be a zombie while others still hold these.
    private var isGone: Bool {
        guard let state = Self.state(of: pid), state.program == program else { return true }
        if state.letter == "Z" || state.letter == "X" { return Files.entries(of: "/proc/\(pid)/task").count <= 1 }
        return Files.linkTarget("/proc/\(pid)/cwd").map { $0 != directory } ?? false
    }

    /// Every live process of the program that works in the directory.
    static func all(program: String, directory: String) -> [ServerProcess] {
        Files.entries(of: "/proc").compactMap { name in
            Int32(name).map { ServerProcess(pid: $0, program: program, directory: directory) }
        }.filter(\.isAlive)
    }

    /// Returns false when the process is gone.
    @discardableResult
    func signal(_ signal: Int32) -> Bool {
        isAlive && Glibc.kill(pid, signal) == 0
    }

    /// Waits until the process is gone, even in a cancelled task; false when the time is over.
    func waitUntilGone(within bound: Duration) async -> Bool {
        await Patience.uncancelled(within: bound) { isGone }
    }

    /// Asks with `first`, insists with SIGKILL after `grace`, and returns when the process is gone.
    func end(with first: Int32, grace: Duration) async throws(LocalServerError) {
        guard signal(first) else { return }
        signal(SIGCONT)
        if await waitUntilGone(within: grace) { return }
        signal(SIGKILL)
        guard await waitUntilGone(within: .seconds(10)) else { throw .didNotStop(pid: pid) }
    }

    private static func state(of pid: Int32) -> (program: String, letter: Character)? {
        // "PID (program name) STATE …", where the name may hold parentheses itself.
        guard let line = Files.text("/proc/\(pid)/stat"), let open = line.firstIndex(of: "("),
            let close = line.lastIndex(of: ")"), open < close
        else { return nil }
        guard let letter = line[line.index(after: close)...].first(where: { $0 != " " }) else { return nil }
        return (String(line[line.index(after: open)..<close]), letter)
    }
}

/// Bounded polling of things that offer no event.
enum Patience {
    static let step = Duration.milliseconds(3)

    /// Polls until the condition holds; false when the time is over.
    ///
    /// Cancellation does not shorten the wait.
    static func uncancelled(within bound: Duration, until condition: () -> Bool) async -> Bool {
        let limit = ContinuousClock.now + bound
        while !condition() {
            guard ContinuousClock.now < limit else { return false }
            // A detached task, awaited here, sleeps on although the caller is cancelled.
            await Task.detached { try? await Task.sleep(for: step) }.value
        }
        return true
    }
}

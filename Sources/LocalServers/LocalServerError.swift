/// What can go wrong while a private server is started, stopped or administered.
package enum LocalServerError: Error, Sendable, Hashable {
    /// A program is not installed; `package` is the Debian package that has it.
    case missingProgram(String, package: String)
    /// The server must not run as root, and the account it runs as does not exist.
    case missingUser(String)
    /// A directory or a file in it cannot be used.
    case unusablePath(String, errno: Int32)
    /// A helper program ended with an error; `output` is the end of what it wrote.
    case commandFailed(String, output: String)
    /// The server ended, or did not answer in time; `log` is the end of its log.
    case didNotStart(String, log: String)
    /// The server survived SIGKILL for longer than anyone should wait.
    case didNotStop(pid: Int32)
    /// No loopback port could be bound.
    case noFreePort(errno: Int32)
    /// The server is not running, so it cannot be signalled or administered.
    case notRunning
    /// A setting's name holds other characters than letters, digits, `_` and `.`.
    case invalidSetting(String)
    /// The calling task was cancelled while it waited.
    case cancelled
}

extension LocalServerError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .missingProgram(let program, let package):
            "\(program) was not found: install the Debian package \(package)"
        case .missingUser(let user):
            "the user \(user) does not exist, and PostgreSQL refuses to run as root: install the package postgresql"
        case .unusablePath(let path, let errno): "\(path) cannot be used (errno \(errno))"
        case .commandFailed(let command, let output): "\(command) failed: \(output)"
        case .didNotStart(let server, let log): "\(server) did not start: \(log)"
        case .didNotStop(let pid): "process \(pid) did not end"
        case .noFreePort(let errno): "no free loopback port (errno \(errno))"
        case .notRunning: "the server is not running"
        case .invalidSetting(let name): "not a setting's name: \(name)"
        case .cancelled: "cancelled"
        }
    }
}

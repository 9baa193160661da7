package import Logging
import Glibc
import Synchronization

/// A private redis-server on 127.0.0.1, or a sentinel: for `vireo dev` and for tests.
///
/// It keeps nothing unless asked to.
///
/// The server detaches itself, so it outlives a crash of this process; the next start in the same directory stops it
/// first. Only one owner may use a directory at a time.
package final class LocalRedisServer: Sendable {
    package let port: Int
    /// Where configuration, data, log and pid file are.
    package let directory: String
    private let extraArguments: [String]
    private let isSentinel: Bool
    private let logger: Logger
    private let process = Mutex<ServerProcess?>(nil)

    /// `redis://127.0.0.1:PORT/0`, without a password.
    package var url: String { "redis://127.0.0.1:\(port)/0" }

    /// The process, nil when it is not running.
    package var pid: Int32? { running?.pid }

    private init(directory: String, port: Int, extraArguments: [String], isSentinel: Bool, logger: Logger) {
        self.directory = directory
        self.port = port
        self.extraArguments = extraArguments
        self.isSentinel = isSentinel
        self.logger = logger
    }

    /// Starts a server and returns when it answers.
    ///
    /// `extraArguments` are words of redis-server's command line (`["--appendonly", "yes"]`); the password goes into a
    /// file, not into them. `configuration` are lines of that file: what the server itself may change and write back, as a
    /// sentinel tells it whom to follow.
    package static func start(
        directory: String,
        port: Int? = nil,
        password: String? = nil,
        configuration: [String] = [],
        extraArguments: [String] = [],
        isSentinel: Bool = false,
        logger: Logger = Logger(label: "vireo.local-redis")
    ) async throws(LocalServerError) -> LocalRedisServer {
        let directory = try Files.makeDirectory(directory)
        for leftover in ServerProcess.all(program: programName, directory: directory) {
            logger.notice("stopping a redis-server left over in the directory", metadata: ["pid": "\(leftover.pid)"])
            try await leftover.end(with: SIGTERM, grace: stopGrace)
        }
        var attempts = port == nil ? 3 : 1
        while true {
            let chosen: Int
            if let port { chosen = port } else { chosen = try FreePort.find() }
            try writeConfiguration(directory: directory, port: chosen, password: password, configuration)
            let server = LocalRedisServer(
                directory: directory,
                port: chosen,
                extraArguments: extraArguments,
                isSentinel: isSentinel,
                logger: logger
            )
            do throws(LocalServerError) {
                try await server.launch()
                return server
            } catch {
                attempts -= 1
                guard case .didNotStart(_, let log) = error, log.contains("Address already in use"), attempts > 0 else {
                    throw error
                }
            }
        }
    }

    /// Asks the server to end (SIGTERM, then SIGKILL) and returns when it is gone.
    ///
    /// Does nothing when it is gone already.
    package func stop() async throws(LocalServerError) {
        guard let running else { return }
        try await running.end(with: SIGTERM, grace: Self.stopGrace)
    }

    /// Ends the server as a crash would, and returns when it is gone.
    package func kill() async throws(LocalServerError) {
        guard let running else { throw .notRunning }
        try await running.end(with: SIGKILL, grace: .seconds(10))
    }

    /// Freezes the server: its connections stay open and nothing answers.
    package func pause() throws(LocalServerError) {
        guard let running, running.signal(SIGSTOP) else { throw .notRunning }
    }

    /// Continues a frozen server.
    package func resume() throws(LocalServerError) {
        guard let running, running.signal(SIGCONT) else { throw .notRunning }
    }

    /// Stops the server if it still runs and starts it on the same port; `empty` deletes what it had saved.
    package func restart(empty: Bool) async throws(LocalServerError) {
        try await stop()
        if empty {
            for name in ["dump.rdb", "appendonlydir", "appendonly.aof"] { try Files.remove("\(directory)/\(name)") }
        }
        try await launch()
    }

    private static let programName = "redis-server"
    private static let stopGrace = Duration.seconds(5)

    private var running: ServerProcess? {
        process.withLock { $0 }.flatMap { $0.isAlive ? $0 : nil }
    }

    private static func writeConfiguration(
        directory: String,
        port: Int,
        password: String?,
        _ more: [String]
    ) throws(LocalServerError) {
        var lines = [
            "bind 127.0.0.1", "port \(port)", "daemonize yes", "dir \(quoted(directory))",
            "pidfile \(quoted("\(directory)/redis.pid"))",
            "logfile \(quoted("\(directory)/redis.log"))", "save \"\"", "appendonly no",
        ]
        if let password { lines.append("requirepass \(quoted(password))") }
        lines += more
        try Files.write(lines.joined(separator: "\n") + "\n", to: "\(directory)/redis.conf")
    }

    static func quoted(_ value: String) -> String {
        let digits = Array("0123456789abcdef")
        let escaped = value.utf8.map { byte in
            switch byte {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                UInt8(ascii: "-")...UInt8(ascii: "9"), UInt8(ascii: "_"):
                String(UnicodeScalar(byte))
            default: "\\x\(digits[Int(byte >> 4)])\(digits[Int(byte & 15)])"
            }
        }
        return "\"\(escaped.joined())\""
    }

    private func launch() async throws(LocalServerError) {
        guard let program = Command.find(Self.programName) else {
            throw .missingProgram(Self.programName, package: "redis-server")
        }
        let log = "\(directory)/redis.log"
        try Files.remove("\(directory)/redis.pid")
        try Files.remove(log)
        let arguments = ["\(directory)/redis.conf"] + (isSentinel ? ["--sentinel"] : []) + extraArguments
        try await Command(program: program, arguments: arguments).run()

        let limit = ContinuousClock.now + .seconds(20)
        while ContinuousClock.now < limit {
            // Written once the port is bound, so what answers on the port afterwards is this server.
            if let started = startedProcess(), started.isAlive {
                process.withLock { $0 = started }
                let answer = await Loopback.exchange(port: port, request: "PING\r\n", patience: .seconds(1))
                if let answer, answer.hasPrefix("+PONG") || answer.hasPrefix("-NOAUTH") { return }
            } else if Files.tail(log).contains("Failed listening on port") {
                break
            }
            do { try await Task.sleep(for: Patience.step) } catch {
                try await endStartedProcess()
                throw .cancelled
            }
        }
        try await endStartedProcess()
        throw .didNotStart(Self.programName, log: Files.tail(log))
    }

    private func startedProcess() -> ServerProcess? {
        guard let text = Files.text("\(directory)/redis.pid"), let pid = Int32(text.prefix(while: \.isNumber)) else {
            return nil
        }
        return ServerProcess(pid: pid, program: Self.programName, directory: directory)
    }

    private func endStartedProcess() async throws(LocalServerError) {
        for started in ServerProcess.all(program: Self.programName, directory: directory) {
            try await started.end(with: SIGKILL, grace: .seconds(10))
        }
    }
}

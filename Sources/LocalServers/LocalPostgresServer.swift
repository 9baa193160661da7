package import Logging
import Glibc

/// A private PostgreSQL on 127.0.0.1: for `vireo dev` and for tests.
///
/// It runs as `postgres` when we are root. It listens on TCP only, and asks for a random password that lies in its
/// directory and never on a command line. A second start in the same directory finds the data again; a server left
/// over there by a crash is stopped first. Only one owner may use a directory at a time.
package final class LocalPostgresServer: Sendable {
    package let port: Int
    private let directory: PostgresDirectory
    let installation: PostgresInstallation
    let password: String

    /// PGDATA.
    ///
    /// It is not below the wanted directory when the server's account cannot reach that.
    package var dataDirectory: String { directory.data }

    /// The postmaster, nil when it is not running.
    package var pid: Int32? { postmaster?.pid }

    /// A URL of the superuser, with the password.
    package func url(database: String = "postgres") -> String {
        "postgresql://postgres:\(password)@127.0.0.1:\(port)/\(database)"
    }

    private init(directory: PostgresDirectory, installation: PostgresInstallation, port: Int, password: String) {
        self.directory = directory
        self.installation = installation
        self.port = port
        self.password = password
    }

    /// Starts a server, on an empty directory after initdb, and returns when it accepts connections.
    package static func start(
        directory wanted: String,
        port: Int? = nil,
        settings: [String: String] = [:],
        logger: Logger = Logger(label: "vireo.local-postgres")
    ) async throws(LocalServerError) -> LocalPostgresServer {
        var installation = try PostgresInstallation.find()
        let directory = try await PostgresDirectory.prepare(wanted, for: installation)
        if let version = directory.version { installation = try .find(version: version) }
        let leftovers = ServerProcess.all(program: programName, directory: directory.data)
        if !leftovers.isEmpty {
            logger.notice("stopping a PostgreSQL left over in the directory", metadata: ["path": "\(directory.path)"])
            try await end(directory: directory, with: SIGINT)
        }
        try await directory.initialize(with: installation)

        var attempts = port == nil ? 3 : 1
        while true {
            let chosen: Int
            if let port { chosen = port } else { chosen = try FreePort.find() }
            let server = LocalPostgresServer(
                directory: directory,
                installation: installation,
                port: chosen,
                password: try directory.password()
            )
            var all = settings
            all["listen_addresses"] = "127.0.0.1"
            all["unix_socket_directories"] = ""
            all["port"] = "\(chosen)"
            try directory.write(all, owner: installation.user.map { ($0.uid, $0.gid) })
            try Files.write("127.0.0.1:\(chosen):*:postgres:\(server.password)\n", to: directory.clientPasswordFile)
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

    /// Stops the server: transactions are rolled back, clients are disconnected, data is flushed.
    package func stop() async throws(LocalServerError) {
        try await Self.end(directory: directory, with: SIGINT)
    }

    /// Ends the server as a crash of the machine's process would, and returns when no process of it is left.
    package func kill() async throws(LocalServerError) {
        guard postmaster != nil else { throw .notRunning }
        try await Self.end(directory: directory, with: SIGKILL)
    }

    /// Stops the server if it still runs and starts it on the same port with the same settings.
    package func restart() async throws(LocalServerError) {
        try await stop()
        try await launch()
    }

    /// Creates a database, as a copy of the template when one is given.
    package func createDatabase(_ name: String, template: String? = nil) async throws(LocalServerError) {
        try await client("createdb", (template.map { ["--template=\($0)"] } ?? []) + ["--", name])
    }

    /// Drops a database, disconnecting whoever uses it; one that does not exist is fine.
    package func dropDatabase(_ name: String) async throws(LocalServerError) {
        try await client("dropdb", ["--if-exists", "--force", "--", name])
    }

    /// Runs SQL statements through psql, in one transaction.
    package func execute(_ sql: String, database: String = "postgres") async throws(LocalServerError) {
        let options = [
            "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--single-transaction", "--dbname=\(database)",
        ]
        try await client("psql", options + ["--command=\(sql)"])
    }

    /// The rows of a query, one a line, with `|` between their values.
    package func query(_ sql: String, database: String = "postgres") async throws(LocalServerError) -> [String] {
        let options = ["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--dbname=\(database)"]
        return try await client("psql", options + ["--command=\(sql)"]).split(separator: "\n").map(String.init)
    }

    private static let programName = "postgres"

    @discardableResult
    private func client(_ program: String, _ arguments: [String]) async throws(LocalServerError) -> String {
        let connection = ["--host=127.0.0.1", "--port=\(port)", "--username=postgres", "--no-password"]
        let passwordFile = directory.clientPasswordFile
        return try await installation.client(program, connection + arguments, passwordFile: passwordFile).run()
    }

    private var postmaster: ServerProcess? { Self.postmaster(of: directory) }

    private static func postmaster(of directory: PostgresDirectory) -> ServerProcess? {
        guard let text = Files.text("\(directory.data)/postmaster.pid"), let line = text.split(separator: "\n").first,
            let pid = Int32(line)
        else { return nil }
        let process = ServerProcess(pid: pid, program: programName, directory: directory.data)
        return process.isAlive ? process : nil
    }

    private func launch() async throws(LocalServerError) {
        // No process is left here, so the file is stale; its number may belong to a zombie or to a stranger by now.
        try Files.remove("\(directory.data)/postmaster.pid")
        try Files.remove(directory.log)
        let arguments = ["start", "--wait", "--timeout=60", "--silent", "--pgdata=\(directory.data)"]
        do {
            try await installation.server("pg_ctl", arguments + ["--log=\(directory.log)"]).run()
        } catch .commandFailed(_, let output) {
            try await Self.end(directory: directory, with: SIGKILL)
            throw .didNotStart("PostgreSQL", log: output + Files.tail(directory.log))
        } catch {
            try await Self.end(directory: directory, with: SIGKILL)
            throw error
        }
    }

    /// Ends the postmaster with the signal and then whatever processes still work in the data directory.
    private static func end(directory: PostgresDirectory, with signal: Int32) async throws(LocalServerError) {
        if let postmaster = postmaster(of: directory) { try await postmaster.end(with: signal, grace: .seconds(30)) }
        for _ in 0..<20 {
            let rest = ServerProcess.all(program: programName, directory: directory.data)
            if rest.isEmpty { return }
            for process in rest { try await process.end(with: SIGKILL, grace: .seconds(10)) }
        }
        guard let survivor = ServerProcess.all(program: programName, directory: directory.data).first else { return }
        throw .didNotStop(pid: survivor.pid)
    }
}

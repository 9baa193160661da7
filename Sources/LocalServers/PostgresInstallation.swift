import Glibc

/// PostgreSQL's programs of one version, and the account they run as.
struct PostgresInstallation: Sendable {
    let binaries: String
    /// The account to become because we are root; nil when we are not.
    let user: (name: String, uid: uid_t, gid: gid_t)?

    /// The newest installation, or the one of the given major version.
    static func find(version: String? = nil) throws(LocalServerError) -> PostgresInstallation {
        let root = "/usr/lib/postgresql"
        let versions = Files.entries(of: root).filter { version == nil || $0 == version }
            .sorted { (Int($0) ?? 0) > (Int($1) ?? 0) }
        let candidates = versions.map { "\(root)/\($0)/bin" }
        let inPath = Command.find("initdb").map { String($0.dropLast("/initdb".count)) }
        let binaries = candidates.first { Files.isExecutable("\($0)/initdb") } ?? inPath
        guard let binaries, Files.isExecutable("\(binaries)/pg_ctl") else {
            throw .missingProgram("initdb", package: version.map { "postgresql-\($0)" } ?? "postgresql")
        }
        return PostgresInstallation(binaries: binaries, user: geteuid() == 0 ? try account("postgres") : nil)
    }

    /// A server program, run as the account that owns the data.
    func server(_ program: String, _ arguments: [String]) -> Command {
        Command(program: "\(binaries)/\(program)", arguments: arguments, user: user?.name)
    }

    /// A client program, run as ourselves; the password comes from the file.
    func client(_ program: String, _ arguments: [String], passwordFile: String) -> Command {
        Command(program: "\(binaries)/\(program)", arguments: arguments, environment: ["PGPASSFILE": passwordFile])
    }

    private static func account(_ name: String) throws(LocalServerError) -> (name: String, uid: uid_t, gid: gid_t) {
        var entry = passwd()
        var found: UnsafeMutablePointer<passwd>?
        var buffer = [CChar](repeating: 0, count: 16_384)
        guard getpwnam_r(name, &entry, &buffer, buffer.count, &found) == 0, found != nil else {
            throw .missingUser(name)
        }
        return (name, entry.pw_uid, entry.pw_gid)
    }
}

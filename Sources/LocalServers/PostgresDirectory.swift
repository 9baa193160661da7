import Glibc

/// The directory that holds one private PostgreSQL: `data/` (PGDATA), `password`, `pgpass`, `postgres.log`.
struct PostgresDirectory: Sendable {
    let path: String

    var data: String { "\(path)/data" }
    var log: String { "\(path)/postgres.log" }
    var passwordFile: String { "\(path)/password" }
    var clientPasswordFile: String { "\(path)/pgpass" }
    /// Of a replica: how it gets into its primary.
    var streamingPasswordFile: String { "\(path)/primary.pgpass" }

    /// The major version that made the data, nil when there is none yet.
    var version: String? {
        Files.text("\(data)/PG_VERSION").map { String($0.prefix(while: { !$0.isWhitespace })) }
    }

    /// Creates the directory.
    ///
    /// As root it must belong to the server's account, and where that account cannot reach it (below /root, say) a
    /// directory below /var/tmp with a name made from the path is used instead.
    static func prepare(
        _ wanted: String,
        for installation: PostgresInstallation
    ) async throws(LocalServerError) -> PostgresDirectory {
        let path = try Files.makeDirectory(wanted)
        guard let user = installation.user else { return PostgresDirectory(path: path) }
        if try await claim(path, for: user.uid, user.gid, named: user.name) { return PostgresDirectory(path: path) }

        let hash = path.utf8.reduce(0xcbf2_9ce4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
        let other = "/var/tmp/vireo-postgres-\(String(hash, radix: 16))"
        guard mkdir(other, 0o700) == 0 || errno == EEXIST else { throw .unusablePath(other, errno: errno) }
        // Anyone may create names in /var/tmp: only a directory of root or of the account itself is taken.
        var status = stat()
        guard lstat(other, &status) == 0, status.st_mode & S_IFMT == S_IFDIR,
            status.st_uid == user.uid || status.st_uid == 0,
            try await claim(other, for: user.uid, user.gid, named: user.name)
        else { throw .unusablePath(other, errno: EPERM) }
        return PostgresDirectory(path: other)
    }

    private static func claim(
        _ path: String,
        for uid: uid_t,
        _ gid: gid_t,
        named name: String
    ) async throws(LocalServerError) -> Bool {
        guard chown(path, uid, gid) == 0, chmod(path, 0o700) == 0 else { throw .unusablePath(path, errno: errno) }
        do {
            try await Command(program: "/usr/bin/test", arguments: ["-w", path, "-a", "-x", path], user: name).run()
            return true
        } catch .commandFailed {
            return false
        }
    }

    /// Makes a database cluster with a random superuser password.
    ///
    /// Warm directories are left as they are.
    func initialize(with installation: PostgresInstallation) async throws(LocalServerError) {
        guard version == nil else { return }
        // A cluster gets its name when it is complete, so a start that was cut short is simply made again.
        let draft = "\(path)/data.new"
        try Files.remove(draft)
        try Files.write(Self.randomPassword(), to: passwordFile)
        if let user = installation.user, chown(passwordFile, user.uid, user.gid) != 0 {
            throw .unusablePath(passwordFile, errno: errno)
        }
        let arguments = [
            "--pgdata=\(draft)", "--username=postgres", "--pwfile=\(passwordFile)", "--auth-local=trust",
            "--auth-host=scram-sha-256", "--locale=C.UTF-8", "--encoding=UTF8", "--no-sync", "--no-instructions",
        ]
        try await installation.server("initdb", arguments).run()
        let main = "\(draft)/postgresql.conf"
        try Files.write((Files.text(main) ?? "") + "\ninclude 'vireo.conf'\n", to: main)
        guard rename(draft, data) == 0 else { throw .unusablePath(data, errno: errno) }
    }

    /// The superuser's password.
    func password() throws(LocalServerError) -> String {
        guard let text = Files.text(passwordFile), !text.isEmpty else {
            throw .unusablePath(passwordFile, errno: ENOENT)
        }
        return text
    }

    /// Writes the settings to a file of their own, which postgresql.conf includes at its end.
    func write(_ settings: [String: String], owner: (uid: uid_t, gid: gid_t)?) throws(LocalServerError) {
        var lines: [String] = []
        for (name, value) in settings.sorted(by: { $0.key < $1.key }) {
            guard !name.isEmpty, name.utf8.allSatisfy(Self.isNameByte), !value.contains(where: \.isNewline) else {
                throw .invalidSetting(name)
            }
            let quoted = value.map { $0 == "'" ? "''" : $0 == "\\" ? "\\\\" : String($0) }.joined()
            lines.append("\(name) = '\(quoted)'\n")
        }
        let file = "\(data)/vireo.conf"
        try Files.write(lines.joined(), to: file)
        if let owner, chown(file, owner.uid, owner.gid) != 0 { throw .unusablePath(file, errno: errno) }
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "."):
            true
        default: false
        }
    }

    private static func randomPassword() -> String {
        var generator = SystemRandomNumberGenerator()
        return (0..<4).map { _ in String(generator.next(), radix: 36) }.joined()
    }
}

package import Logging
import Glibc

extension LocalPostgresServer {
    /// Starts a hot standby that streams from this server, in a directory of its own, and returns when it answers.
    ///
    /// An empty directory is filled by `pg_basebackup`; one that holds a replica already is taken as it is. The replica's
    /// superuser is the primary's, password and all.
    package func startReplica(
        directory wanted: String,
        settings: [String: String] = [:],
        logger: Logger = Logger(label: "vireo.local-postgres")
    ) async throws(LocalServerError) -> LocalPostgresServer {
        let replica = try await PostgresDirectory.prepare(wanted, for: installation)
        if replica.version == nil { try await copyBase(to: replica) }
        return try await LocalPostgresServer.start(directory: wanted, settings: settings, logger: logger)
    }

    private func copyBase(to replica: PostgresDirectory) async throws(LocalServerError) {
        let draft = "\(replica.path)/data.new"
        try Files.remove(draft)
        // The server's account reads both: the one now, for the copy and whenever it streams, the other at every start.
        let owned = [
            (replica.streamingPasswordFile, "127.0.0.1:\(port):*:postgres:\(password)\n"),
            (replica.passwordFile, password),
        ]
        for (file, text) in owned {
            try Files.write(text, to: file)
            if let user = installation.user, chown(file, user.uid, user.gid) != 0 {
                throw .unusablePath(file, errno: errno)
            }
        }
        let arguments = [
            "--host=127.0.0.1", "--port=\(port)", "--username=postgres", "--no-password", "--pgdata=\(draft)",
            "--checkpoint=fast", "--wal-method=stream", "--write-recovery-conf", "--no-sync",
        ]
        var copy = installation.server("pg_basebackup", arguments)
        copy.environment["PGPASSFILE"] = replica.streamingPasswordFile
        try await copy.run()
        guard rename(draft, replica.data) == 0 else { throw .unusablePath(replica.data, errno: errno) }
    }
}

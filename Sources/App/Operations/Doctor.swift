import Glibc
package import Logging
import Postgres
import PostgresAdapters
import RecommendationCore

/// `vireo doctor`: what is wrong with connections, versions, settings, migrations, clock, limits.
package struct Doctor: Sendable {
    package enum Verdict: String, Sendable {
        case good = "ok"
        case warning
        case bad = "error"
    }

    package struct Finding: Sendable {
        package let verdict: Verdict
        package let subject: String
        package let text: String
    }

    private let settings: Settings
    private let log: Logger

    package init(settings: Settings, log: Logger) {
        self.settings = settings
        self.log = log
    }

    package func examine() async -> [Finding] {
        var findings: [Finding] = []
        findings += await self.postgres()
        findings += await ReplicaExamination(settings: self.settings, log: self.log).findings()
        findings += await RedisExamination(settings: self.settings, log: self.log).findings()
        findings.append(
            self.settings.signingKeys == nil
                ? Finding(
                    verdict: .bad,
                    subject: "settings",
                    text: "VIREO_SIGNING_KEY is not set; vireo serve will not start"
                )
                : Finding(verdict: .good, subject: "settings", text: "signing keys are set")
        )
        findings.append(self.openFiles())
        return findings
    }

    private func postgres() async -> [Finding] {
        guard self.settings.postgres != nil else {
            return [Finding(verdict: .bad, subject: "postgres", text: "VIREO_POSTGRES_URL is not set")]
        }
        do {
            return try await StoreSession.with(self.settings, log: self.log) { session in
                try await self.findings(session)
            }
        } catch let error as RepositoryError {
            return [Finding(verdict: .bad, subject: "postgres", text: "\(error)")]
        } catch {
            return [Finding(verdict: .bad, subject: "postgres", text: "cannot be reached: \(error)")]
        }
    }

    private func findings(_ session: StoreSession) async throws -> [Finding] {
        var findings: [Finding] = []
        let rows = try await session.store.client.query(
            """
            SELECT current_setting('server_version_num')::integer, current_setting('synchronous_commit'),
                   current_setting('fsync'), current_setting('max_connections')::integer,
                   extract(epoch FROM clock_timestamp())::float8, pg_is_in_recovery(),
                   (SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'async')::bigint,
                   current_setting('server_encoding')
            """
        ) { row in
            (
                version: try row.decode(0, as: Int32.self), synchronous: try row.decode(1, as: String.self),
                fsync: try row.decode(2, as: String.self), connections: try row.decode(3, as: Int32.self),
                time: try row.decode(4, as: Double.self), isReplica: try row.decode(5, as: Bool.self),
                asynchronous: try row.decode(6, as: Int64.self), encoding: try row.decode(7, as: String.self)
            )
        }
        let server = rows[0]
        func add(_ verdict: Verdict, _ text: String) {
            findings.append(Finding(verdict: verdict, subject: "postgres", text: text))
        }
        if server.version >= 140_000 {
            add(.good, "version \(server.version / 10_000).\(server.version % 10_000)")
        } else {
            add(.bad, "version \(server.version / 10_000) is too old; 14 or newer is needed")
        }
        if server.isReplica { add(.bad, "this is a replica; VIREO_POSTGRES_URL must name the primary") }
        if server.encoding != "UTF8" { add(.bad, "the database's encoding is \(server.encoding); UTF8 is needed") }
        if server.synchronous == "off" || server.fsync == "off" {
            add(.warning, "synchronous_commit or fsync is off: an acknowledged write may be lost in a crash")
        }
        if server.asynchronous > 0 {
            add(.warning, "asynchronous replicas: writes acknowledged by a primary that is lost are lost")
        }
        if Int(server.connections) < (self.settings.postgres?.poolSize ?? 8) + 10 {
            add(.warning, "max_connections is \(server.connections); a node takes its pool and two more")
        }
        let offset = server.time - Double(WallClock.now().microseconds) / 1e6
        add(abs(offset) < 1 ? .good : .warning, "clock differs by \(Int(offset * 1_000)) ms")
        let migrations = try await session.migrate(dryRun: true)
        guard migrations.pending.isEmpty else {
            add(.bad, "migrations are pending: \(migrations.pending.joined(separator: ", ")); run vireo migrate")
            return findings
        }
        if migrations.ahead.isEmpty {
            add(.good, "schema is up to date")
        } else {
            let names = migrations.ahead.joined(separator: ", ")
            add(.warning, "schema is of a newer program (\(names)), beside which this one serves")
        }
        let models = try await session.models.versions(tenant: .default)
        if let active = models.first(where: { $0.state == .active }) {
            add(.good, "tenant default serves \(ModelVersion.name(active.number)), built \(active.builtAt.rfc3339)")
        } else {
            add(.warning, "tenant default has no active model; run vireo train --activate")
        }
        return findings
    }

    private func openFiles() -> Finding {
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(UInt32(RLIMIT_NOFILE.rawValue)), &limit)
        let enough = limit.rlim_cur >= 4_096
        return Finding(
            verdict: enough ? .good : .warning,
            subject: "limits",
            text: "open files: \(limit.rlim_cur)\(enough ? "" : "; 4096 or more for many connections")"
        )
    }
}

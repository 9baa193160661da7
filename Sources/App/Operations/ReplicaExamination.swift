import Logging
import Postgres

/// What `vireo doctor` says of the replica: whether it answers, is a replica of this primary, and how far it lags.
struct ReplicaExamination: Sendable {
    private struct Primary: Sendable {
        let system: Int64
        let position: String
    }

    private struct Replica: Sendable {
        let isInRecovery: Bool
        let system: Int64
        /// What it has not replayed of the primary's position, in bytes; nil where either is not known.
        let lag: Int64?
        let isPaused: Bool
        let isStreaming: Bool
        /// Since the last transaction that was replayed, in seconds.
        let age: Double?
    }

    private static let largestGoodLag: Int64 = 16 << 20

    let settings: Settings
    let log: Logger

    func findings() async -> [Doctor.Finding] {
        guard let configuration = self.settings.postgresReplica else { return [] }
        // The primary goes first: what it writes after that is no lag.
        var primary: Primary?
        if let configuration = self.settings.postgres { primary = try? await self.asked(configuration, Self.primary) }
        let position = primary?.position
        do {
            let replica = try await self.asked(configuration) { try await Self.replica($0, position) }
            return Self.findings(replica, primary)
        } catch {
            return [Self.finding(.warning, "cannot be reached (\(error)); the primary serves all reads")]
        }
    }

    private static func findings(_ replica: Replica, _ primary: Primary?) -> [Doctor.Finding] {
        guard replica.isInRecovery else {
            return [Self.finding(.bad, "this is no replica; VIREO_POSTGRES_REPLICA_URL must name a streaming replica")]
        }
        guard let primary else {
            return [Self.finding(.warning, "answers; how far it lags is not known, as the primary does not answer")]
        }
        guard replica.system == primary.system else {
            return [Self.finding(.bad, "this is a replica of another database")]
        }
        var findings: [Doctor.Finding] = []
        if replica.isPaused { findings.append(Self.finding(.warning, "replay is paused")) }
        if !replica.isStreaming { findings.append(Self.finding(.warning, "it does not stream from its primary now")) }
        guard let lag = replica.lag else { return findings + [Self.finding(.warning, "has replayed nothing yet")] }
        var text = "answers, lags \(lag) bytes"
        if lag > 0, let age = replica.age { text += ", last replayed a transaction \(Int(age * 1_000)) ms ago" }
        findings.append(Self.finding(lag > Self.largestGoodLag ? .warning : .good, text))
        return findings
    }

    private static func primary(_ client: PostgresClient) async throws -> Primary {
        try await client.read(
            "SELECT (SELECT system_identifier FROM pg_control_system()), pg_current_wal_lsn()::text"
        ) { row in Primary(system: try row.decode(0), position: try row.decode(1)) }[0]
    }

    private static func replica(_ client: PostgresClient, _ position: String?) async throws -> Replica {
        try await client.read(
            """
            SELECT pg_is_in_recovery(), (SELECT system_identifier FROM pg_control_system()),
                   greatest(0, pg_wal_lsn_diff($1::text::pg_lsn, pg_last_wal_replay_lsn()))::bigint,
                   CASE WHEN pg_is_in_recovery() THEN pg_is_wal_replay_paused() ELSE false END,
                   EXISTS (SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming'),
                   extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())::float8,
                   pg_last_wal_replay_lsn() IS NULL
            """,
            [position]
        ) { row in
            Replica(
                isInRecovery: try row.decode(0),
                system: try row.decode(1),
                // greatest() overlooks a NULL.
                lag: try row.decode(6, as: Bool.self) || position == nil ? nil : try row.decode(2),
                isPaused: try row.decode(3),
                isStreaming: try row.decode(4),
                age: try row.decode(5)
            )
        }[0]
    }

    private func asked<Answer: Sendable>(
        _ configuration: PostgresConfiguration,
        _ question: (PostgresClient) async throws -> Answer
    ) async throws -> Answer {
        var configuration = configuration
        configuration.applicationName = "vireo-cli"
        configuration.poolSize = 1
        let client = PostgresClient(configuration: configuration, logger: self.log)
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await client.run() }
            defer { group.cancelAll() }
            return try await question(client)
        }
    }

    private static func finding(_ verdict: Doctor.Verdict, _ text: String) -> Doctor.Finding {
        Doctor.Finding(verdict: verdict, subject: "replica", text: text)
    }
}

package import Caching
import Glibc
package import HTTPAPI
package import Logging
package import Postgres
package import RecommendationCore
package import Redis
package import Serving
import Training

/// The settings of one node, checked.
package struct Settings: Sendable {
    package var postgres: PostgresConfiguration?
    /// A streaming replica of it, for reads of users.
    package var postgresReplica: PostgresConfiguration?
    package var redis: RedisConfiguration?
    package var http: HTTPConfiguration
    package var nodeID: String
    package var signingKeys: SigningKeys?
    package var coherence: CoherenceSettings
    package var feedbackStream: FeedbackStreamSettings
    /// How long the events of a session are kept after the last.
    package var sessionTimeToLive: Duration
    /// At least this long between two writes whose effect on all nodes is checked; nil: none is.
    package var selfCheck: Duration?
    /// Where other nodes reach the admin port, `host:port`; nil: where it listens.
    package var adminAddress: String?
    package var snapshotInterval: Duration
    package var models: ModelSettings
    package var warming: WarmingSettings
    /// Between two changes of the weights of an experiment that is given users by how its variants do.
    package var experimentInterval: Duration
    /// How long records of recommendations are kept.
    package var decisionRetention: Duration
    package var computeLimit: Int
    package var logLevel: Logger.Level

    /// Reads settings: flags over environment over a JSON file.
    package static func read(_ sources: SettingSources) throws(SettingsError) -> Settings {
        try sources.refuseUnknownNames()
        let pool = try sources.integer(.postgresPool, in: 1...256) ?? 8
        let postgres = try Self.postgres(.postgresURL, pool: pool, sources)
        var postgresReplica = try Self.postgres(.postgresReplicaURL, pool: pool, sources)
        postgresReplica?.name = "replica"
        var redis: RedisConfiguration?
        if let (url, source) = try sources.string(.redisURL) {
            do {
                redis = try RedisConfiguration(url: url)
            } catch {
                throw .invalid(.redisURL, source: source, allowed: Self.redisURLs(error))
            }
        }
        if let (file, source) = try sources.string(.redisCAFile) {
            guard redis == nil || redis?.tls != nil else {
                throw .invalid(
                    .redisCAFile,
                    source: source,
                    allowed: "a PEM file, where VIREO_REDIS_URL is rediss://, rediss+sentinel:// or rediss+cluster://"
                )
            }
            redis?.tls?.caFile = file
            redis?.sentinels?.tls?.caFile = file
        }
        redis?.clientName = "vireo"
        var signingKeys: SigningKeys?
        if let (text, source) = try sources.string(.signingKey) {
            do {
                signingKeys = try SigningKeys(parsing: text)
            } catch {
                throw .invalid(.signingKey, source: source, allowed: SigningKeysError.allowed)
            }
        }
        let httpHost = try sources.string(.httpHost)?.value ?? "127.0.0.1"
        let adminHost = try sources.string(.adminHost)?.value ?? "127.0.0.1"
        let auth = try sources.oneOf(.auth, ["on", "off"]) ?? "on"
        if auth == "off", ![httpHost, adminHost].allSatisfy({ Self.loopback.contains($0) }) {
            throw .invalid(
                .auth,
                source: "with \(httpHost) and \(adminHost)",
                allowed: "off only on loopback addresses"
            )
        }
        var generator = SystemRandomNumberGenerator()
        let random = "n" + String(UInt64.random(in: 1 << 40 ... .max, using: &generator), radix: 36)
        let nodeID = try sources.string(.nodeID)
        if let nodeID, !PlainName.isValid(nodeID.value) {
            throw .invalid(.nodeID, source: nodeID.source, allowed: PlainName.allowed)
        }
        let adminAddress = try sources.string(.adminAddress)
        if let adminAddress, AdminEndpoint.parse("http://\(adminAddress.value)") == nil {
            throw .invalid(.adminAddress, source: adminAddress.source, allowed: "host:port")
        }
        let deadline = Duration.milliseconds(try sources.integer(.deadline, in: 100...60_000) ?? 2_000)
        let coherence = CoherenceSettings(
            lease: .milliseconds(try sources.integer(.lease, in: 300...60_000) ?? 1_000),
            computeLease: min(.seconds(1), deadline / 2),
            longestCompute: deadline,
            foreignComputeLimit: deadline * 3 / 4,
            localBytes: try sources.integer(.l1Bytes, in: 1_048_576...(1 << 40)) ?? 268_435_456,
            faults: try Self.seededFaults(sources)
        )
        var limits = HTTPConfiguration.Limits()
        limits.waitTime = coherence.waitLimit
        limits.deadline = deadline
        limits.calls = try Self.callBounds(sources)
        let level = try sources.oneOf(.logLevel, Logger.Level.allCases.map(\.rawValue)) ?? "info"
        return Settings(
            postgres: postgres,
            postgresReplica: postgresReplica,
            redis: redis,
            http: HTTPConfiguration(
                host: httpHost,
                port: try sources.integer(.httpPort, in: 0...65_535) ?? 8_080,
                adminHost: adminHost,
                adminPort: try sources.integer(.adminPort, in: 0...65_535) ?? 9_080,
                authentication: auth == "on",
                limits: limits
            ),
            nodeID: nodeID?.value ?? random,
            signingKeys: signingKeys,
            coherence: coherence,
            feedbackStream: FeedbackStreamSettings(
                isOn: (try sources.oneOf(.feedbackStream, ["on", "off"]) ?? "on") == "on",
                reclaimAfter: .milliseconds(try sources.integer(.feedbackReclaim, in: 1_000...3_600_000) ?? 30_000)
            ),
            sessionTimeToLive: .seconds(try sources.integer(.sessionTTL, in: 1...86_400) ?? 1_800),
            selfCheck: try sources.integer(.selfCheck, in: 10...3_600_000, orOff: 1_000).map { .milliseconds($0) },
            adminAddress: adminAddress?.value,
            snapshotInterval: .seconds(try sources.integer(.snapshotInterval, in: 1...86_400) ?? 300),
            models: ModelSettings(
                directory: try Self.modelDirectory(sources),
                kept: try sources.integer(.modelKeep, in: 1...100) ?? ModelTrainer.standardKept,
                comparison: ModelGuard(
                    allowance: try sources.integer(.modelGuard, in: 0...100).map { Double($0) / 100 }
                        ?? ModelGuard.standardAllowance
                )
            ),
            warming: WarmingSettings(
                every: try sources.integer(.warmInterval, in: 10...86_400, orOff: 300).map { .seconds($0) },
                users: try sources.integer(.warmUsers, in: 1...1_000_000) ?? 10_000
            ),
            experimentInterval: .seconds(try sources.integer(.experimentInterval, in: 5...86_400) ?? 600),
            decisionRetention: .seconds(86_400 * (try sources.integer(.decisionDays, in: 1...365) ?? 7)),
            computeLimit: try sources.integer(.computeLimit, in: 1...100_000) ?? 64,
            logLevel: Logger.Level(rawValue: level) ?? .info
        )
    }

    private static func callBounds(_ sources: SettingSources) throws(SettingsError) -> CallLimits.Bounds {
        var bounds = CallLimits.Bounds()
        bounds.read = try sources.integer(.readLimit, in: 1...100_000) ?? bounds.read
        bounds.write = try sources.integer(.writeLimit, in: 1...100_000) ?? bounds.write
        bounds.bulk = try sources.integer(.bulkLimit, in: 1...100_000) ?? bounds.bulk
        bounds.admin = try sources.integer(.adminLimit, in: 1...100_000) ?? bounds.admin
        return bounds
    }

    private static func modelDirectory(_ sources: SettingSources) throws(SettingsError) -> String? {
        if let (path, source) = try sources.string(.modelDirectory) {
            if path == "off" { return nil }
            guard path.utf8.first == UInt8(ascii: "/"), !path.utf8.contains(0) else {
                throw .invalid(.modelDirectory, source: source, allowed: "an absolute path, or off")
            }
            return path
        }
        return Self.standardModelDirectory
    }

    /// A folder of the caller's own: under the state directory that a service manager gives, else under the temporary one.
    static var standardModelDirectory: String {
        func folder(_ name: String) -> String? {
            getenv(name).map { String(cString: $0) }.flatMap { $0.hasPrefix("/") ? $0 : nil }
        }
        if let state = folder("STATE_DIRECTORY") { return "\(state)/models" }
        return "\(folder("TMPDIR") ?? "/tmp")/vireo-\(geteuid())/models"
    }

    private static func redisURLs(_ error: RedisError) -> String {
        let allowed =
            "redis://[user:password@]host:port/database, redis+sentinel://[user:password@]host:port,host:port/master-name or "
            + "redis+cluster://[user:password@]host:port,host:port; with TLS rediss://, rediss+sentinel://, rediss+cluster://"
        guard case .invalidURL(let problem) = error else { return allowed }
        return "\(allowed); here \(problem)"
    }

    private static func seededFaults(_ sources: SettingSources) throws(SettingsError) -> SeededFaults {
        #if DEBUG
            guard let (text, source) = try sources.string(.seededFaults) else { return SeededFaults() }
            let names = text.split(separator: ",").map { String($0) }
            let faults = SeededFault.allCases.filter { names.contains("\($0)") }
            guard faults.count == names.count else {
                let all = SeededFault.allCases.map { "\($0)" }.joined(separator: ", ")
                throw .invalid(.seededFaults, source: source, allowed: "some of \(all)")
            }
            return SeededFaults(faults)
        #else
            return SeededFaults()
        #endif
    }

    private static func postgres(
        _ name: SettingName,
        pool: Int,
        _ sources: SettingSources
    ) throws(SettingsError) -> PostgresConfiguration? {
        guard let (url, source) = try sources.string(name) else { return nil }
        do {
            var configuration = try PostgresConfiguration(url: url)
            configuration.poolSize = pool
            return configuration
        } catch {
            throw .invalid(name, source: source, allowed: "postgresql://user:password@host:port/database")
        }
    }

    private static let loopback: Set<String> = ["127.0.0.1", "::1", "localhost"]
}

/// How models are kept, and when one is put into service.
package struct ModelSettings: Sendable {
    /// `VIREO_MODEL_DIR`: where artifacts are kept for the nodes of this host; nil: nowhere.
    package var directory: String?
    /// `VIREO_MODEL_KEEP`: artifacts kept in the store beside what serves and what a rollback returns to.
    package var kept: Int
    /// `VIREO_MODEL_GUARD_PCT`: how far below the active version's figures a candidate's may be.
    package var comparison: ModelGuard
}

/// How lists are computed ahead of requests.
package struct WarmingSettings: Sendable {
    /// `VIREO_WARM_INTERVAL_S`: between two warmings; nil: only those that are asked for.
    package var every: Duration?
    /// `VIREO_WARM_USERS`: the most users of one, the most recently active first.
    package var users: Int
}

/// How feedback is taken from Redis streams.
package struct FeedbackStreamSettings: Sendable {
    /// `VIREO_FEEDBACK_STREAM`
    package var isOn: Bool
    /// `VIREO_FEEDBACK_RECLAIM_MS`: how long an entry is pending before another node takes it over.
    package var reclaimAfter: Duration
}

/// A setting by its name in the environment.
package enum SettingName: String, CaseIterable, Sendable {
    case postgresURL = "VIREO_POSTGRES_URL"
    case postgresReplicaURL = "VIREO_POSTGRES_REPLICA_URL"
    case postgresPool = "VIREO_POSTGRES_POOL"
    case redisURL = "VIREO_REDIS_URL"
    case redisCAFile = "VIREO_REDIS_CA_FILE"
    case httpHost = "VIREO_HTTP_HOST"
    case httpPort = "VIREO_HTTP_PORT"
    case adminHost = "VIREO_ADMIN_HOST"
    case adminPort = "VIREO_ADMIN_PORT"
    case adminAddress = "VIREO_ADMIN_ADDRESS"
    case nodeID = "VIREO_NODE_ID"
    case signingKey = "VIREO_SIGNING_KEY"
    case l1Bytes = "VIREO_L1_BYTES"
    case lease = "VIREO_LEASE_MS"
    case feedbackStream = "VIREO_FEEDBACK_STREAM"
    case feedbackReclaim = "VIREO_FEEDBACK_RECLAIM_MS"
    case sessionTTL = "VIREO_SESSION_TTL_S"
    case selfCheck = "VIREO_SELF_CHECK_MS"
    case snapshotInterval = "VIREO_SNAPSHOT_INTERVAL_S"
    case modelDirectory = "VIREO_MODEL_DIR"
    case modelKeep = "VIREO_MODEL_KEEP"
    case modelGuard = "VIREO_MODEL_GUARD_PCT"
    case warmInterval = "VIREO_WARM_INTERVAL_S"
    case warmUsers = "VIREO_WARM_USERS"
    case experimentInterval = "VIREO_EXPERIMENT_INTERVAL_S"
    case decisionDays = "VIREO_DECISION_DAYS"
    case computeLimit = "VIREO_COMPUTE_LIMIT"
    case readLimit = "VIREO_READ_LIMIT"
    case writeLimit = "VIREO_WRITE_LIMIT"
    case bulkLimit = "VIREO_BULK_LIMIT"
    case adminLimit = "VIREO_ADMIN_LIMIT"
    case deadline = "VIREO_DEADLINE_MS"
    case logLevel = "VIREO_LOG_LEVEL"
    case auth = "VIREO_AUTH"
    case adminURL = "VIREO_ADMIN_URL"
    case apiKey = "VIREO_API_KEY"
    #if DEBUG
        /// ``SeededFault``: rules of coherence that the node breaks, for tests.
        case seededFaults = "VIREO_SEEDED_FAULTS"
    #endif

    /// The key in the JSON file and for flags: `VIREO_POSTGRES_URL` is `postgres.url`.
    package var key: String {
        self.rawValue.lowercased().split(separator: "_").dropFirst().joined(separator: ".")
    }

    /// Secrets may also be given as the name of a file that holds them, and are masked when shown.
    package var isSecret: Bool {
        switch self {
        case .postgresURL, .postgresReplicaURL, .redisURL, .signingKey, .apiKey: true
        default: false
        }
    }
}

/// Why settings are refused; never holds a value.
package enum SettingsError: Error, CustomStringConvertible, Sendable {
    case unknown(name: String, source: String)
    case invalid(SettingName, source: String, allowed: String)
    case missing(SettingName)
    case unreadable(path: String, reason: String)

    package var description: String {
        switch self {
        case .unknown(let name, let source):
            "unknown setting \(name) in \(source); known are \(SettingName.allCases.map(\.rawValue).joined(separator: ", "))"
        case .invalid(let name, let source, let allowed):
            "bad value of \(name.rawValue) (from \(source)); allowed: \(allowed)"
        case .missing(let name):
            "\(name.rawValue) is required; set it in the environment, or as \(name.key) in the --config file"
        case .unreadable(let path, let reason): "cannot read \(path): \(reason)"
        }
    }
}

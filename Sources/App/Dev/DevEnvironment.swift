import Crypto
import Glibc
import LocalServers
package import Logging
import PostgresAdapters
import RecommendationCore
import Serving
import Synchronization
import Training

/// `vireo dev`: private Redis and PostgreSQL, a migrated and filled database, a trained model, and nodes, each a process
/// of its own, all below one directory. A second start finds everything again.
package struct DevEnvironment: Sendable {
    package struct Options: Sendable {
        package var directory = ".vireo"
        package var nodes = 2
        package var importDirectory: String?
        package var users = 2_000
        package var items = 1_000
        package var interactions = 100_000
        package var httpPort = 8_080
        package var adminPort = 9_080
        package var authentication = true

        package init() {}
    }

    package enum Failure: Error, CustomStringConvertible, Sendable {
        case nodeEnded(name: String, code: Int32, log: String)
        case notReady(log: String)
        case file(path: String)

        package var description: String {
            switch self {
            case .nodeEnded(let name, let code, let log): "\(name) ended with code \(code); see \(log)"
            case .notReady(let log): "the nodes are not ready after a minute; see \(log)"
            case .file(let path): "cannot write \(path)"
            }
        }
    }

    private let options: Options
    private let log: Logger
    private let say: @Sendable (String) -> Void

    package init(options: Options, log: Logger, say: @escaping @Sendable (String) -> Void) {
        self.options = options
        self.log = log
        self.say = say
    }

    /// Runs until the task is cancelled, then stops everything it started.
    package func run() async throws {
        guard mkdir(self.options.directory, 0o700) == 0 || errno == EEXIST,
            let resolved = realpath(self.options.directory, nil)
        else { throw Failure.file(path: self.options.directory) }
        let directory = String(cString: resolved)
        free(resolved)
        let redis = try await LocalRedisServer.start(
            directory: "\(directory)/redis",
            extraArguments: ["--maxmemory", "256mb", "--maxmemory-policy", "allkeys-lru"],
            logger: self.log
        )
        let outcome: Result<Void, any Error>
        do {
            let postgres = try await LocalPostgresServer.start(directory: "\(directory)/postgres", logger: self.log)
            do {
                try await self.serve(directory: directory, redis: redis, postgres: postgres)
                outcome = .success(())
            } catch {
                outcome = .failure(error)
            }
            try await postgres.stop()
        } catch {
            try await redis.stop()
            throw error
        }
        try await redis.stop()
        do { try outcome.get() } catch is CancellationError {}
    }

    private func serve(directory: String, redis: LocalRedisServer, postgres: LocalPostgresServer) async throws {
        self.say("redis       127.0.0.1:\(redis.port)")
        self.say("postgresql  127.0.0.1:\(postgres.port)")
        let signingKeys = try DevFiles.readOrMake("\(directory)/signing-keys") { SigningKeys.generate(id: "k1") }
        let environment = [
            SettingName.postgresURL.rawValue: postgres.url(database: "postgres"),
            SettingName.redisURL.rawValue: redis.url,
            SettingName.signingKey.rawValue: signingKeys,
            SettingName.modelDirectory.rawValue: "\(directory)/models",
        ]
        let settings = try Settings.read(try await SettingSources(environment: environment))
        let keys = try await StoreSession.with(settings, log: self.log) { session in
            try await self.prepare(session)
            return try await DevKeys.ensure(at: "\(directory)/keys", keys: session.keys)
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for index in 1...self.options.nodes {
                group.addTask { try await self.node(index, directory: directory, environment: environment) }
            }
            group.addTask {
                try await StoreSession.with(settings, log: self.log) { session in
                    try await self.waitUntilReady(session, directory: directory)
                }
                self.greet(keys: keys, directory: directory)
                while true { try await Task.sleep(for: .seconds(3_600)) }
            }
            // The first to end is a node that should not have, or everything is to stop.
            try await group.next()
            group.cancelAll()
        }
    }

    /// Migrates, fills an empty database, and trains where there is no model of the data as it is.
    private func prepare(_ session: StoreSession) async throws {
        let migrated = try await session.migrate()
        if !migrated.applied.isEmpty { self.say("migrated    \(migrated.applied.joined(separator: ", "))") }
        let isEmpty = try await session.imports.isEmpty(tenant: .default)
        let fill = FillOperation(session: session)
        if let path = self.options.importDirectory {
            let input = ImportInput(path: path, format: .movieLens)
            let report = try await fill.importFile(input, tenant: .default) { _ in }
            self.say("imported    \(report.summary)")
        } else if isEmpty {
            let report = try await fill.demoData(
                users: self.options.users,
                items: self.options.items,
                interactions: self.options.interactions,
                seed: 42,
                tenant: .default
            ) { _ in }
            self.say("demo data   \(report.summary)")
        }
        let mark = try await session.data.mark(tenant: .default)
        let hasActive = try await session.models.versions(tenant: .default).contains { $0.state == .active }
        let newest = try await session.models.newestDataMark(tenant: .default)
        if !hasActive || newest != mark {
            let (report, _) = try await TrainOperation(session: session)
                .run(tenant: .default, recipe: .best, evaluates: false, activates: true)
            let version = report.version
            self.say("trained     \(ModelVersion.name(version.number)) on \(version.interactions) interactions")
        }
    }

    private func node(_ index: Int, directory: String, environment: [String: String]) async throws {
        var environment: [String: String?] = environment
        environment[SettingName.nodeID.rawValue] = Self.nodeID(index)
        environment[SettingName.httpPort.rawValue] = "\(self.options.httpPort + index - 1)"
        environment[SettingName.adminPort.rawValue] = "\(self.options.adminPort + index - 1)"
        if !self.options.authentication { environment[SettingName.auth.rawValue] = "off" }
        let log = Self.logPath(index, directory: directory)
        let code = try await ChildProcess.run(
            try DevFiles.ownExecutable(),
            arguments: ["serve"],
            environment: environment,
            log: log
        )
        throw Failure.nodeEnded(name: Self.nodeID(index), code: code, log: log)
    }

    private func waitUntilReady(_ session: StoreSession, directory: String) async throws {
        let wanted = Set((1...self.options.nodes).map(Self.nodeID))
        let start = WallClock.now()
        while true {
            let ready = try await session.nodes.nodes().filter { $0.seenAt > start && $0.model != nil }.map(\.id)
            if wanted.isSubset(of: ready) { return }
            guard WallClock.now().microseconds - start.microseconds < 60_000_000 else {
                throw Failure.notReady(log: Self.logPath(1, directory: directory))
            }
            try await Task.sleep(for: .milliseconds(100))
        }
    }

    private func greet(keys: DevKeys, directory: String) {
        for index in 1...self.options.nodes {
            let http = self.options.httpPort + index - 1
            let admin = self.options.adminPort + index - 1
            self.say("node \(index)      http://127.0.0.1:\(http)   administration http://127.0.0.1:\(admin)")
        }
        let user = self.options.importDirectory == nil ? "u000001" : "1"
        let item = self.options.importDirectory == nil ? "i000001" : "1"
        let body = #"{"event_id":"e1","user_id":"\#(user)","item_id":"\#(item)","type":"purchase"}"#
        let other = self.options.httpPort + min(2, self.options.nodes) - 1
        self.say(
            """
            keys        \(directory)/keys (mode 600); logs in \(directory)/node-*.log; Ctrl-C stops everything

            Try:
              . \(directory)/keys
              curl -s -H "Authorization: Bearer $APP_KEY" "http://127.0.0.1:\(self.options.httpPort)/v1/recommendations/\(user)?limit=5"
              curl -s -H "Authorization: Bearer $APP_KEY" -H "Content-Type: application/json" -d '\(body)' http://127.0.0.1:\(self.options.httpPort)/v1/feedback
              curl -s -H "Authorization: Bearer $APP_KEY" "http://127.0.0.1:\(other)/v1/recommendations/\(user)?limit=5"
            """
        )
    }

    private static func nodeID(_ index: Int) -> String { "dev-\(index)" }

    private static func logPath(_ index: Int, directory: String) -> String { "\(directory)/node-\(index).log" }
}

import Foundation
import LocalServers
import Logging
import Testing

/// Real nodes, each a process of `vireo serve`, over a private Redis and PostgreSQL.
final class Fleet: Sendable {
    struct Node: Sendable {
        let port: Int
        let adminPort: Int
        let process: NodeProcess
        let links: Links?

        var pid: Int32 { self.process.pid }
    }

    /// The ways of one node to the stores, where they can be disturbed.
    struct Links: Sendable {
        let redis: LinkProxy
        let postgres: LinkProxy
    }

    struct Key: Sendable {
        let app: String
        let admin: String
    }

    let directory: String
    let redis: LocalRedisServer
    let postgres: LocalPostgresServer
    let nodes: [Node]
    let keys: Key
    let environment: [String: String]

    private init(
        directory: String,
        redis: LocalRedisServer,
        postgres: LocalPostgresServer,
        nodes: [Node],
        keys: Key,
        environment: [String: String]
    ) {
        self.directory = directory
        self.redis = redis
        self.postgres = postgres
        self.nodes = nodes
        self.keys = keys
        self.environment = environment
    }

    /// Starts a fleet, runs `body` and stops everything, whatever happened.
    ///
    /// - Parameter linked: Whether each node has a ``LinkProxy`` to each store.
    static func with(
        nodes count: Int = 2,
        interactions: Int = 20_000,
        linked: Bool = false,
        settings: [String: String] = [:],
        postgres postgresSettings: [String: String] = [:],
        _ body: @escaping @Sendable (Fleet) async throws -> Void
    ) async throws {
        let directory = try ScratchDirectory.make("vireo-fleet")
        // For PostgreSQL's account, where root runs the tests: else its data would be elsewhere, and stay.
        #expect(chmod(directory, 0o711) == 0)
        let redis = try await LocalRedisServer.start(directory: "\(directory)/redis")
        let postgres = try await LocalPostgresServer.start(
            directory: "\(directory)/postgres",
            settings: ["fsync": "off"].merging(postgresSettings) { $1 }
        )
        let environment = [
            "VIREO_POSTGRES_URL": postgres.url(), "VIREO_REDIS_URL": redis.url,
            "VIREO_SIGNING_KEY": "k1:" + Data(repeating: 7, count: 32).base64EncodedString(),
            "VIREO_MODEL_DIR": "\(directory)/models",
        ].merging(settings) { $1 }
        let outcome: Result<Void, any Error>
        do {
            try await Vireo.succeed(["migrate"], environment)
            try await Vireo.succeed(
                ["demo-data", "--users", "300", "--items", "200", "--interactions", "\(interactions)", "--seed", "7"],
                environment
            )
            try await Vireo.succeed(["train", "--activate"], environment)
            let app = try await Vireo.succeed(["keys", "create", "--scopes", "read,write"], environment)
            let admin = try await Vireo.succeed(
                ["keys", "create", "--tenant", "default", "--scopes", "admin"],
                environment
            )
            let keys = Key(app: app, admin: admin)
            try await Self.run(count, directory, redis, postgres, linked, environment, keys, body)
            outcome = .success(())
        } catch {
            outcome = .failure(error)
        }
        try await postgres.stop()
        try await redis.stop()
        if case .success = outcome { try ScratchDirectory.remove(directory) }
        try outcome.get()
    }

    private static func run(
        _ count: Int,
        _ directory: String,
        _ redis: LocalRedisServer,
        _ postgres: LocalPostgresServer,
        _ linked: Bool,
        _ environment: [String: String],
        _ keys: Key,
        _ body: @escaping @Sendable (Fleet) async throws -> Void
    ) async throws {
        var nodes: [Node] = []
        for _ in 0..<count {
            nodes.append(
                Node(
                    port: try FreePort.find(),
                    adminPort: try FreePort.find(),
                    process: NodeProcess(),
                    links: linked
                        ? Links(
                            redis: try await LinkProxy.start(to: redis.port),
                            postgres: try await LinkProxy.start(to: postgres.port)
                        ) : nil
                )
            )
        }
        let fleet = Fleet(
            directory: directory,
            redis: redis,
            postgres: postgres,
            nodes: nodes,
            keys: keys,
            environment: environment
        )
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (index, node) in nodes.enumerated() {
                var own: [String: String?] = environment
                own["VIREO_HTTP_PORT"] = "\(node.port)"
                own["VIREO_ADMIN_PORT"] = "\(node.adminPort)"
                own["VIREO_NODE_ID"] = "n\(index + 1)"
                if let links = node.links {
                    own["VIREO_REDIS_URL"] = "redis://127.0.0.1:\(links.redis.port)/0"
                    own["VIREO_POSTGRES_URL"] = postgres.url()
                        .replacingOccurrences(of: ":\(postgres.port)/", with: ":\(links.postgres.port)/")
                }
                let variables = own
                group.addTask {
                    try await node.process.run(environment: variables, log: "\(directory)/node-\(index + 1).log")
                }
            }
            group.addTask {
                for index in fleet.nodes.indices { try await fleet.untilReady(index) }
                try await fleet.untilLeased()
                try await body(fleet)
                throw Done()
            }
            do {
                // Not waitForAll(): that waits for the nodes as well.
                while try await group.next() != nil {}
            } catch is Done {}
            group.cancelAll()
            do { try await group.waitForAll() } catch is LocalServerError {} catch is CancellationError {}
        }
        for node in nodes {
            try await node.links?.redis.close()
            try await node.links?.postgres.close()
        }
    }

    private struct Done: Error {}

    // MARK: Talking to it

    func app(_ index: Int) -> RawHTTP { RawHTTP(port: self.nodes[index].port, key: self.keys.app) }

    func admin(_ index: Int) -> RawHTTP { RawHTTP(port: self.nodes[index].adminPort, key: self.keys.admin) }

    func slate(_ index: Int, user: String, limit: Int = 20) async throws -> Slate {
        let response = try await self.app(index).get("/v1/recommendations/\(user.escapedForPath)?limit=\(limit)")
        guard response.status == 200 else { throw RawHTTP.Failed(description: "\(response.status): \(response.body)") }
        var slate = try response.json(as: Slate.self)
        slate.headers = response.headers
        return slate
    }

    @discardableResult
    func feedback(_ index: Int, user: String, item: String, type: String = "purchase", event: String) async throws
        -> Written
    {
        let body = try JSONEncoder().encode(["event_id": event, "user_id": user, "item_id": item, "type": type])
        let response = try await self.app(index).post("/v1/feedback", String(decoding: body, as: UTF8.self))
        guard response.status == 200 else { throw RawHTTP.Failed(description: "\(response.status): \(response.body)") }
        return try response.json(as: Written.self)
    }

    func untilReady(_ index: Int) async throws {
        let admin = RawHTTP(port: self.nodes[index].adminPort)
        try await eventually("node \(index + 1) is ready", within: 30) { try await admin.get("/readyz").status == 200 }
    }

    /// Waits until every node has a live lease and trusts L2, so that a test sees the steady state.
    func untilLeased() async throws {
        for index in self.nodes.indices {
            try await eventually("node \(index + 1) has a lease and caches", within: 20) {
                _ = try await self.slate(index, user: "u000300")
                return try await self.slate(index, user: "u000300").served_from.tier == "l1"
            }
        }
    }

    /// Whether a condition holds on every node.
    func everywhere(_ condition: (Int) async throws -> Bool) async throws -> Bool {
        for index in self.nodes.indices {
            guard try await condition(index) else { return false }
        }
        return true
    }

    func sql(_ statement: String) async throws {
        try await self.postgres.execute(statement, database: "postgres")
    }
}

struct Slate: Decodable, Sendable {
    struct Place: Decodable, Sendable {
        let item_id: String
        let rank: Int
        let score: Double
        let tracking_token: String
    }

    struct Source: Decodable, Sendable {
        let tier: String
        let age_ms: Int
        let stale: Bool
    }

    let user_id: String
    let items: [Place]
    let model_version: String
    let policy_version: String
    let served_from: Source
    let fallback: String?
    let degraded: [String]
    let user_version: Int64
    var headers: [String: String] = [:]

    private enum CodingKeys: String, CodingKey {
        case user_id, items, model_version, policy_version, served_from, fallback, degraded, user_version
    }

    var ids: [String] { self.items.map(\.item_id) }
}

struct Written: Decodable, Sendable {
    let accepted: Int
    let duplicates: Int
    let user_version: Int64
    let propagated: Bool
}

/// The program under test.
enum Vireo {
    struct Failed: Error, CustomStringConvertible {
        let description: String
    }

    /// Beside the test bundle.
    static let path: String = {
        let arguments = CommandLine.arguments
        let bundle = arguments.firstIndex(of: "--test-bundle-path").map { arguments[$0 + 1] } ?? arguments[0]
        return URL(fileURLWithPath: bundle).deletingLastPathComponent().appendingPathComponent("vireo").path
    }()

    struct Outcome: Sendable {
        let code: Int32
        let output: String
        let errors: String
    }

    static func run(_ arguments: [String], _ environment: [String: String] = [:]) async throws -> Outcome {
        try await withCheckedThrowingContinuation { continuation in
            DispatchQueue.global().async {
                continuation.resume(
                    with: Result {
                        let process = Process()
                        process.executableURL = URL(fileURLWithPath: Self.path)
                        process.arguments = arguments
                        process.environment = environment.merging(["PATH": "/usr/bin:/bin"]) { $1 }
                        let (output, errors) = (Pipe(), Pipe())
                        process.standardOutput = output
                        process.standardError = errors
                        try process.run()
                        let outputText = output.fileHandleForReading.readDataToEndOfFile()
                        let errorText = errors.fileHandleForReading.readDataToEndOfFile()
                        process.waitUntilExit()
                        return Outcome(
                            code: process.terminationStatus,
                            output: String(decoding: outputText, as: UTF8.self),
                            errors: String(decoding: errorText, as: UTF8.self)
                        )
                    }
                )
            }
        }
    }

    @discardableResult
    static func succeed(_ arguments: [String], _ environment: [String: String]) async throws -> String {
        let outcome = try await Self.run(arguments, environment)
        guard outcome.code == 0 else { throw Failed(description: "vireo \(arguments[0]): \(outcome.errors)") }
        return outcome.output.trimmingCharacters(in: .whitespacesAndNewlines)
    }
}

/// Asks again until a condition holds; a bounded wait for something that happens on its own.
func eventually(_ what: String, within seconds: Double, _ condition: () async throws -> Bool) async throws {
    let deadline = ContinuousClock.now.advanced(by: .seconds(seconds))
    while true {
        if let holds = try? await condition(), holds { return }
        guard ContinuousClock.now < deadline else {
            throw RawHTTP.Failed(description: "not within \(seconds) s: \(what)")
        }
        try await Task.sleep(for: .milliseconds(20))
    }
}

extension String {
    /// Every byte that is not a letter or digit as `%XX`.
    var escapedForPath: String {
        self.utf8.map { byte in
            let isPlain = (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
            return isPlain
                ? String(UnicodeScalar(byte)) : "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
        }.joined()
    }
}

import Caching
import Logging
import Redis

/// What `vireo doctor` says of Redis: the sentinels, if there are any, then the primary, then which promise holds when it is
/// lost.
struct RedisExamination: Sendable {
    private static let patience = Duration.seconds(3)

    let settings: Settings
    let log: Logger

    func findings() async -> [Doctor.Finding] {
        guard let configuration = self.settings.redis else {
            return [Self.finding(.bad, "VIREO_REDIS_URL is not set")]
        }
        var findings: [Doctor.Finding] = []
        var replicas: Int?
        if let sentinels = configuration.sentinels {
            let examination = SentinelExamination(sentinels: sentinels, log: self.log)
            let (found, known) = await examination.findings(within: Self.patience)
            findings += found
            replicas = known
        }
        guard configuration.cluster.isEmpty else {
            let examination = ClusterExamination(configuration: configuration, log: self.log)
            findings += await examination.findings(within: Self.patience, lease: self.settings.coherence.lease)
            return findings
        }
        let primary = configuration.sentinels.map { RedisPrimary(sentinels: $0, logger: self.log) }
        let client = RedisClient(configuration: configuration, primary: primary, logger: self.log)
        do {
            findings += try await withThrowingTaskGroup(of: Void.self) { group in
                if let primary { group.addTask { try await primary.run() } }
                group.addTask { try await client.run() }
                defer { group.cancelAll() }
                try await client.waitUntilReady(timeout: Self.patience)
                return try await self.server(client, knownReplicas: replicas)
            }
        } catch {
            findings.append(Self.finding(.bad, "cannot be reached: \(error)"))
        }
        return findings
    }

    private func server(_ client: RedisClient, knownReplicas: Int?) async throws -> [Doctor.Finding] {
        let info = try await client.send(RedisCommand("INFO")).string() ?? ""
        var fields: [Substring: Substring] = [:]
        for line in info.split(whereSeparator: \.isNewline) {
            let pair = line.split(separator: ":", maxSplits: 1)
            if pair.count == 2 { fields[pair[0]] = pair[1] }
        }
        var findings: [Doctor.Finding] = []
        func add(_ verdict: Doctor.Verdict, _ text: String) { findings.append(Self.finding(verdict, text)) }
        let version = fields["redis_version"] ?? "?"
        let major = version.split(separator: ".").first.flatMap { Int($0) } ?? 0
        add(major >= 6 ? .good : .bad, "version \(version)\(major >= 6 ? "" : " is too old; 6 or newer is needed")")
        if fields["role"] != "master" { add(.bad, "this is a replica; VIREO_REDIS_URL must name the primary") }
        let policy = fields["maxmemory_policy"] ?? ""
        if fields["maxmemory"] != "0", policy == "noeviction" {
            add(.warning, "maxmemory with noeviction: when it is full nothing new is cached; allkeys-lru suits Vireo")
        }
        if fields["cluster_enabled"] == "1" {
            add(.bad, "this is a node of a cluster: VIREO_REDIS_URL must be redis+cluster://")
        }
        if fields["aof_enabled"] == "0" {
            add(.good, "no AOF: what a restart loses is checked against PostgreSQL until it is replayed")
        }
        let connected = fields["connected_slaves"].flatMap { Int($0) } ?? 0
        let replicas = max(connected, knownReplicas ?? 0)
        if replicas > 0 {
            if connected < replicas { add(.warning, "\(connected) of \(replicas) replicas are connected") }
            let (verdict, text) = Self.promise(
                replicas: replicas,
                fence: try await Self.fence(client),
                lease: self.settings.coherence.lease
            )
            add(verdict, text)
        }
        return findings
    }

    /// `min-replicas-to-write` and `min-replicas-max-lag`; nil where CONFIG may not be asked.
    private static func fence(_ client: RedisClient) async throws -> (replicas: Int, lag: Int)? {
        let pairs: [RedisReply]
        do throws(RedisError) {
            pairs = try await client.send(RedisCommand("CONFIG", "GET", "min-replicas-*")).array()
        } catch {
            guard case .server = error else { throw error }
            return nil
        }
        var values: [String: Int] = [:]
        for index in stride(from: 0, to: pairs.count - 1, by: 2) {
            guard let name = try pairs[index].string() else { continue }
            values[name] = Int(try pairs[index + 1].integer())
        }
        guard let replicas = values["min-replicas-to-write"], let lag = values["min-replicas-max-lag"] else {
            return nil
        }
        return (replicas, lag)
    }

    /// Which bound holds when the primary is lost (coherence, section 6).
    ///
    /// A primary that is cut off goes on taking writes and heartbeats until too few replicas are left with it: so long a node
    /// that is cut off with it serves what the others have changed. A lag of zero takes the condition away.
    static func promise(
        replicas: Int,
        fence: (replicas: Int, lag: Int)?,
        lease: Duration
    ) -> (Doctor.Verdict, String) {
        let bound = Int(lease / .milliseconds(1))
        guard let fence else {
            return (.warning, "CONFIG is refused: whether min-replicas-to-write fences a lost primary is not known")
        }
        guard fence.replicas > 0, fence.lag > 0 else {
            return (
                .warning,
                "no min-replicas-to-write: a fail-over keeps the bound of \(bound) ms, but nodes that are cut off with "
                    + "the old primary, from every sentinel and from PostgreSQL, may serve what is stale meanwhile"
            )
        }
        let fenced = "\(bound + fence.lag * 1_000) ms"
        let setting = "min-replicas-to-write \(fence.replicas) of \(replicas), max-lag \(fence.lag) s"
        if fence.replicas > replicas { return (.bad, "\(setting): Redis takes no writes at all") }
        guard fence.replicas == replicas else {
            return (
                .warning,
                "\(setting): the bound is \(fenced), except for nodes cut off with an old primary that "
                    + "\(fence.replicas) or more replicas still follow"
            )
        }
        return (
            .good,
            "\(setting): the bound is \(fenced) whatever is cut off from what; while a replica is away Redis takes no "
                + "writes, and nodes follow the journal"
        )
    }

    private static func finding(_ verdict: Doctor.Verdict, _ text: String) -> Doctor.Finding {
        Doctor.Finding(verdict: verdict, subject: "redis", text: text)
    }
}

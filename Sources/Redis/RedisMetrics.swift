import Metrics

/// The metrics of one connection, made once.
struct RedisMetrics: Sendable {
    enum Connection: String {
        case commands
        case subscription
        /// Those to sentinels, of either kind.
        case sentinel
    }

    let commands = Counter(label: "redis_commands")
    let latency = Timer(label: "redis_command_duration")
    let queueDepth = Gauge(label: "redis_queue_depth")
    let messages = Counter(label: "redis_messages")
    let breakerOpen = Gauge(label: "redis_breaker_open")
    let probesAnswered = Counter(label: "redis_probes", dimensions: [("result", "answered")])
    let probesFailed = Counter(label: "redis_probes", dimensions: [("result", "failed")])
    let reconnects: Counter
    let losses: Counter
    private let errors: [String: Counter]

    init(_ connection: Connection) {
        let dimensions = [("connection", connection.rawValue)]
        reconnects = Counter(label: "redis_reconnects", dimensions: dimensions)
        losses = Counter(label: "redis_connections_lost", dimensions: dimensions)
        errors = Dictionary(
            uniqueKeysWithValues: Self.kinds.map { ($0, Counter(label: "redis_errors", dimensions: [("kind", $0)])) }
        )
    }

    func failed(with error: RedisError) {
        errors[Self.kind(of: error)]?.increment()
    }

    private static let kinds = [
        "not_connected", "session_changed", "queue_full", "timeout", "cancelled", "connection_lost", "server", "other",
    ]

    private static func kind(of error: RedisError) -> String {
        switch error {
        case .notConnected: "not_connected"
        case .sessionChanged: "session_changed"
        case .queueFull: "queue_full"
        case .timeout: "timeout"
        case .cancelled: "cancelled"
        case .connectionLost: "connection_lost"
        case .server: "server"
        case .invalidURL, .unexpectedReply, .alreadyRunning: "other"
        }
    }
}

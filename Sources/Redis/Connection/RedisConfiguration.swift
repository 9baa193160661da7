/// How to reach a Redis server and how long to wait for it.
public struct RedisConfiguration: Sendable {
    /// Host name or address; without meaning where there are ``sentinels`` or a ``cluster``.
    public var host: String
    /// TCP port; without meaning where there are ``sentinels`` or a ``cluster``.
    public var port: Int
    /// Who says which server is the primary; nil: it is the one at ``host`` and ``port``.
    public var sentinels: RedisSentinels?
    /// Where some nodes of a cluster listen, who know the others; empty: there is none.
    public var cluster: [RedisAddress] = []
    /// Selected database.
    public var database: Int
    /// ACL user; needs a password.
    public var username: String?
    /// Password; never part of a description or an error.
    public var password: String? {
        get { secret.value }
        set { secret.value = newValue }
    }
    /// TLS, and whom it trusts; nil: none.
    public var tls: RedisTLS?
    /// Bound of connecting and of the handshake, each.
    public var connectTimeout: Duration
    /// Bound of one command.
    ///
    /// When the oldest command is older, the connection is closed and everything waiting fails.
    public var commandTimeout: Duration
    /// The most commands that may wait for replies.
    public var maxQueued: Int
    /// The most bytes of commands that may wait for replies.
    public var maxQueuedBytes: Int
    /// The largest reply accepted; a larger one closes the connection.
    public var maxReplyBytes: Int
    /// Pauses between attempts to connect.
    public var backoff: RedisBackoff
    /// The name shown by `CLIENT LIST`; without spaces.
    public var clientName: String?

    /// Whether it is itself a sentinel that is reached so.
    var isSentinel = false

    private var secret: Secret

    /// Makes a configuration; every argument has a default.
    public init(
        host: String = "127.0.0.1",
        port: Int = 6379,
        database: Int = 0,
        username: String? = nil,
        password: String? = nil,
        tls: RedisTLS? = nil,
        connectTimeout: Duration = .seconds(1),
        commandTimeout: Duration = .milliseconds(100),
        maxQueued: Int = 10_000,
        maxQueuedBytes: Int = 32 << 20,
        maxReplyBytes: Int = 64 << 20,
        backoff: RedisBackoff = RedisBackoff(),
        clientName: String? = nil
    ) {
        self.host = host
        self.port = port
        self.database = database
        self.username = username
        self.secret = Secret(value: password)
        self.tls = tls
        self.connectTimeout = connectTimeout
        self.commandTimeout = commandTimeout
        self.maxQueued = maxQueued
        self.maxQueuedBytes = maxQueuedBytes
        self.maxReplyBytes = maxReplyBytes
        self.backoff = backoff
        self.clientName = clientName
    }

    /// What is sent first on each connection.
    var handshake: [HandshakeStep] {
        var steps: [HandshakeStep] = []
        if let password {
            let command = username.map { RedisCommand("AUTH", $0, password) } ?? RedisCommand("AUTH", password)
            steps.append(HandshakeStep(name: "AUTH", command: command))
        }
        if let clientName {
            steps.append(HandshakeStep(name: "CLIENT", command: RedisCommand("CLIENT", "SETNAME", clientName)))
        }
        if !namesServer { steps.append(.role) }
        if database != 0 {
            steps.append(HandshakeStep(name: "SELECT", command: RedisCommand("SELECT", String(database))))
        }
        return steps
    }

    /// Whether ``host`` and ``port`` say what is connected to.
    var namesServer: Bool { sentinels == nil && cluster.isEmpty }

    /// How one node of the cluster is reached.
    func node(at address: RedisAddress) -> RedisConfiguration {
        var node = self
        (node.host, node.port, node.cluster) = (address.host, address.port, [])
        return node
    }

    /// What is connected to, for people.
    var target: String {
        cluster.isEmpty ? sentinels.map { "\($0.master) by Sentinel" } ?? host : "a node of the cluster"
    }
}

/// What is sent first on a connection, and what may be answered.
struct HandshakeStep: Sendable {
    let name: String
    let command: RedisCommand

    /// The server has to be a primary.
    static let role = HandshakeStep(name: "ROLE", command: RedisCommand("ROLE"))

    /// Why the connection is of no use after this reply; nil: it is of use.
    ///
    /// Of an error only the code: its message may quote the arguments, and they may be secret.
    func refusal(in reply: RedisReply) -> RedisConnectionLoss? {
        if case .error(let error) = reply { return .refused(step: name, code: error.code) }
        guard name == Self.role.name else { return nil }
        guard case .array(let parts) = reply, parts.first == .bulk(Array("master".utf8)) else { return .notPrimary }
        return nil
    }
}

/// A value that no description, dump or mirror shows.
struct Secret: Sendable, CustomStringConvertible, CustomReflectable {
    var value: String?

    var description: String { value == nil ? "none" : "hidden" }
    var customMirror: Mirror { Mirror(self, children: []) }
}

/// Exponentially growing pauses with jitter.
public struct RedisBackoff: Sendable, Hashable {
    /// The upper bound of the first pause.
    public var initial: Duration
    /// The upper bound of all pauses.
    public var maximum: Duration

    /// Makes a backoff; the defaults are 50 ms and 500 ms. A server that is back is not left alone longer than that: a try costs
    /// less than what is answered without it.
    public init(initial: Duration = .milliseconds(50), maximum: Duration = .milliseconds(500)) {
        self.initial = initial
        self.maximum = maximum
    }

    /// The pause before the attempt after `failures` failures: between half the bound and the bound.
    func pause(afterFailures failures: Int, using generator: inout some RandomNumberGenerator) -> Duration {
        let bound = min(initial * (1 << min(failures, 20)), maximum)
        return bound * Double.random(in: 0.5...1, using: &generator)
    }
}

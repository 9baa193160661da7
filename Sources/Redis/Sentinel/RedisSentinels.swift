/// The sentinels that say which of the servers is the primary.
public struct RedisSentinels: Sendable {
    /// Where they listen, each once; a majority of them should be named.
    public var addresses: [RedisAddress]
    /// The name they watch the primary by.
    public var master: String
    /// ACL user at the sentinels; needs a password.
    public var username: String?
    /// Password at the sentinels, which is not that of the servers; never part of a description or an error.
    public var password: String? {
        get { secret.value }
        set { secret.value = newValue }
    }
    /// TLS to the sentinels, and whom it trusts; nil: none.
    public var tls: RedisTLS?

    private var secret: Secret

    /// Sentinels without a password of their own and without TLS, unless one is given.
    public init(
        addresses: [RedisAddress],
        master: String,
        username: String? = nil,
        password: String? = nil,
        tls: RedisTLS? = nil
    ) {
        self.addresses = addresses
        self.master = master
        self.username = username
        self.secret = Secret(value: password)
        self.tls = tls
    }

    /// How one of them is reached.
    public func configuration(
        of address: RedisAddress,
        connectTimeout: Duration = .seconds(1)
    ) -> RedisConfiguration {
        var configuration = RedisConfiguration(
            host: address.host,
            port: address.port,
            username: username,
            password: password,
            tls: tls,
            connectTimeout: connectTimeout,
            commandTimeout: .seconds(1),
            backoff: RedisBackoff(initial: .milliseconds(50), maximum: .seconds(1))
        )
        configuration.isSentinel = true
        return configuration
    }
}

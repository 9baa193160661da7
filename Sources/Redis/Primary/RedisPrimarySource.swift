/// Says which server is the primary, for clients that are to follow it: ``RedisPrimary`` by sentinels, ``RedisCluster`` by the
/// cluster itself.
public protocol RedisPrimarySource: Sendable {
    /// A place for a connection that is about to be made; waits a moment where the primary is not known yet.
    func hold() async throws(ConnectFailure) -> PrimaryHold
    /// The connection is over, or was not made.
    func release(_ hold: PrimaryHold)
    /// The server of a connection is no primary: with it go all connections that were made for one.
    func denied(by hold: PrimaryHold)
    /// A connection to the primary failed: it may have moved.
    func askSoon()
}

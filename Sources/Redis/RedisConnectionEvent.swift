/// A change of a client's connection.
public enum RedisConnectionEvent: Sendable, Hashable {
    /// The handshake is done and commands are accepted.
    case connected(session: UInt64)
    /// A ready connection ended.
    case disconnected(session: UInt64, reason: RedisConnectionLoss)
    /// An attempt to connect failed; another one follows.
    case connectFailed(reason: RedisConnectionLoss)
}

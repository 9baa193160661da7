/// What happens on a subscription, in the order of the wire.
///
/// A session is one `began`, any number of `message`, and one `ended` that is never left out.
public enum RedisSubscriptionEvent: Sendable, Hashable {
    /// Every channel is confirmed: from here on no message of the session is missing.
    case began(session: UInt64)
    /// A published message.
    case message(channel: [UInt8], payload: [UInt8], session: UInt64)
    /// The connection is lost, and with it whatever was published since.
    case ended(session: UInt64, reason: RedisConnectionLoss)
}

/// How much may wait for the consumer of a subscription.
public struct RedisSubscriptionBufferLimit: Sendable, Hashable {
    /// The most messages.
    public var messages: Int
    /// The most bytes of channels and payloads.
    public var bytes: Int

    /// Makes a limit; the defaults are 65,536 messages and 16 MiB.
    public init(messages: Int = 65_536, bytes: Int = 16 << 20) {
        self.messages = messages
        self.bytes = bytes
    }
}

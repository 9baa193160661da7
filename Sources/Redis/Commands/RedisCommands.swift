/// Something that takes commands: one server, or the nodes of a cluster.
///
/// What it is connected to as a whole is a *session* with a number greater than all before: of one server one connection, of a
/// cluster one connection to each primary.
public protocol RedisCommands: Sendable {
    /// The number of the current session; nil from the moment it is lost.
    var session: UInt64? { get }

    /// Those with a part of the keys each.
    var shards: [RedisShard] { get }

    /// Sends a command and returns its reply with the session it went over; an error reply is thrown.
    ///
    /// With `session` the command is sent only over that one. A cancelled caller returns at once, though the command may
    /// still run.
    func sendReportingSession(
        _ command: RedisCommand,
        session: UInt64?
    ) async throws(RedisError) -> (reply: RedisReply, session: UInt64)

    /// Sends commands and returns their replies, in their order, with the session they went over; error replies are values
    /// here. What goes to one server goes in one write.
    func pipelineReportingSession(
        _ commands: [RedisCommand],
        session: UInt64?
    ) async throws(RedisError) -> (replies: [RedisReply], session: UInt64)
}

/// A server with a part of the keys.
public struct RedisShard: Sendable, Hashable {
    /// What keys are to have between braces to be kept there; nil: there is no other server.
    public let tag: String?

    /// A shard that is reached by a tag.
    public init(tag: String?) {
        self.tag = tag
    }
}

extension RedisCommands {
    /// Whether keys are divided among servers: then all keys of a command or script must be in one slot.
    public var isDivided: Bool { shards.first?.tag != nil }

    /// Sends a command and returns its reply; an error reply is thrown.
    public func send(_ command: RedisCommand, session: UInt64? = nil) async throws(RedisError) -> RedisReply {
        try await sendReportingSession(command, session: session).reply
    }

    /// Sends a command over whatever session there is.
    public func sendReportingSession(
        _ command: RedisCommand
    ) async throws(RedisError) -> (reply: RedisReply, session: UInt64) {
        try await sendReportingSession(command, session: nil)
    }

    /// Sends commands and returns their replies in order; error replies are values here.
    public func pipeline(
        _ commands: [RedisCommand],
        session: UInt64? = nil
    ) async throws(RedisError) -> [RedisReply] {
        try await pipelineReportingSession(commands, session: session).replies
    }
}

package import Caching
package import Logging
package import Redis

/// The bus: commands on the shared connection, the subscription on one of its own.
///
/// In a cluster it is the primary of the slot of ``RedisNamespace/busChannel`` that carries all messages, over sharded channels:
/// who publishes to a server that has lost the slot is refused, and who listens there is told. A heartbeat goes to every
/// primary, for the trust in what each holds, and is published by that one alone, for the lease.
///
/// A message is text: `i VERSION KEY` lines for invalidations, `c` for the control log.
package struct RedisInvalidationBus: InvalidationBus {
    /// Invalidations in one message.
    private static let batch = 64

    private let client: any RedisCommands
    private let shards = ShardPositions()
    private let subscription: RedisSubscription
    private let namespace: RedisNamespace
    private let log: Logger

    /// - Parameter subscription: Of ``RedisNamespace/busChannel`` and this node's heartbeat channel.
    package init(client: any RedisCommands, subscription: RedisSubscription, namespace: RedisNamespace, log: Logger) {
        self.client = client
        self.subscription = subscription
        self.namespace = namespace
        self.log = log
    }

    package func publish(_ messages: [BusMessage], on connection: UInt64?) async throws(SharedCacheError) {
        let payloads = Self.encode(messages)
        try await RedisSharedCache.mapped { () async throws(RedisError) in
            let replies = try await self.client.pipeline(
                payloads.map {
                    RedisCommand(self.publishing, key: Array(RedisNamespace.busChannel.utf8), arguments: [$0])
                },
                session: connection
            )
            for reply in replies { _ = try reply.checked() }
        }
    }

    private var publishing: String { self.client.isDivided ? "SPUBLISH" : "PUBLISH" }

    package func send(_ heartbeat: Heartbeat) async throws(SharedCacheError) -> HeartbeatReply {
        // Of one session, so that no shard is left out.
        guard let session = self.client.session else { throw .unavailable }
        let shards = self.client.shards
        let text = Array("\(heartbeat.session):\(heartbeat.number)".utf8)
        let published = [Array(self.namespace.heartbeatChannel.utf8), Array(self.publishing.utf8)]
        let calls = shards.enumerated().map { index, shard in
            // The first has the channels.
            (
                keys: [
                    self.namespace.heartbeatKey(shard), self.namespace.relayedKey(shard), self.namespace.passKey(shard),
                ],
                arguments: [text] + (index == 0 ? published : [[], []])
            )
        }
        return try await RedisSharedCache.mapped { () async throws(RedisError) in
            let (replies, _) = try await self.client.pipelineReportingSession(
                Scripts.heartbeat,
                calls,
                session: session
            )
            let told = try replies.map { reply throws(RedisError) in try Self.reply(try reply.checked()) }
            guard let first = told.first else { throw .notConnected }
            return self.client.isDivided ? self.shards.merged(told, of: shards) ?? first : first
        }
    }

    private static func reply(_ reply: RedisReply) throws(RedisError) -> HeartbeatReply {
        let values = try reply.array()
        guard values.count == 6 else { throw .unexpectedReply(expected: "six values", found: "\(values.count)") }
        let record = RelayRecord(try values[0].string())
        return HeartbeatReply(
            relayed: record?.position,
            controlHead: record?.controlHead,
            milliseconds: try values[1].integer(),
            history: try Self.history(role: values[2], id: values[3], offset: values[4]),
            pass: try values[5].string().map { RelayPass($0) }
        )
    }

    /// Nil also for a replica, which says its primary's history is its own, and for an id that is none.
    private static func history(
        role: RedisReply,
        id: RedisReply,
        offset: RedisReply
    ) throws(RedisError) -> DataHistory? {
        guard try role.string() == "master", let id = try id.string(), id.contains(where: { $0 != "0" }),
            let offset = try offset.string().flatMap({ UInt64($0) })
        else { return nil }
        return DataHistory(id: id, offset: offset)
    }

    package func listen(_ apply: (BusEvent) -> Void) async {
        let heartbeats = Array(self.namespace.heartbeatChannel.utf8)
        for await event in self.subscription.events {
            switch event {
            case .began(let session): apply(.began(session: session))
            case .ended(let session, _): apply(.ended(session: session))
            case .message(let channel, let payload, _) where channel == heartbeats:
                if let heartbeat = Self.heartbeat(payload) { apply(.heartbeat(heartbeat)) }
            case .message(_, let payload, let session):
                guard let messages = Self.decode(payload) else {
                    // It may be an invalidation in words this version does not know: nothing stamped so far is believed.
                    self.log.warning("a bus message cannot be read", metadata: ["bytes": "\(payload.count)"])
                    apply(.ended(session: session))
                    self.subscription.reset(reason: "unreadable message")
                    continue
                }
                for message in messages { apply(.message(message)) }
            }
        }
    }

    package func restartSession() {
        self.subscription.reset(reason: "data went back")
    }

    static func encode(_ messages: [BusMessage]) -> [[UInt8]] {
        var payloads: [[UInt8]] = []
        var payload: [UInt8] = []
        var lines = 0
        for message in messages {
            if lines == Self.batch {
                payloads.append(payload)
                payload = []
                lines = 0
            }
            if lines > 0 { payload.append(UInt8(ascii: "\n")) }
            lines += 1
            switch message {
            case .control: payload.append(UInt8(ascii: "c"))
            case .invalidation(let invalidation):
                payload.append(contentsOf: "i \(invalidation.version) ".utf8)
                payload.append(contentsOf: invalidation.key.bytes)
            }
        }
        if lines > 0 { payloads.append(payload) }
        return payloads
    }

    static func decode(_ payload: [UInt8]) -> [BusMessage]? {
        var messages: [BusMessage] = []
        for line in payload.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
            if line.elementsEqual("c".utf8) {
                messages.append(.control)
                continue
            }
            let parts = line.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
            guard parts.count == 3, parts[0].elementsEqual("i".utf8), !parts[2].isEmpty,
                let version = Int64(String(decoding: parts[1], as: UTF8.self))
            else { return nil }
            messages.append(.invalidation(Invalidation(key: CacheKey(bytes: Array(parts[2])), version: version)))
        }
        return messages
    }

    private static func heartbeat(_ payload: [UInt8]) -> Heartbeat? {
        let parts = String(decoding: payload, as: UTF8.self).split(separator: ":")
        guard parts.count == 2, let session = UInt64(parts[0]), let number = UInt64(parts[1]) else { return nil }
        return Heartbeat(session: session, number: number)
    }
}

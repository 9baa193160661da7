package import Caching
package import Logging
package import Redis

/// The bus on one Redis: commands on the shared connection, the subscription on one of its own.
///
/// A message is text: `i VERSION KEY` lines for invalidations, `c` for the control log.
package struct RedisInvalidationBus: InvalidationBus {
    /// Invalidations in one message.
    private static let batch = 64

    private let client: RedisClient
    private let subscription: RedisSubscription
    private let namespace: RedisNamespace
    private let log: Logger

    /// - Parameter subscription: Of ``RedisNamespace/busChannel`` and this node's heartbeat channel.
    package init(client: RedisClient, subscription: RedisSubscription, namespace: RedisNamespace, log: Logger) {
        self.client = client
        self.subscription = subscription
        self.namespace = namespace
        self.log = log
    }

    package func publish(_ messages: [BusMessage], on connection: UInt64?) async throws(SharedCacheError) {
        let payloads = Self.encode(messages)
        try await RedisSharedCache.mapped { () async throws(RedisError) in
            let replies = try await self.client.pipeline(
                payloads.map { RedisCommand("PUBLISH", arguments: [Array(RedisNamespace.busChannel.utf8), $0]) },
                session: connection
            )
            for reply in replies { _ = try reply.checked() }
        }
    }

    package func send(_ heartbeat: Heartbeat) async throws(SharedCacheError) -> HeartbeatReply {
        try await RedisSharedCache.mapped { () async throws(RedisError) in
            let values = try await self.client.run(
                Scripts.heartbeat,
                keys: [self.namespace.heartbeatKey, self.namespace.relayedKey],
                arguments: [
                    Array("\(heartbeat.session):\(heartbeat.number)".utf8), Array(self.namespace.heartbeatChannel.utf8),
                ]
            ).array()
            guard values.count == 5 else { throw .unexpectedReply(expected: "five values", found: "\(values.count)") }
            let record = RelayRecord(try values[0].string())
            return HeartbeatReply(
                relayed: record?.position,
                controlHead: record?.controlHead,
                milliseconds: try values[1].integer(),
                history: try Self.history(role: values[2], id: values[3], offset: values[4])
            )
        }
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

package import RecommendationCore
package import Redis

/// Sessions as sorted sets, `vireo:session:INCARNATION:{TENANT/SESSION}`: an event a member, by its time, so that adding one
/// again, or late, changes nothing. All of a session is in one slot of a cluster, and gone a while after its last event.
package struct RedisSessionRepository: SessionRepository {
    private let client: any RedisCommands
    private let namespace: RedisNamespace
    private let timeToLive: Duration

    /// - Parameter timeToLive: How long a session is kept after its last event.
    package init(client: any RedisCommands, namespace: RedisNamespace, timeToLive: Duration) {
        self.client = client
        self.namespace = namespace
        self.timeToLive = timeToLive
    }

    /// KEYS: sorted set. ARGV: seconds to keep, the last rank to drop, then time and member of each event. Whatever else is stored
    /// under the key is somebody else's writing.
    private static let append = RedisScript(
        """
        local kind = redis.call('TYPE', KEYS[1]).ok
        if kind ~= 'zset' and kind ~= 'none' then redis.call('UNLINK', KEYS[1]) end
        redis.call('ZADD', KEYS[1], unpack(ARGV, 3))
        redis.call('ZREMRANGEBYRANK', KEYS[1], 0, ARGV[2])
        redis.call('EXPIRE', KEYS[1], ARGV[1])
        return 1
        """
    )

    package func append(
        _ events: [Session.ID: [SessionEvent]],
        tenant: Tenant.ID
    ) async throws(RepositoryError) {
        let calls = events.map { session, events in
            let newest = events.sorted { $0.occurredAt > $1.occurredAt }.prefix(Session.maximumEvents)
            let members = newest.flatMap { event in
                [Array(String(event.occurredAt.microseconds).utf8), SessionEventCodec.encode(event)]
            }
            return (
                keys: [self.namespace.sessionKey(session, tenant: tenant)],
                arguments: [
                    Array(String(self.timeToLive.components.seconds).utf8),
                    Array(String(-1 - Session.maximumEvents).utf8),
                ] + members
            )
        }
        guard !calls.isEmpty else { return }
        try await Self.mapped { () async throws(RedisError) in
            let (replies, _) = try await self.client.pipelineReportingSession(Self.append, calls)
            for reply in replies { _ = try reply.checked() }
        }
    }

    package func events(
        of session: Session.ID,
        tenant: Tenant.ID
    ) async throws(RepositoryError) -> [SessionEvent] {
        let last = String(Session.maximumEvents - 1)
        let command = RedisCommand(
            "ZREVRANGE",
            key: self.namespace.sessionKey(session, tenant: tenant),
            arguments: [Array("0".utf8), Array(last.utf8)]
        )
        return try await Self.mapped { () async throws(RedisError) in
            do throws(RedisError) {
                var events: [SessionEvent] = []
                for member in try await self.client.send(command).array() {
                    if let event = try member.bytes().flatMap(SessionEventCodec.decode) { events.append(event) }
                }
                return events
            } catch {
                guard error.isAboutContent else { throw error }
                return []
            }
        }
    }

    static func mapped<Result>(
        _ body: () async throws(RedisError) -> Result
    ) async throws(RepositoryError) -> Result {
        do throws(RedisError) {
            return try await body()
        } catch {
            switch error {
            case .server(let refusal): throw .failed("Redis: \(refusal.code)")
            default: throw .unavailable("Redis")
            }
        }
    }
}

/// The bytes of a ``SessionEvent``, little endian:
///
///     0  format (1)   1 type (1)   2 bits of the value (4)   6 microseconds (8)
///     14 length of the user's id (1), of the item's (1), and both ids
enum SessionEventCodec {
    private static let format: UInt8 = 1
    private static let headerSize = 16

    static func encode(_ event: SessionEvent) -> [UInt8] {
        // An id has at most 128 bytes.
        let (user, item) = (Array(event.user.string.utf8), Array(event.item.string.utf8))
        var bytes: [UInt8] = [Self.format, event.type.code]
        withUnsafeBytes(of: event.value.bitPattern.littleEndian) { bytes.append(contentsOf: $0) }
        withUnsafeBytes(of: event.occurredAt.microseconds.littleEndian) { bytes.append(contentsOf: $0) }
        return bytes + [UInt8(user.count), UInt8(item.count)] + user + item
    }

    /// The event of these bytes; nil where they are none.
    static func decode(_ bytes: [UInt8]) -> SessionEvent? {
        guard bytes.count >= Self.headerSize, bytes[0] == Self.format, let type = EventType(code: bytes[1]) else {
            return nil
        }
        let (userLength, itemLength) = (Int(bytes[14]), Int(bytes[15]))
        let itemStart = Self.headerSize + userLength
        let (bits, microseconds) = bytes.withUnsafeBytes { bytes in
            (
                UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 2, as: UInt32.self)),
                Int64(littleEndian: bytes.loadUnaligned(fromByteOffset: 6, as: Int64.self))
            )
        }
        guard bytes.count == itemStart + itemLength, Float(bitPattern: bits).isFinite,
            let user = String(validating: bytes[Self.headerSize..<itemStart], as: UTF8.self),
            let item = String(validating: bytes[itemStart...], as: UTF8.self),
            let userID = try? User.ID(validating: user), let itemID = try? Item.ID(validating: item)
        else { return nil }
        return SessionEvent(
            user: userID,
            item: itemID,
            type: type,
            value: Float(bitPattern: bits),
            occurredAt: Timestamp(microseconds: microseconds)
        )
    }
}

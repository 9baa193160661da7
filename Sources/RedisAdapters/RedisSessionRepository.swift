package import RecommendationCore
package import Redis

/// Sessions as sorted sets, `vireo:session:INCARNATION:{TENANT/SESSION}`: an event a member, by its time, so that adding one
/// again, or late, changes nothing. All of a session is in one slot of a cluster, and gone a while after its last event.
///
/// `vireo:sessions:INCARNATION:{TENANT/USER}` names the sessions that hold events of a user, so that they can be found when the
/// user is erased; it is written first.
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

    /// KEYS: sorted set. ARGV: seconds to keep, the last rank to drop, the time in ms from which on nothing is added, then time
    /// and member of each event. The users who have events in it (``SessionEventCodec``). Whatever else is stored under the key is
    /// somebody else's writing.
    private static let append = RedisScript(
        """
        local time = redis.call('TIME')
        if time[1] * 1000 + math.floor(time[2] / 1000) >= tonumber(ARGV[3]) then return {} end
        local kind = redis.call('TYPE', KEYS[1]).ok
        if kind ~= 'zset' and kind ~= 'none' then redis.call('UNLINK', KEYS[1]) end
        redis.call('ZADD', KEYS[1], unpack(ARGV, 4))
        redis.call('ZREMRANGEBYRANK', KEYS[1], 0, ARGV[2])
        redis.call('EXPIRE', KEYS[1], ARGV[1])
        local users, seen = {}, {}
        for _, member in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
            local user = string.sub(member, 17, 16 + (string.byte(member, 15) or 0))
            if not seen[user] then
                seen[user] = true
                users[#users + 1] = user
            end
        end
        return users
        """
    )

    package func append(
        _ events: [Session.ID: [SessionEvent]],
        tenant: Tenant.ID,
        until end: Int64
    ) async throws(RepositoryError) {
        guard !events.isEmpty else { return }
        let limit = Array(String(end).utf8)
        let events = Array(events)
        let named = events.map { session, events in (session: session, users: Set(events.map(\.user))) }
        try await self.note(named, tenant: tenant, until: limit)
        let calls = events.map { session, events in
            let newest = events.sorted { $0.occurredAt > $1.occurredAt }.prefix(Session.maximumEvents)
            let members = newest.flatMap { event in
                [Array(String(event.occurredAt.microseconds).utf8), SessionEventCodec.encode(event)]
            }
            return (
                keys: [self.namespace.sessionKey(session, tenant: tenant)],
                arguments: [
                    Array(String(self.timeToLive.components.seconds).utf8),
                    Array(String(-1 - Session.maximumEvents).utf8), limit,
                ] + members
            )
        }
        let held = try await Self.mapped { () async throws(RedisError) in
            let replies = try await self.client.pipelineReportingSession(Self.append, calls).replies
            return try replies.map { reply throws(RedisError) in
                var users: Set<User.ID> = []
                for user in try reply.checked().array() {
                    if let user = try user.string() { users.insert(User.ID(trusted: user)) }
                }
                return users
            }
        }
        // Of others who are in the session it lives on, too.
        let others = zip(named, held).compactMap { named, held in
            let others = held.subtracting(named.users)
            return others.isEmpty ? nil : (session: named.session, users: others)
        }
        if !others.isEmpty { try await self.note(others, tenant: tenant, until: limit) }
    }

    /// KEYS: sorted set. ARGV: seconds to keep, the time in ms from which on nothing is added, then sessions. The scores are µs.
    private static let noting = RedisScript(
        """
        local time = redis.call('TIME')
        local now = time[1] * 1000000 + time[2]
        if math.floor(now / 1000) >= tonumber(ARGV[2]) then return 0 end
        for index = 3, #ARGV do redis.call('ZADD', KEYS[1], string.format('%.0f', now), ARGV[index]) end
        redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('(%.0f', now - ARGV[1] * 1000000))
        redis.call('EXPIRE', KEYS[1], ARGV[1])
        return 1
        """
    )

    /// Notes of users which sessions hold events of theirs.
    private func note(
        _ holding: [(session: Session.ID, users: Set<User.ID>)],
        tenant: Tenant.ID,
        until limit: [UInt8]
    ) async throws(RepositoryError) {
        var sessions: [User.ID: Set<Session.ID>] = [:]
        for (session, users) in holding {
            for user in users { sessions[user, default: []].insert(session) }
        }
        let calls = sessions.map { user, sessions in
            (
                keys: [self.namespace.sessionsKey(of: user, tenant: tenant)],
                arguments: [Array(String(self.timeToLive.components.seconds).utf8), limit]
                    + sessions.map { Array($0.string.utf8) }
            )
        }
        try await Self.mapped { () async throws(RedisError) in
            let (replies, _) = try await self.client.pipelineReportingSession(Self.noting, calls)
            for reply in replies { _ = try reply.checked() }
        }
    }

    /// KEYS: sorted set of a session. ARGV: a user. How many events of that user were taken out (``SessionEventCodec``).
    private static let forgetting = RedisScript(
        """
        if redis.call('TYPE', KEYS[1]).ok ~= 'zset' then return 0 end
        local count = 0
        for _, member in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
            if string.byte(member, 15) == #ARGV[1] and string.sub(member, 17, 16 + #ARGV[1]) == ARGV[1] then
                count = count + redis.call('ZREM', KEYS[1], member)
            end
        end
        return count
        """
    )

    /// Takes a user's events out of all sessions; out of how many keys.
    func remove(_ user: User.ID, tenant: Tenant.ID) async throws(RepositoryError) -> Int {
        let key = self.namespace.sessionsKey(of: user, tenant: tenant)
        let reading = RedisCommand("ZRANGE", key: key, arguments: ["0", "-1", "WITHSCORES"].map { Array($0.utf8) })
        return try await Self.mapped { () async throws(RedisError) in
            let values = try await self.client.send(reading).array()
            guard values.count >= 2, let last = try values[values.count - 1].bytes() else { return 0 }
            var calls: [(keys: [[UInt8]], arguments: [[UInt8]])] = []
            for index in stride(from: 0, to: values.count - 1, by: 2) {
                let session = Session.ID(trusted: try values[index].string() ?? "")
                calls.append(([self.namespace.sessionKey(session, tenant: tenant)], [Array(user.string.utf8)]))
            }
            var count = 0
            for reply in try await self.client.pipelineReportingSession(Self.forgetting, calls).replies {
                if try reply.checked().integer() > 0 { count += 1 }
            }
            // What was noted since is of another life, and stays.
            let noted = RedisCommand(
                "ZREMRANGEBYSCORE",
                key: key,
                arguments: [Array("-inf".utf8), last]
            )
            return try await self.client.send(noted).integer() > 0 ? count + 1 : count
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

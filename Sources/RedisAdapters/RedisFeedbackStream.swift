package import Caching
package import Redis

/// Streams of feedback, one a tenant, and the group that all nodes consume them in (coherence, section 7).
///
/// TENANT is percent-encoded, all but `A-Za-z0-9._~-`:
///
///     vireo:feedback:stream:TENANT         each entry has a field `event`: the JSON object of the HTTP API
///     vireo:feedback:stream:TENANT:dead    what was rejected: `id` of the entry, `event`, `code`, `field`; in a cluster
///                                          {vireo:feedback:stream:TENANT}:dead, which is where the stream is
///
/// An entry is delivered to one consumer, which is a node, and is pending until it is acknowledged. Calls here may block the
/// connection for as long as they wait for entries: the client is to be used for nothing else. In a cluster, where one call
/// cannot wait for streams of several slots, they are looked at time and again, and no connection is blocked.
package struct RedisFeedbackStream: Sendable {
    package struct Entry: Sendable, Equatable {
        package let id: String
        /// nil: there is no such field, or the entry was deleted from the stream.
        package let event: [UInt8]?
        /// Whether nothing is left of it but its being pending.
        package let isDeleted: Bool
    }

    /// What of a stream is read.
    package enum Position: Sendable, Equatable {
        /// What is pending with this consumer, behind an entry.
        case own(after: String)
        /// What nobody has been given.
        case new
    }

    private static let group = "vireo"
    /// Between two looks in a cluster.
    private static let pause = Duration.milliseconds(100)
    private static let field = Array("event".utf8)
    /// The newest so many of what was rejected are kept.
    private static let deadLimit = "100000"
    /// A consumer that was silent for so long and has nothing pending is forgotten.
    private static let forgottenAfter = "3600000"

    let client: any RedisCommands
    private let consumer: String

    /// - Parameter consumer: A name that no other node has.
    package init(client: any RedisCommands, consumer: String) {
        self.client = client
        self.consumer = consumer
    }

    /// The group, from the first entry on, where it is not there yet; the stream too.
    package func prepare(_ tenant: String) async throws(SharedCacheError) {
        do throws(SharedCacheError) {
            _ = try await RedisSharedCache.mapped { () async throws(RedisError) in
                var command = RedisCommand("XGROUP", "CREATE")
                command.append(key: Array(Self.key(tenant).utf8))
                for word in [Self.group, "0", "MKSTREAM"] { command.append(word) }
                return try await self.client.send(command)
            }
        } catch .refused("BUSYGROUP") {}
    }

    /// Some entries of each tenant's stream, in order; where there are none, it waits for the first.
    ///
    /// - Returns: Entries with the place of their tenant among those that were asked for.
    /// - Throws: `refused("NOGROUP")` where Redis has forgotten a group: nothing was delivered then.
    package func read(
        _ tenants: [(tenant: String, position: Position)],
        count: Int,
        wait: Duration
    ) async throws(SharedCacheError) -> [(index: Int, entries: [Entry])] {
        guard self.client.isDivided else {
            let reading = self.reading(tenants, count: count, wait: wait)
            return try await Self.entries([reading], of: tenants, by: self.client)
        }
        let each = tenants.map { self.reading([$0], count: count, wait: nil) }
        let limit = ContinuousClock.now + wait
        while true {
            let found = try await Self.entries(each, of: tenants, by: self.client)
            if !found.isEmpty || ContinuousClock.now + Self.pause > limit { return found }
            do { try await Task.sleep(for: Self.pause) } catch { throw .timedOut }
        }
    }

    /// - Parameter wait: Nil: the answer comes at once, whatever there is.
    private func reading(
        _ tenants: [(tenant: String, position: Position)],
        count: Int,
        wait: Duration?
    ) -> RedisCommand {
        var command = RedisCommand("XREADGROUP", capacity: 128 + 64 * tenants.count)
        for word in ["GROUP", Self.group, self.consumer, "COUNT", String(count)] { command.append(word) }
        if let wait {
            command.append("BLOCK")
            command.append(String(max(1, Int64(wait / .milliseconds(1)))))
        }
        command.append("STREAMS")
        for (tenant, _) in tenants { command.append(key: Array(Self.key(tenant).utf8)) }
        for (_, position) in tenants {
            switch position {
            case .own(let id): command.append(id)
            case .new: command.append(">")
            }
        }
        return command
    }

    private static func entries(
        _ commands: [RedisCommand],
        of tenants: [(tenant: String, position: Position)],
        by client: any RedisCommands
    ) async throws(SharedCacheError) -> [(index: Int, entries: [Entry])] {
        // Ids are bytes: two that are equal as Strings may be two tenants.
        let keys = tenants.map { Array(Self.key($0.tenant).utf8) }
        return try await RedisSharedCache.mapped { () async throws(RedisError) in
            var found: [(index: Int, entries: [Entry])] = []
            for reply in try await client.pipeline(commands) where !(try reply.checked().isNull) {
                for stream in try reply.array() {
                    let parts = try stream.array()
                    guard parts.count == 2, let key = try parts[0].bytes(), let index = keys.firstIndex(of: key) else {
                        throw .unexpectedReply(expected: "a stream and its entries", found: "something else")
                    }
                    let entries = try parts[1].array().map { entry throws(RedisError) in try Self.entry(entry) }
                    found.append((index, entries))
                }
            }
            return found
        }
    }

    private static func entry(_ reply: RedisReply) throws(RedisError) -> Entry {
        let parts = try reply.array()
        guard parts.count == 2, let id = try parts[0].string() else {
            throw .unexpectedReply(expected: "an entry", found: "something else")
        }
        if parts[1].isNull { return Entry(id: id, event: nil, isDeleted: true) }
        let fields = try parts[1].array()
        for index in stride(from: 0, to: fields.count - 1, by: 2) where try fields[index].bytes() == Self.field {
            return Entry(id: id, event: try fields[index + 1].bytes(), isDeleted: false)
        }
        return Entry(id: id, event: nil, isDeleted: false)
    }

    /// Entries that are stored for good are pending no more.
    package func acknowledge(_ ids: [String], of tenant: String) async throws(SharedCacheError) {
        guard !ids.isEmpty else { return }
        var command = RedisCommand("XACK", capacity: 64 + 24 * ids.count)
        command.append(key: Array(Self.key(tenant).utf8))
        command.append(Self.group)
        for id in ids { command.append(id) }
        let sent = command
        _ = try await RedisSharedCache.mapped { () async throws(RedisError) in try await self.client.send(sent) }
    }

    /// Puts an entry among what was rejected, and acknowledges it, both or neither. One that is not in the stream any more was
    /// taken out of it, and is only acknowledged.
    package func bury(
        _ entry: Entry,
        code: String,
        field: String,
        of tenant: String
    ) async throws(SharedCacheError) {
        let (key, dead) = (Self.key(tenant), self.deadKey(tenant))
        _ = try await RedisSharedCache.mapped { () async throws(RedisError) in
            try await self.client.run(
                Self.buryScript,
                keys: [Array(key.utf8), Array(dead.utf8)],
                arguments: [
                    Array(Self.group.utf8), Array(entry.id.utf8), entry.event ?? [], Array(code.utf8),
                    Array(field.utf8), Array(Self.deadLimit.utf8),
                ]
            )
        }
    }

    /// Takes over what has been pending with any consumer for long: its node is dead, or could not store it.
    ///
    /// - Returns: How many were taken over; none once there are `count`.
    package func claim(idle: Duration, count: Int, of tenant: String) async throws(SharedCacheError) -> Int {
        let milliseconds = String(Int64(idle / .milliseconds(1)))
        var (cursor, claimed) = ("0-0", 0)
        repeat {
            let reply = try await self.send(
                "XAUTOCLAIM",
                tenant,
                Self.group,
                self.consumer,
                milliseconds,
                cursor,
                "COUNT",
                String(count),
                "JUSTID"
            )
            let (next, found) = try await RedisSharedCache.mapped { () async throws(RedisError) in
                let parts = try reply.array()
                guard parts.count >= 2, let next = try parts[0].string() else {
                    throw .unexpectedReply(expected: "a cursor and claimed ids", found: "something else")
                }
                return (next, try parts[1].array().count)
            }
            cursor = next
            claimed += found
        } while cursor != "0-0" && claimed < count
        return claimed
    }

    /// Trims what the group has been given and has acknowledged, and forgets consumers that are gone.
    ///
    /// - Returns: How many entries are pending with all consumers.
    package func tidy(_ tenant: String) async throws(SharedCacheError) -> Int {
        try await RedisSharedCache.mapped { () async throws(RedisError) in
            Int(
                try await self.client.run(
                    Self.tidyScript,
                    keys: [Array(Self.key(tenant).utf8)],
                    arguments: [Self.group, self.consumer, Self.forgottenAfter].map { Array($0.utf8) }
                ).integer()
            )
        }
    }

    private func send(
        _ name: String,
        _ tenant: String,
        _ arguments: String...
    ) async throws(SharedCacheError) -> RedisReply {
        let key = Array(Self.key(tenant).utf8)
        return try await RedisSharedCache.mapped { () async throws(RedisError) in
            try await self.client.send(RedisCommand(name, key: key, arguments: arguments.map { Array($0.utf8) }))
        }
    }

    func deadKey(_ tenant: String) -> String {
        let key = Self.key(tenant)
        return self.client.isDivided ? "{\(key)}:dead" : "\(key):dead"
    }

    /// Percent-encoded as in all keys: no tenant's name reaches the dead of another.
    static func key(_ tenant: String) -> String {
        "vireo:feedback:stream:" + String(decoding: CacheField(parts: [tenant]).bytes, as: UTF8.self)
    }

    /// KEYS: stream, its dead. ARGV: group, id, event, code, field, how many dead are kept.
    private static let buryScript = RedisScript(
        """
        if #redis.call('XRANGE', KEYS[1], ARGV[2], ARGV[2]) > 0 then
            redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[6], '*',
                       'id', ARGV[2], 'event', ARGV[3], 'code', ARGV[4], 'field', ARGV[5])
        end
        return redis.call('XACK', KEYS[1], ARGV[1], ARGV[2])
        """
    )

    /// KEYS: stream. ARGV: group, this consumer, ms of silence. The number of pending entries.
    ///
    /// Nothing is trimmed where somebody else has a group on the stream: what that one has read is not known here. A consumer is
    /// looked at and deleted in one step: one that has got an entry meanwhile would lose it.
    private static let tidyScript = RedisScript(
        """
        local function named(flat)
            local value = {}
            for index = 1, #flat, 2 do value[flat[index]] = flat[index + 1] end
            return value
        end
        local groups = redis.call('XINFO', 'GROUPS', KEYS[1])
        local own
        for _, each in ipairs(groups) do
            local group = named(each)
            if group['name'] == ARGV[1] then own = group end
        end
        if not own then return 0 end
        local pending = redis.call('XPENDING', KEYS[1], ARGV[1])
        if #groups == 1 then
            local lowest = pending[1] > 0 and pending[2] or own['last-delivered-id']
            redis.call('XTRIM', KEYS[1], 'MINID', '~', lowest)
        end
        for _, each in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
            local consumer = named(each)
            if consumer['pending'] == 0 and consumer['idle'] > tonumber(ARGV[3]) and consumer['name'] ~= ARGV[2] then
                redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], consumer['name'])
            end
        end
        return pending[1]
        """
    )
}

import Caching
import Redis

extension RedisFeedbackStream {
    /// Entries of one look.
    private static let page = 500
    /// Copying more in one script would hold up everybody for too long.
    private static let longest = 200_000

    /// Takes entries out of a tenant's stream, and out of what was rejected of it, whatever has become of them.
    ///
    /// Redis only marks a deleted entry while others beside it stay, so the stream is copied without them, with its groups and
    /// what is pending in them, and takes the place of itself in one step.
    ///
    /// - Parameters:
    ///   - end: Milliseconds of Redis time: what was added later stays.
    ///   - isMeant: Whether an entry is one of those, by a value of its fields.
    /// - Returns: From how many of the two keys something was taken.
    /// - Throws: `refused("TOOLONG")` where a stream has more than 200,000 entries.
    func remove(
        from tenant: String,
        addedBy end: Int64,
        where isMeant: ([UInt8]) -> Bool
    ) async throws(SharedCacheError) -> Int {
        var count = 0
        for (key, isDead) in [(Self.key(tenant), false), (self.deadKey(tenant), true)] {
            let gone = try await self.entries(of: key, isDead: isDead, addedBy: end, where: isMeant)
            guard !gone.isEmpty else { continue }
            // In one slot of a cluster, where of a key without braces the whole name counts.
            let copy = self.client.isDivided && !isDead ? "{\(key)}:copy" : "\(key):copy"
            let removed = try await RedisSharedCache.mapped { () async throws(RedisError) in
                let length = RedisCommand("XLEN", key: Array(key.utf8))
                guard try await self.client.send(length).integer() <= Int64(Self.longest) else { return Int64(-1) }
                return try await self.client.run(
                    Self.copyWithout,
                    keys: [Array(key.utf8), Array(copy.utf8)],
                    arguments: gone.map { Array($0.utf8) }
                ).integer()
            }
            guard removed >= 0 else { throw .refused("TOOLONG") }
            if removed > 0 { count += 1 }
        }
        return count
    }

    /// The ids of entries that are meant.
    private func entries(
        of key: String,
        isDead: Bool,
        addedBy end: Int64,
        where isMeant: ([UInt8]) -> Bool
    ) async throws(SharedCacheError) -> [String] {
        var found: [String] = []
        var first = "-"
        while true {
            let command = RedisCommand(
                "XRANGE",
                key: Array(key.utf8),
                arguments: [first, "+", "COUNT", String(Self.page)].map { Array($0.utf8) }
            )
            let page = try await RedisSharedCache.mapped { () async throws(RedisError) in
                try await self.client.send(command).array().map { entry throws(RedisError) in
                    let parts = try entry.array()
                    return (
                        id: try parts.first?.string() ?? "",
                        fields: try parts.last?.array().map { value throws(RedisError) in
                            try value.bytes() ?? []
                        } ?? []
                    )
                }
            }
            for (id, fields) in page where Self.texts(of: fields).contains(where: isMeant) {
                // What was rejected has the id that it had in the stream; without one it is as old as it can be.
                let added = isDead ? String(decoding: Self.value("id", of: fields) ?? [], as: UTF8.self) : id
                if Self.milliseconds(added) <= end { found.append(id) }
            }
            guard page.count == Self.page, let last = page.last else { return found }
            first = "(\(last.id)"
        }
    }

    /// What was sent as an event; where there is none, whatever there is.
    private static func texts(of fields: [[UInt8]]) -> [[UInt8]] {
        if let event = Self.value("event", of: fields) { return [event] }
        return stride(from: 1, to: fields.count, by: 2).map { fields[$0] }
    }

    private static func value(_ name: String, of fields: [[UInt8]]) -> [UInt8]? {
        for index in stride(from: 0, to: fields.count - 1, by: 2) where fields[index].elementsEqual(name.utf8) {
            return fields[index + 1]
        }
        return nil
    }

    /// When an entry was added, in milliseconds of Redis time, by its id.
    package static func milliseconds(_ id: String) -> Int64 {
        Int64(id.prefix { $0 != "-" }) ?? 0
    }

    /// KEYS: stream, its copy. ARGV: ids that are not copied. How many were not.
    ///
    /// Nothing happens to the stream before the copy is whole.
    private static let copyWithout = RedisScript(
        """
        local gone, left, removed = {}, {}, 0
        for _, id in ipairs(ARGV) do gone[id] = true end
        redis.call('UNLINK', KEYS[2])
        if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
        for _, entry in ipairs(redis.call('XRANGE', KEYS[1], '-', '+')) do
            if gone[entry[1]] then
                removed = removed + 1
            else
                left[entry[1]] = true
                redis.call('XADD', KEYS[2], entry[1], unpack(entry[2]))
            end
        end
        if removed == 0 then
            redis.call('UNLINK', KEYS[2])
            return 0
        end
        local function named(flat)
            local value = {}
            for index = 1, #flat, 2 do value[flat[index]] = flat[index + 1] end
            return value
        end
        for _, each in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
            local group = named(each)
            local name = group['name']
            redis.call('XGROUP', 'CREATE', KEYS[2], name, group['last-delivered-id'], 'MKSTREAM')
            if group['pending'] > 0 then
                for _, one in ipairs(redis.call('XPENDING', KEYS[1], name, '-', '+', group['pending'])) do
                    if left[one[1]] then
                        redis.call('XCLAIM', KEYS[2], name, one[2], 0, one[1],
                                   'IDLE', one[3], 'RETRYCOUNT', one[4], 'FORCE', 'JUSTID')
                    end
                end
            end
        end
        if redis.call('EXISTS', KEYS[2]) == 0 then
            redis.call('UNLINK', KEYS[1])
            return removed
        end
        redis.call('XSETID', KEYS[2], named(redis.call('XINFO', 'STREAM', KEYS[1]))['last-generated-id'])
        redis.call('RENAME', KEYS[2], KEYS[1])
        return removed
        """
    )
}

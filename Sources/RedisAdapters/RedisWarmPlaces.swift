package import Caching
package import Redis

/// What nodes leave for those that start: a text of lines `KEY FIELD`, of each node and of the last that left one, kept for an
/// hour. Whatever is no such line is passed over: it loses only work.
package struct RedisWarmPlaces: WarmPlaces {
    /// More was left by somebody else.
    private static let maximumBytes = 4 << 20
    private static let lifetime = "3600"

    private let client: any RedisCommands
    private let namespace: RedisNamespace

    package init(client: any RedisCommands, namespace: RedisNamespace) {
        self.client = client
        self.namespace = namespace
    }

    package func leave(_ places: [CachePlace]) async throws(SharedCacheError) {
        let text = Self.encode(places)
        let lifetime = Array(Self.lifetime.utf8)
        let warmed = self.namespace.warmedKey
        // First who leaves something: what is left can then be found.
        let commands =
            [
                RedisCommand("SADD", key: warmed, arguments: [Array(self.namespace.node.utf8)]),
                RedisCommand("EXPIRE", key: warmed, arguments: [lifetime]),
            ]
            + [self.namespace.node, nil].map { node in
                RedisCommand(
                    "SET",
                    key: self.namespace.warmKey(of: node),
                    arguments: [text, Array("EX".utf8), lifetime]
                )
            }
        try await RedisSharedCache.mapped { () async throws(RedisError) in
            for reply in try await self.client.pipeline(commands) { _ = try reply.checked() }
        }
    }

    package func left() async throws(SharedCacheError) -> [CachePlace] {
        // Places of another incarnation are of no use; the name of theirs is another.
        let commands = [self.namespace.node, nil].map { RedisCommand("MGET", key: self.namespace.warmKey(of: $0)) }
        return try await RedisSharedCache.mapped { () async throws(RedisError) in
            for reply in try await self.client.pipeline(commands) {
                if let text = try reply.checked().array().first?.bytes(), text.count <= Self.maximumBytes {
                    return Self.decode(text)
                }
            }
            return []
        }
    }

    /// Takes an owner's places out of what nodes have left; out of how many texts.
    func remove(_ owner: CacheKey) async throws(SharedCacheError) -> Int {
        let warmed = RedisCommand("SMEMBERS", key: self.namespace.warmedKey)
        return try await RedisSharedCache.mapped { () async throws(RedisError) in
            let nodes = try await self.client.send(warmed).array().map { name throws(RedisError) in try name.string() }
            var count = 0
            for node in [nil] + nodes {
                let key = self.namespace.warmKey(of: node)
                let beginning = owner.bytes + [UInt8(ascii: " ")]
                let removed = try await self.client.run(Self.without, keys: [key], arguments: [beginning])
                count += Int(try removed.integer())
            }
            return count
        }
    }

    /// KEYS: a text. ARGV: how lines begin that are taken out. 1: there was one.
    private static let without = RedisScript(
        """
        if redis.call('TYPE', KEYS[1]).ok ~= 'string' then return 0 end
        local kept, found = {}, 0
        for line in string.gmatch(redis.call('GET', KEYS[1]), '[^\\n]+') do
            if string.sub(line, 1, #ARGV[1]) == ARGV[1] then found = 1 else kept[#kept + 1] = line end
        end
        if found == 1 then
            redis.call('SET', KEYS[1], #kept > 0 and table.concat(kept, '\\n') .. '\\n' or '', 'KEEPTTL')
        end
        return found
        """
    )

    static func encode(_ places: [CachePlace]) -> [UInt8] {
        var text: [UInt8] = []
        for place in places {
            text += place.key.bytes
            text.append(UInt8(ascii: " "))
            text += place.field.bytes
            text.append(UInt8(ascii: "\n"))
        }
        return text
    }

    static func decode(_ text: [UInt8]) -> [CachePlace] {
        text.split(separator: UInt8(ascii: "\n")).compactMap { line in
            let parts = line.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
            guard parts.count == 2, !parts[1].isEmpty else { return nil }
            let key = CacheKey(bytes: Array(parts[0]))
            guard key.parts != nil else { return nil }
            return CachePlace(key: key, field: CacheField(bytes: Array(parts[1])))
        }
    }
}

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
        let commands = [self.namespace.warmKey(ofNode: true), self.namespace.warmKey(ofNode: false)].map { key in
            RedisCommand("SET", key: key, arguments: [text, Array("EX".utf8), Array(Self.lifetime.utf8)])
        }
        try await RedisSharedCache.mapped { () async throws(RedisError) in
            for reply in try await self.client.pipeline(commands) { _ = try reply.checked() }
        }
    }

    package func left() async throws(SharedCacheError) -> [CachePlace] {
        // Places of another incarnation are of no use; the name of theirs is another.
        let commands = [true, false].map { RedisCommand("MGET", key: self.namespace.warmKey(ofNode: $0)) }
        return try await RedisSharedCache.mapped { () async throws(RedisError) in
            for reply in try await self.client.pipeline(commands) {
                if let text = try reply.checked().array().first?.bytes(), text.count <= Self.maximumBytes {
                    return Self.decode(text)
                }
            }
            return []
        }
    }

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

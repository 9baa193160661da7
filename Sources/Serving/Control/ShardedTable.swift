/// A dictionary whose copies share what was not changed: a change copies one of 256 shards.
struct ShardedTable<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    private var shards = [[Key: Value]](repeating: [:], count: 256)

    subscript(_ key: Key) -> Value? {
        get { self.shards[Self.shard(of: key)][key] }
        set { self.shards[Self.shard(of: key)][key] = newValue }
    }

    private static func shard(of key: Key) -> Int { key.hashValue & 255 }
}

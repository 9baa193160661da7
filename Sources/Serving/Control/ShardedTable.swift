/// A dictionary whose copies share what was not changed: a change copies one of 256 shards.
struct ShardedTable<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    private var shards = [[Key: Value]](repeating: [:], count: 256)

    subscript(_ key: Key) -> Value? {
        get { self.shards[Self.shard(of: key)][key] }
        set { self.shards[Self.shard(of: key)][key] = newValue }
    }

    /// Sets a value, nil to remove it; the one before.
    mutating func exchange(_ key: Key, for value: Value?) -> Value? {
        let shard = Self.shard(of: key)
        guard let value else {
            // Of what is not there no shard is copied.
            return self.shards[shard][key] == nil ? nil : self.shards[shard].removeValue(forKey: key)
        }
        return self.shards[shard].updateValue(value, forKey: key)
    }

    /// Every key, in no order.
    func forEachKey(_ body: (Key) -> Void) {
        for shard in self.shards { for key in shard.keys { body(key) } }
    }

    private static func shard(of key: Key) -> Int { key.hashValue & 255 }
}

/// What L2 holds under one key, whatever it is.
public struct SharedContents: Sendable {
    /// The lowest version that may be served; nil: unknown.
    public let floor: Int64?
    /// Every other field but the compute lease, with its bytes.
    public let fields: [(field: CacheField, bytes: [UInt8])]

    /// Contents of these parts.
    public init(floor: Int64?, fields: [(field: CacheField, bytes: [UInt8])]) {
        self.floor = floor
        self.fields = fields
    }
}

/// Looks into L2, for people. Serving does not read whole hashes.
public protocol SharedCacheInspection: Sendable {
    /// Everything under a key.
    func contents(of key: CacheKey) async throws(SharedCacheError) -> SharedContents
}

/// One entry of a key as a tier holds it.
public struct InspectedEntry: Sendable {
    /// L1 of this node, or L2.
    public let tier: CacheTier
    /// Its name.
    public let field: CacheField
    /// Bytes of the value; in L2 with its header.
    public let bytes: Int
    /// nil: what L2 holds is not an entry of this key and field.
    public let entry: CacheEntry?

    /// An entry of these parts.
    public init(tier: CacheTier, field: CacheField, bytes: Int, entry: CacheEntry?) {
        self.tier = tier
        self.field = field
        self.bytes = bytes
        self.entry = entry
    }
}

/// What both tiers hold under a key.
public struct InspectedKey: Sendable {
    /// L2's floor; nil: it has none, or it could not be asked.
    public let floor: Int64?
    /// Whether L2 could be asked.
    public let hasAskedShared: Bool
    /// L1's first.
    public let entries: [InspectedEntry]

    /// A key's contents.
    public init(floor: Int64?, hasAskedShared: Bool, entries: [InspectedEntry]) {
        self.floor = floor
        self.hasAskedShared = hasAskedShared
        self.entries = entries
    }
}

extension CoherenceKeeper {
    /// What L1 of this node and L2 hold under a key. It changes nothing: no entry is promoted, and none counts as used.
    public func inspect(_ key: CacheKey, in shared: any SharedCacheInspection) async -> InspectedKey {
        let local = self.local.hits(of: key).map { field, hit in
            InspectedEntry(tier: .local, field: field, bytes: hit.entry.payload.count, entry: hit.entry)
        }
        do {
            let contents = try await shared.contents(of: key)
            let entries = contents.fields.map { field, bytes in
                InspectedEntry(
                    tier: .shared,
                    field: field,
                    bytes: bytes.count,
                    entry: try? CacheEntry(decoding: bytes, key: key, field: field)
                )
            }
            return InspectedKey(floor: contents.floor, hasAskedShared: true, entries: local + entries)
        } catch {
            return InspectedKey(floor: nil, hasAskedShared: false, entries: local)
        }
    }
}

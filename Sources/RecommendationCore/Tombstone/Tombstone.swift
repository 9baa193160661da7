/// A deny entry that outlives what it names.
public struct Tombstone: Sendable, Hashable {
    /// What a tombstone can name.
    public enum Kind: String, CaseIterable, Sendable {
        case item, creator, category, campaign
    }

    /// The kind of thing.
    public let kind: Kind
    /// Its id, compared by bytes.
    public let key: Identifier<Tombstone>

    /// A tombstone of a kind and a key.
    public init(kind: Kind, key: Identifier<Tombstone>) {
        self.kind = kind
        self.key = key
    }
}

/// A tombstone as it is listed.
public struct ListedTombstone: Sendable, Equatable {
    /// What is denied.
    public let tombstone: Tombstone
    /// Why, for people.
    public let reason: String?
    /// It denies until then; nil: for good.
    public let expiresAt: Timestamp?
    /// The control log id that set it.
    public let epoch: Int64
    /// When it was first set.
    public let createdAt: Timestamp

    /// A tombstone of these parts.
    public init(
        tombstone: Tombstone,
        reason: String?,
        expiresAt: Timestamp?,
        epoch: Int64,
        createdAt: Timestamp
    ) {
        self.tombstone = tombstone
        self.reason = reason
        self.expiresAt = expiresAt
        self.epoch = epoch
        self.createdAt = createdAt
    }
}

/// A place in the list of tombstones: by the change that set it, then by kind and key, all descending.
public struct TombstonePlace: Sendable, Equatable {
    /// The control log id that set it.
    public let epoch: Int64
    /// The tombstone at that place.
    public let tombstone: Tombstone

    /// The place of a tombstone that a change has set.
    public init(epoch: Int64, tombstone: Tombstone) {
        self.epoch = epoch
        self.tombstone = tombstone
    }
}

/// What a change made of one thing.
public struct TombstoneChange: Sendable, Equatable {
    /// The thing.
    public let tombstone: Tombstone
    /// Until when it is denied, ``Timestamp/never`` for good; nil: it is not denied any more.
    public let deniedUntil: Timestamp?

    /// A change of these parts.
    public init(_ tombstone: Tombstone, deniedUntil: Timestamp?) {
        self.tombstone = tombstone
        self.deniedUntil = deniedUntil
    }
}

/// What changed of a tenant's tombstones.
public struct TombstoneDelta: Sendable, Equatable {
    /// Whether it is all that is denied, and nothing that was denied before counts.
    public let isWhole: Bool
    /// In the order of the control log: of what comes twice the last counts.
    public let changes: [TombstoneChange]

    /// A delta of these parts.
    public init(isWhole: Bool, changes: [TombstoneChange]) {
        self.isWhole = isWhole
        self.changes = changes
    }
}

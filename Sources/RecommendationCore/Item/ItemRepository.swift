/// An item as the store has it.
public struct StoredItem: Sendable, Equatable {
    /// The item.
    public let item: Item
    /// Its last change.
    public let revision: Item.Revision
    /// When it was first stored.
    public let createdAt: Timestamp

    /// A stored item of these parts.
    public init(item: Item, revision: Item.Revision, createdAt: Timestamp) {
        self.item = item
        self.revision = revision
        self.createdAt = createdAt
    }
}

/// The state that an item must be in for a write to happen.
public enum ItemCondition: Sendable, Equatable {
    /// Any.
    case none
    /// There is no such item yet.
    case absent
    /// There is one.
    case present
    /// It is at one of these revisions.
    case revision([Item.Revision])

    /// Whether an item at a revision is in that state; nil: there is no item.
    public func holds(at revision: Item.Revision?) -> Bool {
        switch self {
        case .none: true
        case .absent: revision == nil
        case .present: revision != nil
        case .revision(let revisions): revision.map(revisions.contains) ?? false
        }
    }
}

/// What became of a write of an item.
public enum ItemWrite: Sendable, Equatable {
    /// The item is as it was asked for, at this revision; `created`: it was not there before. One that was already so keeps
    /// its revision.
    case stored(revision: Item.Revision, created: Bool)
    /// It is not in the state the condition names; nothing was written.
    case conditionFailed
    /// There is no such item, and the write does not make one.
    case unknown
    /// The item would not be one; nothing was written.
    case invalid([ItemViolation])
}

/// What became of the deletion of an item.
public enum ItemDeletion: Sendable, Equatable {
    /// The row is gone and the id is tombstoned, by this row of the control log.
    case deleted(epoch: Int64)
    case conditionFailed
    case unknown
}

/// The catalogue, item by item. Numbers are the store's business: an item gets one when it is created, and keeps it.
public protocol ItemRepository: Sendable {
    /// Makes an item or replaces it whole.
    ///
    /// A tombstone of the id stays: an item that is made again after its deletion is denied until the tombstone is taken away.
    func put(_ item: Item, if condition: ItemCondition, tenant: Tenant.ID) async throws(RepositoryError) -> ItemWrite
    /// Changes some fields of an item that is there.
    func patch(
        _ id: Item.ID,
        _ patch: ItemPatch,
        if condition: ItemCondition,
        tenant: Tenant.ID
    ) async throws(RepositoryError) -> ItemWrite
    /// Deletes the row and writes the tombstone in one transaction; the number is never used again.
    func delete(
        _ id: Item.ID,
        if condition: ItemCondition,
        tenant: Tenant.ID
    ) async throws(RepositoryError) -> ItemDeletion
    /// One item; nil: there is none.
    func item(_ id: Item.ID, tenant: Tenant.ID) async throws(RepositoryError) -> StoredItem?
    /// Items in order of the bytes of their ids, after one of them.
    func items(after id: Item.ID?, limit: Int, tenant: Tenant.ID) async throws(RepositoryError) -> [StoredItem]
}

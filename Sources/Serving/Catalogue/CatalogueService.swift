package import Caching
package import RecommendationCore

/// The answer to a write of an item.
package enum ItemAnswer: Sendable, Equatable {
    /// Not propagated: the write is durable, and nodes hear of it by their own reads, within the control interval and a
    /// lease.
    case stored(revision: Item.Revision, created: Bool, Announcement)
    case conditionFailed
    case unknown
    case invalid([ItemViolation])
}

/// The answer to the deletion of an item.
package enum ItemDeletionAnswer: Sendable, Equatable {
    case deleted(epoch: Int64, Announcement)
    case conditionFailed
    case unknown
}

/// Some items, and where the next begin.
package struct ItemPage: Sendable, Equatable {
    package let items: [StoredItem]
    /// nil: there are no more.
    package let nextCursor: String?

    package init(items: [StoredItem], nextCursor: String?) {
        self.items = items
        self.nextCursor = nextCursor
    }
}

/// The catalogue: committed, applied here, announced, and then answered, as a change of the control state is.
package struct CatalogueService: Sendable {
    private let items: any ItemRepository
    private let invalidator: Invalidator
    private let selfCheck: SelfCheck?

    /// - Parameter selfCheck: Hears of deletions that were announced; nil: nobody does.
    package init(items: any ItemRepository, invalidator: Invalidator, selfCheck: SelfCheck? = nil) {
        self.items = items
        self.invalidator = invalidator
        self.selfCheck = selfCheck
    }

    package func put(
        _ item: Item,
        if condition: ItemCondition,
        tenant: Tenant.ID
    ) async throws(ServingError) -> ItemAnswer {
        await self.announced(
            try await AdminService.mapped { () async throws(RepositoryError) in
                try await self.items.put(item, if: condition, tenant: tenant)
            }
        )
    }

    package func patch(
        _ id: Item.ID,
        _ patch: ItemPatch,
        if condition: ItemCondition,
        tenant: Tenant.ID
    ) async throws(ServingError) -> ItemAnswer {
        await self.announced(
            try await AdminService.mapped { () async throws(RepositoryError) in
                try await self.items.patch(id, patch, if: condition, tenant: tenant)
            }
        )
    }

    package func delete(
        _ id: Item.ID,
        if condition: ItemCondition,
        tenant: Tenant.ID
    ) async throws(ServingError) -> ItemDeletionAnswer {
        let deletion = try await AdminService.mapped { () async throws(RepositoryError) in
            try await self.items.delete(id, if: condition, tenant: tenant)
        }
        switch deletion {
        case .deleted(let epoch):
            let announcement = await self.invalidator.announce(epoch: epoch)
            let tombstone = Tombstone(kind: .item, key: Identifier(trusted: id.string))
            self.selfCheck?.denied([tombstone], of: tenant, announcement)
            return .deleted(epoch: epoch, announcement)
        case .conditionFailed: return .conditionFailed
        case .unknown: return .unknown
        }
    }

    package func item(_ id: Item.ID, tenant: Tenant.ID) async throws(ServingError) -> StoredItem? {
        try await AdminService.reading { () async throws(RepositoryError) in
            try await self.items.item(id, tenant: tenant)
        }
    }

    /// Items in order of the bytes of their ids. What is added or deleted meanwhile is in the list or not; what is there all
    /// along is in it once.
    ///
    /// - Returns: nil where the cursor is none.
    package func items(cursor: String?, limit: Int, tenant: Tenant.ID) async throws(ServingError) -> ItemPage? {
        var last: Item.ID?
        if let cursor {
            guard let id = ItemCursor.id(of: cursor) else { return nil }
            last = id
        }
        let after = last
        // One more tells whether there are more.
        let found = try await AdminService.reading { () async throws(RepositoryError) in
            try await self.items.items(after: after, limit: limit + 1, tenant: tenant)
        }
        let items = Array(found.prefix(limit))
        let next = found.count > limit ? items.last.map { ItemCursor.text(after: $0.item.id) } : nil
        return ItemPage(items: items, nextCursor: next)
    }

    /// A write that did what was asked is announced even where it changed nothing: the one before may have died on its way.
    private func announced(_ write: ItemWrite) async -> ItemAnswer {
        switch write {
        case .stored(let revision, let created):
            // Rows of items are not in the control log: there is no id that nodes could confirm.
            return .stored(revision: revision, created: created, await self.invalidator.announce(epoch: nil))
        case .conditionFailed: return .conditionFailed
        case .unknown: return .unknown
        case .invalid(let violations): return .invalid(violations)
        }
    }
}

/// Where a page of items begins: after an id. Opaque, and without a signature: it says nothing that its bearer may not ask.
package enum ItemCursor {
    private static let prefix = "i1."

    package static func text(after id: Item.ID) -> String { Self.prefix + Base64URL.encode(Array(id.string.utf8)) }

    /// The id in a cursor; nil for any other text.
    package static func id(of text: String) -> Item.ID? {
        guard text.utf8.starts(with: Self.prefix.utf8),
            let bytes = Base64URL.decode(Substring(text.utf8.dropFirst(Self.prefix.utf8.count))),
            let string = String(validating: bytes, as: UTF8.self)
        else { return nil }
        return try? Item.ID(validating: string)
    }
}

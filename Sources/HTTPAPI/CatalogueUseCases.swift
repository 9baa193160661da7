package import RecommendationCore
package import Serving

/// What the API can be asked for of items and users.
package struct CatalogueUseCases: Sendable {
    package var putItem: @Sendable (Item, ItemCondition, Tenant.ID) async throws(ServingError) -> ItemAnswer
    package var patchItem:
        @Sendable (Item.ID, ItemPatch, ItemCondition, Tenant.ID) async throws(ServingError) -> ItemAnswer
    package var deleteItem:
        @Sendable (Item.ID, ItemCondition, Tenant.ID) async throws(ServingError) -> ItemDeletionAnswer
    package var item: @Sendable (Item.ID, Tenant.ID) async throws(ServingError) -> StoredItem?
    /// Cursor, limit, tenant; nil: the cursor is none.
    package var items: @Sendable (String?, Int, Tenant.ID) async throws(ServingError) -> ItemPage?
    package var user: @Sendable (User.ID, Tenant.ID) async throws(ServingError) -> StoredUser?
    package var changeUser: @Sendable (UserChange, User.ID, Tenant.ID) async throws(ServingError) -> UserAnswer
    package var cacheEntries: @Sendable (User.ID, Tenant.ID) async -> InspectedUser

    package init(
        putItem: @escaping @Sendable (Item, ItemCondition, Tenant.ID) async throws(ServingError) -> ItemAnswer,
        patchItem:
            @escaping @Sendable (Item.ID, ItemPatch, ItemCondition, Tenant.ID) async throws(ServingError) -> ItemAnswer,
        deleteItem:
            @escaping @Sendable (Item.ID, ItemCondition, Tenant.ID) async throws(ServingError) -> ItemDeletionAnswer,
        item: @escaping @Sendable (Item.ID, Tenant.ID) async throws(ServingError) -> StoredItem?,
        items: @escaping @Sendable (String?, Int, Tenant.ID) async throws(ServingError) -> ItemPage?,
        user: @escaping @Sendable (User.ID, Tenant.ID) async throws(ServingError) -> StoredUser?,
        changeUser: @escaping @Sendable (UserChange, User.ID, Tenant.ID) async throws(ServingError) -> UserAnswer,
        cacheEntries: @escaping @Sendable (User.ID, Tenant.ID) async -> InspectedUser
    ) {
        self.putItem = putItem
        self.patchItem = patchItem
        self.deleteItem = deleteItem
        self.item = item
        self.items = items
        self.user = user
        self.changeUser = changeUser
        self.cacheEntries = cacheEntries
    }
}

import HTTPAPI
import RecommendationCore
import Serving

extension CatalogueUseCases {
    /// The use cases of a node's services.
    init(items: CatalogueService, profiles: ProfileService, inspector: CacheInspector) {
        self.init(
            putItem: { item, condition, tenant async throws(ServingError) in
                try await items.put(item, if: condition, tenant: tenant)
            },
            patchItem: { id, patch, condition, tenant async throws(ServingError) in
                try await items.patch(id, patch, if: condition, tenant: tenant)
            },
            deleteItem: { id, condition, tenant async throws(ServingError) in
                try await items.delete(id, if: condition, tenant: tenant)
            },
            item: { id, tenant async throws(ServingError) in try await items.item(id, tenant: tenant) },
            items: { cursor, limit, tenant async throws(ServingError) in
                try await items.items(cursor: cursor, limit: limit, tenant: tenant)
            },
            user: { user, tenant async throws(ServingError) in try await profiles.user(user, tenant: tenant) },
            changeUser: { change, user, tenant async throws(ServingError) in
                try await profiles.apply(change, to: user, tenant: tenant)
            },
            cacheEntries: { user, tenant in await inspector.entries(of: user, tenant: tenant) }
        )
    }
}

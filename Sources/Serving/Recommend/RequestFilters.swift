import Crypto
package import RecommendationCore

/// A category of items, by its name.
package enum ItemCategory {
    package typealias ID = Identifier<ItemCategory>
}

/// A region that items can be limited to, by its name.
package enum ItemRegion {
    package typealias ID = Identifier<ItemRegion>
}

/// What a caller wants its answer to hold, beyond what policy and control state say.
///
/// Category filters draw from a pool of their own, so that a rare category fills a slate; the others act in the final stage, on
/// the pool that there is.
package struct RequestFilters: Sendable, Hashable {
    /// The most categories a request may name, of those wanted and of those not.
    package static let maximumCategories = 20
    /// The most items a request may exclude.
    package static let maximumItems = 100

    /// Items of any of these; empty: of all.
    package var categories: [ItemCategory.ID] = []
    /// No items of any of these.
    package var excludedCategories: [ItemCategory.ID] = []
    /// None of these.
    package var excludedItems: [Item.ID] = []
    /// Whether items the user has had are left out; nil: as the policy says.
    package var excludesSeen: Bool?
    /// Items that may be shown there; an item without regions may be shown everywhere.
    package var region: ItemRegion.ID?
    /// Items in that language; an item without one is in all.
    package var locale: LanguageTag?

    package init() {}

    package static let none = RequestFilters()

    /// Whether anything is asked for that the final stage must look at.
    package var isNone: Bool { self == .none }

    /// Whether items the user has had are asked for, which the policy shows nobody who does not ask.
    func asksForSeen(of policy: Policy) -> Bool { policy.seenFilter && self.excludesSeen == false }

    /// The part of a cache field that tells pools apart: empty where neither a category is named nor items the user has had are
    /// asked for. It moves with the members of the categories, so that an item that comes into one is not missed by a pool from
    /// before.
    func poolDigest(in catalog: Catalog, policy: Policy) -> String {
        let asksForSeen = self.asksForSeen(of: policy)
        guard !self.categories.isEmpty || !self.excludedCategories.isEmpty || asksForSeen else { return "" }
        var hash = SHA256()
        for list in [self.categories, self.excludedCategories] {
            for category in Set(list).sorted() {
                hash.update(data: [UInt8(category.string.utf8.count)])
                hash.update(data: Array(category.string.utf8))
                let members = catalog.categories.digest(of: category.string).littleEndian
                withUnsafeBytes(of: members) { hash.update(bufferPointer: $0) }
            }
            // No name is of this length.
            hash.update(data: [UInt8.max])
        }
        if asksForSeen { hash.update(data: [1]) }
        return Base64URL.encode(Array(hash.finalize().prefix(16)))
    }
}

import RecommendationCore

/// The filters of one request as the final stage asks them of one candidate after the other.
struct SlateFilter {
    static let none = SlateFilter()

    /// Whether it lets everything pass.
    let isNone: Bool
    /// As ``RequestFilters/excludesSeen``: the order of a pool depends on it, no single candidate does.
    let excludesSeen: Bool?
    private var categories: Set<ItemCategory.ID> = []
    private var excludedCategories: Set<ItemCategory.ID> = []
    private var excludedItems: Set<Item.Number> = []
    private(set) var region: ItemRegion.ID?
    private(set) var locale: LanguageTag?
    /// What of items under frequency caps is let through; no part of ``isNone``.
    var gate = CapGate.none

    private init() {
        self.isNone = true
        self.excludesSeen = nil
    }

    init(_ filters: RequestFilters, catalog: Catalog) {
        self.categories = Set(filters.categories)
        self.excludedCategories = Set(filters.excludedCategories)
        // What the catalogue does not know is in no answer anyway.
        self.excludedItems = Set(filters.excludedItems.compactMap { catalog.number(of: $0) })
        self.region = filters.region
        self.locale = filters.locale
        self.excludesSeen = filters.excludesSeen
        self.isNone =
            self.categories.isEmpty && self.excludedCategories.isEmpty && self.excludedItems.isEmpty
            && self.region == nil && self.locale == nil
    }

    /// Whether an item is what was asked for, as the catalogue describes it now.
    func admits(_ number: Item.Number, _ record: Catalog.Record) -> Bool {
        if self.isNone { return true }
        if self.excludedItems.contains(number) { return false }
        if !self.categories.isEmpty || !self.excludedCategories.isEmpty {
            let own = record.categories.lazy.map { ItemCategory.ID(trusted: $0) }
            if own.contains(where: { self.excludedCategories.contains($0) }) { return false }
            if !self.categories.isEmpty, !own.contains(where: { self.categories.contains($0) }) { return false }
        }
        if let region, !record.regions.isEmpty,
            !record.regions.contains(where: { ItemRegion.ID(trusted: $0) == region })
        {
            return false
        }
        if let locale { return record.languages.allSatisfy { $0.goes(with: locale) } }
        return true
    }

    /// Whether diversity counts an item's first category: not where that is what was asked for.
    func counts(_ record: Catalog.Record) -> Bool {
        guard !self.categories.isEmpty, let first = record.categories.first else { return true }
        return !self.categories.contains(ItemCategory.ID(trusted: first))
    }
}

extension Catalog {
    /// What a pool that is drawn by category leaves out, beyond what every pool leaves out: a bit by item number.
    func excluded(by filters: RequestFilters, of base: Bitmap, itemCount: Int) -> Bitmap {
        var excluded = base
        if !filters.categories.isEmpty {
            var wanted = Bitmap()
            for category in filters.categories {
                for number in self.categories.members(of: category.string) { wanted[Int(number)] = true }
            }
            for number in 0..<max(self.count, itemCount) where !wanted[number] { excluded[number] = true }
        }
        for category in filters.excludedCategories {
            for number in self.categories.members(of: category.string) { excluded[Int(number)] = true }
        }
        return excluded
    }
}

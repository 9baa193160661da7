package import RecommendationCore
import RecommendationEngine

/// The items of a tenant as arrays by item number: what the final stage looks up for every candidate.
///
/// It is a value that is replaced, never changed: a copy shares everything, and a change of one item copies one chunk of each
/// array (``Chunked``), whatever the size of the catalogue.
package struct Catalog: Sendable {
    /// What serving keeps of one item.
    package struct Record: Sendable, Equatable {
        package let id: Item.ID
        package let title: String
        package let categories: [String]
        package let creator: String?
        package let campaigns: [String]
        package let availableFrom: Timestamp?
        package let availableUntil: Timestamp?
        package let isOffered: Bool
        /// Where it may be shown; empty: everywhere.
        package let regions: [String]
        /// The languages it is in, by its labels `lang` and `locale`; empty: all.
        package let languages: [LanguageTag]
        /// What else a client tells of it.
        private let labels: [String: String]
        package let price: Double?
        /// When it came into the catalogue.
        package let createdAt: Timestamp

        init(_ numbered: NumberedItem) {
            let item = numbered.item
            self.id = item.id
            self.title = item.title
            self.categories = item.categories
            self.creator = item.creator
            self.campaigns = item.campaigns
            self.availableFrom = item.availableFrom
            self.availableUntil = item.availableUntil
            self.isOffered = item.inStock && !item.hidden
            self.regions = item.regions
            self.languages = ["lang", "locale"].compactMap { item.labels[$0].map(LanguageTag.init(label:)) }
            self.labels = item.labels
            self.price = item.price
            self.createdAt = numbered.createdAt
        }

        /// The value of a label.
        func label(_ name: String) -> String? { self.labels[name] }

        /// Whether two records have the same bytes; `String` takes composed and decomposed text for equal.
        package static func == (lhs: Self, rhs: Self) -> Bool {
            func isSame(_ a: String, _ b: String) -> Bool { a.utf8.elementsEqual(b.utf8) }
            return lhs.id == rhs.id && lhs.isOffered == rhs.isOffered && lhs.availableFrom == rhs.availableFrom
                && lhs.availableUntil == rhs.availableUntil && isSame(lhs.title, rhs.title)
                && lhs.categories.elementsEqual(rhs.categories, by: isSame)
                && lhs.campaigns.elementsEqual(rhs.campaigns, by: isSame)
                && (lhs.creator ?? "").utf8.elementsEqual((rhs.creator ?? "").utf8)
                && (lhs.creator == nil) == (rhs.creator == nil)
                && lhs.regions.elementsEqual(rhs.regions, by: isSame) && lhs.languages == rhs.languages
                && lhs.price == rhs.price && lhs.labels.count == rhs.labels.count
                && lhs.labels.allSatisfy { name, value in rhs.labels[name].map { isSame($0, value) } ?? false }
        }
    }

    /// A record by number; nil where a number has no item.
    private(set) var records = Chunked<Record?>()
    /// The index of the first category by number; the largest value: none. Diversity counts these.
    private var firstCategories = Chunked<UInt32>()
    /// The index of the creator by number; the largest value: none.
    private var creatorIndices = Chunked<UInt32>()
    /// Items that are hidden or out of stock, or do not exist.
    private(set) var withheld = Bitmap()
    /// Items with a window; few, and looked at when serving.
    private(set) var windowed = Bitmap()
    private(set) var categories = ItemGroups()
    private(set) var creators = ItemGroups()
    private(set) var campaigns = ItemGroups()
    private var revisions = Chunked<Item.Revision>()
    private var numbers = ShardedTable<Item.ID, Item.Number>()
    /// Of all items with their revisions, in no order: the same on every node that has the same items, and another wherever
    /// an item was changed, added or deleted.
    package private(set) var digest: UInt64 = 0
    /// Ids and titles as answers hold them.
    package private(set) var texts = ItemTexts()

    private static let noCategory = Diversity.noCategory

    package init() {}

    /// One more than the highest number.
    package var count: Int { self.records.count }

    package func number(of id: Item.ID) -> Item.Number? { self.numbers[id] }

    package subscript(_ number: Item.Number) -> Record? {
        Int(number) < self.records.count ? self.records[Int(number)] : nil
    }

    func firstCategory(_ number: Item.Number) -> UInt32? {
        let category = self.category(of: number)
        return category == Self.noCategory ? nil : category
    }

    /// The index of an item's first category, as diversity takes it.
    func category(of number: Item.Number) -> UInt32 {
        Int(number) < self.firstCategories.count ? self.firstCategories[Int(number)] : Self.noCategory
    }

    /// The index of an item's creator, as diversity takes it.
    func creator(of number: Item.Number) -> UInt32 {
        Int(number) < self.creatorIndices.count ? self.creatorIndices[Int(number)] : Self.noCategory
    }

    /// What makes an item like others: its categories and its creator, in order.
    func features(of number: Item.Number) -> [UInt64] {
        let creator = self.creator(of: number)
        let categories = self.categoryIndices(of: number).map(UInt64.init).sorted()
        return creator == Self.noCategory ? categories : categories + [1 << 32 | UInt64(creator)]
    }

    /// The indices of an item's categories, each once; none where the number has no item.
    func categoryIndices(of number: Item.Number) -> [UInt32] {
        var indices: [UInt32] = []
        for name in self[number]?.categories ?? [] {
            guard let index = self.categories.knownIndex(name), !indices.contains(index) else { continue }
            indices.append(index)
        }
        return indices
    }

    /// Whether an item may be shown at a moment.
    func isAvailable(_ number: Item.Number, at now: Timestamp) -> Bool {
        guard Int(number) < self.records.count, !self.withheld[Int(number)] else { return false }
        guard self.windowed[Int(number)], let record = self.records[Int(number)] else { return true }
        if let from = record.availableFrom, now < from { return false }
        if let until = record.availableUntil, now >= until { return false }
        return true
    }

    /// The items that suppressions take out, by number, as the catalogue is now.
    package func suppressed(by suppressions: [Suppression]) -> Bitmap {
        var bitmap = Bitmap()
        for suppression in suppressions {
            let key = suppression.key.string
            switch suppression.kind {
            case .item:
                if let number = self.numbers[Item.ID(trusted: key)] { bitmap[Int(number)] = true }
            case .category: for number in self.categories.members(of: key) { bitmap[Int(number)] = true }
            case .creator: for number in self.creators.members(of: key) { bitmap[Int(number)] = true }
            }
        }
        return bitmap
    }

    /// Whether there is an item of a number.
    func holds(_ number: Item.Number) -> Bool {
        // Nearly every item has a text, and a look at it copies no record.
        self.texts[number] != nil || (Int(number) < self.records.count && self.records[Int(number)] != nil)
    }

    /// Whether the catalogue already holds an item as it is.
    func holds(_ numbered: NumberedItem) -> Bool {
        guard let record = self[numbered.number] else { return false }
        guard self.revisions[Int(numbered.number)] == numbered.revision else { return false }
        return numbered.revision != 0 || record == Record(numbered)
    }

    /// Adds items or replaces those of the same number.
    package mutating func update(_ items: some Sequence<NumberedItem>) {
        var touched: [Item.Number] = []
        for numbered in items {
            touched.append(numbered.number)
            let number = Int(numbered.number)
            let item = numbered.item
            while self.records.count <= number {
                self.withheld[self.records.count] = true
                self.records.append(nil)
                self.firstCategories.append(Self.noCategory)
                self.creatorIndices.append(Self.noCategory)
                self.revisions.append(0)
            }
            self.replace(numbered.number, by: Record(numbered), revision: numbered.revision)
            self.firstCategories[number] = item.categories.first.map { self.categories.index($0) } ?? Self.noCategory
            self.creatorIndices[number] = item.creator.map { self.creators.index($0) } ?? Self.noCategory
            self.withheld[number] = !(item.inStock && !item.hidden)
            self.windowed[number] = item.availableFrom != nil || item.availableUntil != nil
            self.numbers[item.id] = numbered.number
        }
        self.texts.update(touched, of: self.records)
    }

    /// Takes items away that are deleted; a number that has no item is passed over.
    package mutating func remove(_ numbers: some Sequence<Item.Number>) {
        for number in numbers {
            guard let record = self[number] else { continue }
            self.replace(number, by: nil, revision: 0)
            self.firstCategories[Int(number)] = Self.noCategory
            self.creatorIndices[Int(number)] = Self.noCategory
            self.withheld[Int(number)] = true
            self.windowed[Int(number)] = false
            // The id may belong to an item that was made anew under another number.
            if self.numbers[record.id] == number { self.numbers[record.id] = nil }
        }
        self.texts.update(numbers, of: self.records)
    }

    private mutating func replace(_ number: Item.Number, by new: Record?, revision: Item.Revision) {
        let old = self.records[Int(number)]
        if old != nil { self.digest &-= Self.mark(number, self.revisions[Int(number)]) }
        if new != nil { self.digest &+= Self.mark(number, revision) }
        self.categories.move(number, from: old?.categories ?? [], to: new?.categories ?? [])
        self.campaigns.move(number, from: old?.campaigns ?? [], to: new?.campaigns ?? [])
        self.creators.move(number, from: old?.creator.map { [$0] } ?? [], to: new?.creator.map { [$0] } ?? [])
        self.records[Int(number)] = new
        self.revisions[Int(number)] = revision
    }

    private static func mark(_ number: Item.Number, _ revision: Item.Revision) -> UInt64 {
        (UInt64(number) &* SplitMix64.step &+ UInt64(bitPattern: revision) &+ SplitMix64.step).mixed
    }
}

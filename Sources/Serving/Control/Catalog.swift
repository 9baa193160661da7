package import RecommendationCore

/// The items of a tenant as arrays by item number: what the final stage looks up for every candidate.
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

        init(_ item: Item) {
            self.id = item.id
            self.title = item.title
            self.categories = item.categories
            self.creator = item.creator
            self.campaigns = item.campaigns
            self.availableFrom = item.availableFrom
            self.availableUntil = item.availableUntil
            self.isOffered = item.inStock && !item.hidden
        }
    }

    /// A record by number; nil where a number has no item.
    private(set) var records: [Record?] = []
    /// The index of the first category by number; the largest value: none. Diversity counts these.
    private var firstCategories: [UInt32] = []
    /// Items that are hidden or out of stock, or do not exist.
    private(set) var withheld = Bitmap()
    /// Items with a window; few, and looked at when serving.
    private(set) var windowed = Bitmap()
    private var numbers: [Item.ID: Item.Number] = [:]
    private var categoryIndices: [String: UInt32] = [:]

    private static let noCategory = UInt32.max

    package init() {}

    /// One more than the highest number.
    package var count: Int { self.records.count }

    package func number(of id: Item.ID) -> Item.Number? { self.numbers[id] }

    package subscript(_ number: Item.Number) -> Record? {
        Int(number) < self.records.count ? self.records[Int(number)] : nil
    }

    func firstCategory(_ number: Item.Number) -> UInt32? {
        guard Int(number) < self.firstCategories.count else { return nil }
        let category = self.firstCategories[Int(number)]
        return category == Self.noCategory ? nil : category
    }

    /// Whether an item may be shown at a moment.
    func isAvailable(_ number: Item.Number, at now: Timestamp) -> Bool {
        guard Int(number) < self.records.count, !self.withheld[Int(number)] else { return false }
        guard self.windowed[Int(number)], let record = self.records[Int(number)] else { return true }
        if let from = record.availableFrom, now < from { return false }
        if let until = record.availableUntil, now >= until { return false }
        return true
    }

    /// Whether the catalogue already holds an item as it is.
    func holds(_ numbered: NumberedItem) -> Bool {
        guard let record = self[numbered.number] else { return false }
        return record == Record(numbered.item)
    }

    /// Adds items or replaces those of the same number.
    package mutating func update(_ items: some Sequence<NumberedItem>) {
        for numbered in items {
            let number = Int(numbered.number)
            let item = numbered.item
            while self.records.count <= number {
                self.withheld[self.records.count] = true
                self.records.append(nil)
                self.firstCategories.append(Self.noCategory)
            }
            self.records[number] = Record(item)
            self.firstCategories[number] = item.categories.first.map { self.categoryIndex($0) } ?? Self.noCategory
            self.withheld[number] = !(item.inStock && !item.hidden)
            self.windowed[number] = item.availableFrom != nil || item.availableUntil != nil
            self.numbers[item.id] = numbered.number
        }
    }

    private mutating func categoryIndex(_ category: String) -> UInt32 {
        if let index = self.categoryIndices[category] { return index }
        let index = UInt32(self.categoryIndices.count)
        self.categoryIndices[category] = index
        return index
    }
}

/// A growable set of small integers.
package struct Bitmap: Sendable, Equatable {
    package private(set) var words: [UInt64] = []

    package init() {}

    package subscript(_ index: Int) -> Bool {
        get {
            let word = index >> 6
            return word < self.words.count && self.words[word] >> UInt64(index & 63) & 1 == 1
        }
        set {
            let word = index >> 6
            if word >= self.words.count {
                guard newValue else { return }
                self.words.append(contentsOf: repeatElement(0, count: word + 1 - self.words.count))
            }
            if newValue {
                self.words[word] |= 1 << UInt64(index & 63)
            } else {
                self.words[word] &= ~(1 << UInt64(index & 63))
            }
        }
    }

    package mutating func formUnion(_ other: Bitmap) {
        if other.words.count > self.words.count {
            self.words.append(contentsOf: repeatElement(0, count: other.words.count - self.words.count))
        }
        for index in other.words.indices { self.words[index] |= other.words[index] }
    }

    package var isEmpty: Bool { self.words.allSatisfy { $0 == 0 } }
}

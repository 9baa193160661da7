/// Something that can be recommended.
public struct Item: Sendable, Equatable {
    /// The client's name of an item.
    public typealias ID = Identifier<Item>
    /// The index of an item in snapshots, artifacts and cache entries: assigned once per tenant, never reused.
    public typealias Number = UInt32
    /// What the store hands out at every change of an item, rising over all items of the fleet.
    public typealias Revision = Int64

    /// The client's name of the item.
    public var id: ID
    /// What a person reads.
    public var title: String
    /// The first is the one diversity counts.
    public var categories: [String]
    /// Who made or sells it.
    public var creator: String?
    /// The campaigns it belongs to.
    public var campaigns: [String]
    /// What else a client tells of it, by name.
    public var labels: [String: String]
    /// Price in the tenant's currency.
    public var price: Double?
    /// Where it may be shown; empty means everywhere.
    public var regions: [String]
    /// Shown from then on.
    public var availableFrom: Timestamp?
    /// Shown until then.
    public var availableUntil: Timestamp?
    /// Whether it can be had.
    public var inStock: Bool
    /// Taken out of every answer, reversibly; it still counts for similarity.
    public var hidden: Bool

    /// An item of these parts.
    public init(
        id: ID,
        title: String,
        categories: [String] = [],
        creator: String? = nil,
        campaigns: [String] = [],
        labels: [String: String] = [:],
        price: Double? = nil,
        regions: [String] = [],
        availableFrom: Timestamp? = nil,
        availableUntil: Timestamp? = nil,
        inStock: Bool = true,
        hidden: Bool = false
    ) {
        self.id = id
        self.title = title
        self.categories = categories
        self.creator = creator
        self.campaigns = campaigns
        self.labels = labels
        self.price = price
        self.regions = regions
        self.availableFrom = availableFrom
        self.availableUntil = availableUntil
        self.inStock = inStock
        self.hidden = hidden
    }

    /// Whether the item may be shown at a moment: not hidden, in stock, inside its window.
    public func isAvailable(at now: Timestamp) -> Bool {
        guard self.inStock, !self.hidden else { return false }
        if let from = self.availableFrom, now < from { return false }
        if let until = self.availableUntil, now >= until { return false }
        return true
    }
}

/// An item with what the store adds to it.
public struct NumberedItem: Sendable, Equatable {
    /// Its index in snapshots and entries.
    public let number: Item.Number
    /// The item.
    public let item: Item
    /// What the store hands out at every change; of two states of an item the one with the higher is the later. 0: not
    /// known.
    public let revision: Item.Revision
    /// When it came into the catalogue; 1970: that is not known.
    public let createdAt: Timestamp

    /// An item with its number.
    public init(
        number: Item.Number,
        item: Item,
        revision: Item.Revision = 0,
        createdAt: Timestamp = Timestamp(seconds: 0)
    ) {
        self.number = number
        self.item = item
        self.revision = revision
        self.createdAt = createdAt
    }
}

/// A change of some fields of an item: a JSON merge patch (RFC 7386) once it has been read.
public struct ItemPatch: Sendable, Equatable {
    /// What becomes of one field.
    public enum Change<Value: Sendable & Equatable>: Sendable, Equatable {
        /// The patch does not name it.
        case keep
        /// null: the default again.
        case reset
        /// A new value.
        case set(Value)

        func applied(to value: inout Value, default standard: Value) {
            switch self {
            case .keep: break
            case .reset: value = standard
            case .set(let new): value = new
            }
        }
    }

    /// What becomes of the labels.
    public enum LabelChange: Sendable, Equatable {
        case keep
        /// null: no labels.
        case reset
        /// An object is merged member by member; nil: the label goes.
        case merge([String: String?])
    }

    /// A title has no default, and is never reset.
    public var title: String?
    /// The first is the one diversity counts.
    public var categories: Change<[String]> = .keep
    /// Who made or sells it.
    public var creator: Change<String?> = .keep
    /// The campaigns it belongs to.
    public var campaigns: Change<[String]> = .keep
    /// What else a client tells of it.
    public var labels: LabelChange = .keep
    /// Price in the tenant's currency.
    public var price: Change<Double?> = .keep
    /// Where it may be shown.
    public var regions: Change<[String]> = .keep
    /// Shown from then on.
    public var availableFrom: Change<Timestamp?> = .keep
    /// Shown until then.
    public var availableUntil: Change<Timestamp?> = .keep
    /// Whether it can be had.
    public var inStock: Change<Bool> = .keep
    /// Whether it is taken out of every answer.
    public var hidden: Change<Bool> = .keep

    /// A patch that changes nothing.
    public init() {}

    /// The item after the change.
    public func applied(to item: Item) -> Item {
        var item = item
        if let title { item.title = title }
        self.categories.applied(to: &item.categories, default: [])
        self.creator.applied(to: &item.creator, default: nil)
        self.campaigns.applied(to: &item.campaigns, default: [])
        switch self.labels {
        case .keep: break
        case .reset: item.labels = [:]
        case .merge(let members): for (name, value) in members { item.labels[name] = value }
        }
        self.price.applied(to: &item.price, default: nil)
        self.regions.applied(to: &item.regions, default: [])
        self.availableFrom.applied(to: &item.availableFrom, default: nil)
        self.availableUntil.applied(to: &item.availableUntil, default: nil)
        self.inStock.applied(to: &item.inStock, default: true)
        self.hidden.applied(to: &item.hidden, default: false)
        return item
    }
}

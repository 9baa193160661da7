/// What a field of an item may hold, where it comes from a client.
public enum ItemRules {
    /// Bytes of a title.
    public static let titleLength = 1...1_024
    /// Categories and campaigns of one item, each.
    public static let maximumGroups = 32
    /// Regions of one item.
    public static let maximumRegions = 256
    /// Labels of one item or user.
    public static let maximumLabels = 64
    /// Bytes of a label's value; its name is like an id.
    public static let maximumLabelLength = 1_024
    /// The largest price.
    public static let maximumPrice = 1e12
}

/// Why an item cannot be as it was asked for, where that takes more than one field, or what is stored, to see.
public enum ItemViolation: Error, Sendable, Equatable, CaseIterable {
    /// It would be offered until before it is offered from.
    case windowOrder
    /// It would have more labels than an item may have.
    case tooManyLabels
}

extension Item {
    /// What is wrong with the item as a whole.
    public var violations: [ItemViolation] {
        var found: [ItemViolation] = []
        if let from = self.availableFrom, let until = self.availableUntil, until <= from { found.append(.windowOrder) }
        if self.labels.count > ItemRules.maximumLabels { found.append(.tooManyLabels) }
        return found
    }
}

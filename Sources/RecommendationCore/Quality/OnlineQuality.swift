/// What came of the slates of one source: what was shown, and what was done with it, as tokens tell it.
public struct SlateCounts: Sendable, Equatable {
    /// What the slates were made of.
    public var source: Attribution.Source
    /// Slates of which something was shown.
    public var slates: Int
    /// Items of slates that were shown.
    public var impressions: Int
    /// Of those, how many were clicked.
    public var clicks: Int
    /// Of those, how many were bought.
    public var purchases: Int
    /// Pairs of items of a slate, over all slates.
    public var pairs: Int
    /// How many of them are of the same first category.
    public var alike: Int
    /// The items that were shown.
    public var items: [Item.Number]
    /// How often each of them was.
    public var shown: [Int]

    /// Counts of these parts.
    public init(
        source: Attribution.Source,
        slates: Int,
        impressions: Int,
        clicks: Int,
        purchases: Int,
        pairs: Int,
        alike: Int,
        items: [Item.Number],
        shown: [Int]
    ) {
        self.source = source
        self.slates = slates
        self.impressions = impressions
        self.clicks = clicks
        self.purchases = purchases
        self.pairs = pairs
        self.alike = alike
        self.items = items
        self.shown = shown
    }
}

/// Reads what came of slates.
public protocol QualityRepository: Sendable {
    /// The sources of which most was shown of what was recommended since a time, `limit` of them at most, most first.
    ///
    /// - Parameter surface: nil: all.
    func counts(
        since time: Timestamp,
        surface: String?,
        limit: Int,
        tenant: Tenant.ID
    ) async throws(RepositoryError) -> [SlateCounts]
}

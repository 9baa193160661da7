/// One interaction as training reads it.
public struct InteractionRow: Sendable, Equatable {
    /// The store's number of the user.
    public let user: Int64
    /// The item.
    public let item: Item.Number
    /// ``EventType/code``.
    public let type: UInt8
    /// The value of a rating.
    public let value: Float
    /// When, in seconds since 1970.
    public let seconds: Int64

    /// A row of these parts.
    public init(user: Int64, item: Item.Number, type: UInt8, value: Float, seconds: Int64) {
        self.user = user
        self.item = item
        self.type = type
        self.value = value
        self.seconds = seconds
    }
}

/// Bulk reads of everything a model is fitted from.
public protocol TrainingDataRepository: Sendable {
    /// A word that changes whenever a model fitted now could differ from one fitted before.
    func mark(tenant: Tenant.ID) async throws(RepositoryError) -> String
    /// Every item, in order of number.
    func items(tenant: Tenant.ID) async throws(RepositoryError) -> [NumberedItem]
    /// Folds every interaction into a result, in the order in which the store holds them; `update` runs on one thread of the driver.
    func reduceInteractions<Result: Sendable>(
        tenant: Tenant.ID,
        into initial: Result,
        _ update: @escaping @Sendable (inout Result, InteractionRow) -> Void
    ) async throws(RepositoryError) -> Result
    /// The id of every user who allows personalisation, by the store's number.
    func userIDs(tenant: Tenant.ID) async throws(RepositoryError) -> [Int64: User.ID]
}

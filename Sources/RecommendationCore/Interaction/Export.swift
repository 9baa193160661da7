/// Reads of a whole tenant, each of one snapshot and streamed: the closure is called for every row, in an order that the
/// content alone decides. It may block; what it throws ends the read and comes out unchanged.
public protocol ExportRepository: Sendable {
    /// All items, by id; returns their number.
    func items(tenant: Tenant.ID, _ row: @escaping @Sendable (ImportedItem) throws -> Void) async throws -> Int
    /// The users of whom more is known than events (a document, no consent, suppressions), by id; returns their number.
    func users(tenant: Tenant.ID, _ row: @escaping @Sendable (ImportedUser) throws -> Void) async throws -> Int
    /// All events, by user and time; `line` counts them. Returns their number.
    func interactions(
        tenant: Tenant.ID,
        _ row: @escaping @Sendable (ImportedInteraction) throws -> Void
    ) async throws -> Int
}

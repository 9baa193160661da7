/// Single events as they are stored.
public protocol InteractionRepository: Sendable {
    /// Whether each of some events is stored, in their order, in one statement: a reset or an erasure of their users has taken
    /// the others away.
    func holds(_ events: [SessionEvent], tenant: Tenant.ID) async throws(RepositoryError) -> [Bool]
}

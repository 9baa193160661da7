/// The record of one recommendation, as it is stored.
public struct StoredDecision: Sendable, Equatable {
    /// 16 bytes, which begin with the time.
    public var recommendationID: [UInt8]
    /// Whose it was; nil: nobody's, or of a user that the store knows nothing of.
    public var user: User.ID?
    /// As far as it knew what that user does; 0: it is nobody's.
    public var userVersion: User.Version
    /// Its JSON document.
    public var document: String

    /// A record of these parts.
    public init(recommendationID: [UInt8], user: User.ID?, userVersion: User.Version, document: String) {
        self.recommendationID = recommendationID
        self.user = user
        self.userVersion = userVersion
        self.document = document
    }
}

/// Keeps what recommendations were made of, each once.
public protocol DecisionRepository: Sendable {
    /// Stores records, but those of users who were erased or reset since or do not allow personalisation; how many it stored.
    func store(_ decisions: [StoredDecision], tenant: Tenant.ID) async throws(RepositoryError) -> Int
    /// A record; nil where there is none, or its user does not allow personalisation now.
    func decision(_ recommendationID: [UInt8], tenant: Tenant.ID) async throws(RepositoryError) -> StoredDecision?
    /// Removes some of what was recommended before a time, of all tenants; whether there may be more.
    func prune(before time: Timestamp) async throws(RepositoryError) -> Bool
}

/// What a key allows.
public enum Scope: String, CaseIterable, Sendable {
    case read, write, admin
}

/// An API key as it is stored: the secret only as a hash.
public struct APIKey: Sendable, Equatable {
    /// The public part of the key, by which it is listed and revoked.
    public let id: String
    /// The tenant it acts for.
    public let tenant: Tenant.ID
    /// What it allows.
    public let scopes: Set<Scope>
    /// SHA-256 of the secret, 32 bytes.
    public let secretHash: [UInt8]
    /// When it was made.
    public let createdAt: Timestamp
    /// How often it may be used; nil: as often as may be.
    public let limit: RateLimit?

    /// A key of these parts.
    public init(
        id: String,
        tenant: Tenant.ID,
        scopes: Set<Scope>,
        secretHash: [UInt8],
        createdAt: Timestamp,
        limit: RateLimit? = nil
    ) {
        self.id = id
        self.tenant = tenant
        self.scopes = scopes
        self.secretHash = secretHash
        self.createdAt = createdAt
        self.limit = limit
    }
}

/// The keys of the fleet. A revocation is critical data: it is a row of the control log.
public protocol APIKeyRepository: Sendable {
    /// Stores a new key; its tenant is created if it is new.
    func create(_ key: APIKey) async throws(RepositoryError)
    /// Every key that is not revoked.
    func keys() async throws(RepositoryError) -> [APIKey]
    /// Gives a key another limit, or none; false if there is no such key.
    func limit(_ id: String, to limit: RateLimit?) async throws(RepositoryError) -> Bool
    /// Revokes a key; false if there is no such key.
    func revoke(_ id: String) async throws(RepositoryError) -> Bool
}

import Crypto
package import RecommendationCore

/// `vireo keys`: the secret of a new key is shown once and stored as a hash.
package struct KeyOperation: Sendable {
    private let keys: any APIKeyRepository

    package init(keys: any APIKeyRepository) {
        self.keys = keys
    }

    /// A new key: its id, and the text a client presents.
    package func create(
        tenant: Tenant.ID,
        scopes: Set<Scope>,
        limit: RateLimit? = nil
    ) async throws(RepositoryError) -> (id: String, secret: String) {
        let id = Self.random(length: 12)
        let secret = "vireo_\(id)_\(Self.random(length: 43))"
        try await self.keys.create(
            APIKey(
                id: id,
                tenant: tenant,
                scopes: scopes,
                secretHash: Array(SHA256.hash(data: Array(secret.utf8))),
                createdAt: WallClock.now(),
                limit: limit
            )
        )
        return (id, secret)
    }

    /// Letters and digits; 43 of them are 256 bits.
    private static func random(length: Int) -> String {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
        var generator = SystemRandomNumberGenerator()
        return String((0..<length).map { _ in alphabet.randomElement(using: &generator)! })
    }
}

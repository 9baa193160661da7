/// The registry of models and their artifacts.
public protocol ModelRepository: ModelArtifactRepository {
    /// Every version of a tenant, newest first.
    func versions(tenant: Tenant.ID) async throws(RepositoryError) -> [ModelVersion]
    /// Registers a version that is being built, so that it is seen; its number.
    func begin(recipe: String, tenant: Tenant.ID) async throws(RepositoryError) -> ModelVersion.Number
    /// Takes a version that was being built off the registry: its build failed.
    func abandon(_ number: ModelVersion.Number) async throws(RepositoryError)
    /// Stores a built model with its artifact, in state ready, and tells the nodes to load it; its number.
    ///
    /// - Parameter model: Its number is that of ``begin(recipe:tenant:)``, or 0 for one that was not begun.
    func store(_ model: ModelVersion, artifact: [UInt8], dataMark: String) async throws(RepositoryError)
        -> ModelVersion.Number
    /// The data mark of the newest version that is ready or active.
    func newestDataMark(tenant: Tenant.ID) async throws(RepositoryError) -> String?
    /// Deletes artifacts, but of what serves, of what a rollback returns to and of the newest few others; a version whose
    /// artifact is deleted is retired. Also takes off the registry what has been building for a day.
    func prune(keeping count: Int, tenant: Tenant.ID) async throws(RepositoryError)
}

/// The stored bytes of models.
public protocol ModelArtifactRepository: Sendable {
    /// Size and checksum of a version's artifact, as the registry has them.
    func seal(of number: ModelVersion.Number) async throws(RepositoryError) -> ModelSeal
    /// The artifact's bytes, as they were stored.
    func artifact(_ number: ModelVersion.Number) async throws(RepositoryError) -> [UInt8]
}

/// What an artifact must be, to be the one that was stored.
public struct ModelSeal: Sendable, Hashable {
    /// Size in bytes.
    public var bytes: Int64
    /// Checksum of the artifact, as in its header.
    public var checksum: UInt64

    /// The checksum as it is shown: 16 hexadecimal digits.
    public var checksumText: String {
        let digits = String(self.checksum, radix: 16)
        return String(repeating: "0", count: 16 - digits.utf8.count) + digits
    }

    /// A seal of these parts.
    public init(bytes: Int64, checksum: UInt64) {
        self.bytes = bytes
        self.checksum = checksum
    }
}

/// Which versions serve.
public protocol ModelRouteRepository: Sendable {
    /// Which versions serve now.
    func standing(tenant: Tenant.ID) async throws(RepositoryError) -> ModelStanding
    /// Makes a version the one that serves, or the one that serves a share of the users beside the active one.
    ///
    /// - Parameter share: Hundredths of a percent, 1 to 10,000; at 10,000 the version before is retired.
    /// - Throws: `conflict` where the version cannot serve.
    func activate(
        _ number: ModelVersion.Number,
        share: Int,
        tenant: Tenant.ID
    ) async throws(RepositoryError) -> ModelStanding
    /// Takes a version that serves out of service, for the one before it; it is retired.
    func rollback(_ number: ModelVersion.Number, tenant: Tenant.ID) async throws(RepositoryError) -> ModelStanding
    /// Gives up a version that does not serve; its artifact goes with the next pruning. The control log id.
    func retire(_ number: ModelVersion.Number, tenant: Tenant.ID) async throws(RepositoryError) -> Int64
    /// Has every node load a version, whatever its state; one at a time. The control log id.
    func warm(_ number: ModelVersion.Number, tenant: Tenant.ID) async throws(RepositoryError) -> Int64
}

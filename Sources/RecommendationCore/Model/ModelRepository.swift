/// The registry of models and their artifacts.
public protocol ModelRepository: Sendable {
    /// Every version of a tenant, newest first.
    func versions(tenant: Tenant.ID) async throws(RepositoryError) -> [ModelVersion]
    /// Stores a built model with its artifact, in state ready, and tells the nodes to load it; its number.
    func store(_ model: ModelVersion, artifact: [UInt8], dataMark: String) async throws(RepositoryError)
        -> ModelVersion.Number
    /// The artifact's bytes, as they were stored.
    func artifact(_ number: ModelVersion.Number) async throws(RepositoryError) -> [UInt8]
    /// Makes a version the one that serves; the one before becomes retired. The control log id.
    func activate(_ number: ModelVersion.Number, tenant: Tenant.ID) async throws(RepositoryError) -> Int64
    /// The data mark of the newest version that is ready or active.
    func newestDataMark(tenant: Tenant.ID) async throws(RepositoryError) -> String?
    /// Deletes the artifacts of retired versions but the newest few.
    func prune(keeping count: Int, tenant: Tenant.ID) async throws(RepositoryError)
}

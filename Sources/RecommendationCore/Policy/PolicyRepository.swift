/// A policy's document under its version, as it is stored; neither is ever changed.
public struct StoredPolicy: Sendable, Equatable {
    /// The name of the version.
    public var version: String
    /// The document, JSON.
    public var document: String
    /// When it was stored.
    public var createdAt: Timestamp

    /// A stored document.
    public init(version: String, document: String, createdAt: Timestamp) {
        self.version = version
        self.document = document
        self.createdAt = createdAt
    }
}

/// A policy as it is listed.
public struct PolicyVersion: Sendable, Equatable {
    /// The name of the version.
    public var version: String
    /// When it was stored; nil: it is built in.
    public var createdAt: Timestamp?

    /// A version of these parts.
    public init(version: String, createdAt: Timestamp?) {
        self.version = version
        self.createdAt = createdAt
    }
}

/// Which policy of a tenant is in force.
public struct PolicyStanding: Sendable, Equatable {
    /// The version in force.
    public var active: String
    /// The version that a rollback returns to; nil: there was none before.
    public var previous: String?
    /// The version that serves a share of the users beside it; nil: none.
    public var canary: PolicyCanary?
    /// The control log id of the last activation or rollback; 0: there was none, and the built-in policy is in force.
    public var epoch: Int64

    /// A standing of these parts.
    public init(active: String, previous: String?, canary: PolicyCanary? = nil, epoch: Int64) {
        self.active = active
        self.previous = previous
        self.canary = canary
        self.epoch = epoch
    }

    /// Before the first activation.
    public static let initial = PolicyStanding(active: Policy.builtIn.version, previous: nil, epoch: 0)
}

extension PolicyStanding {
    /// What takes the place of a version that is rolled back.
    public enum RollbackTarget: Sendable, Equatable {
        /// The active version: it was the canary that was rolled back.
        case active
        /// The version that was in force before.
        case previous(String)
    }

    /// What a rollback of a version leads to.
    ///
    /// - Throws: `conflict` where it serves nobody, where there was none before it, or where a canary serves beside it.
    public func target(ofRollback version: String) throws(RepositoryError) -> RollbackTarget {
        if self.canary?.version == version { return .active }
        guard self.active == version else {
            throw .conflict("\(version) is not in force; \(self.active) is")
        }
        if let canary {
            throw .conflict("\(canary.version) serves a part of the users beside it; roll that back first")
        }
        guard let previous else { throw .conflict("no policy was in force before \(version)") }
        return .previous(previous)
    }
}

/// The policies of tenants, and which of them are in force. The built-in policy is not stored, and can be activated.
public protocol PolicyRepository: Sendable {
    /// Stores a version unless there is one of that name: what is stored under it now, and whether it is new.
    func store(
        _ version: String,
        document: String,
        tenant: Tenant.ID
    ) async throws(RepositoryError) -> (policy: StoredPolicy, isNew: Bool)
    /// A stored version.
    func policy(_ version: String, tenant: Tenant.ID) async throws(RepositoryError) -> StoredPolicy?
    /// The newest stored versions, newest first, a thousand at most, and which is in force.
    func versions(
        tenant: Tenant.ID
    ) async throws(RepositoryError) -> (versions: [PolicyVersion], standing: PolicyStanding)
    /// Puts a version in force, for a share of the users or for all; nothing changes where it is already.
    ///
    /// - Parameters:
    ///   - share: In hundredths of a percent, 1 to 10,000.
    ///   - expected: Epochs of the standing that the caller knows; nil: any.
    /// - Throws: `conflict` where there is no such version, or where it is in force for all users and would be for a part.
    /// - Returns: nil where the standing is another than the one expected; nothing has changed.
    func activate(
        _ version: String,
        share: Int,
        expected: [Int64]?,
        tenant: Tenant.ID
    ) async throws(RepositoryError) -> PolicyStanding?
    /// Takes a version out of force, for the one that was in force before it; of a canary, for the one beside it.
    ///
    /// - Throws: `conflict` where another is in force, so that a call sent twice goes back once; where there was none
    ///   before; or where a canary serves beside it.
    /// - Returns: nil where the standing is another than the one expected; nothing has changed.
    func rollback(
        _ version: String,
        expected: [Int64]?,
        tenant: Tenant.ID
    ) async throws(RepositoryError) -> PolicyStanding?
}

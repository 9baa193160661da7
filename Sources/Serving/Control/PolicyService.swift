package import Caching
package import RecommendationCore

/// Policies as an operator handles them: stored once, activated, rolled back.
package struct PolicyService: Sendable {
    private let repository: any PolicyRepository
    private let codec: PolicyCodec
    private let invalidator: Invalidator

    package init(repository: any PolicyRepository, codec: PolicyCodec, invalidator: Invalidator) {
        self.repository = repository
        self.codec = codec
        self.invalidator = invalidator
    }

    /// Stores a policy under its version; whether it is new.
    ///
    /// - Throws: `conflict` where another policy has that version: what is stored is never changed.
    package func put(_ policy: Policy, tenant: Tenant.ID) async throws(ServingError) -> Bool {
        if policy.version == Policy.builtIn.version {
            guard policy == .builtIn else { throw .conflict("\(policy.version) is built in and cannot be changed") }
            return false
        }
        let document = self.codec.encode(policy)
        let (stored, isNew) = try await AdminService.mapped { () async throws(RepositoryError) in
            try await self.repository.store(policy.version, document: document, tenant: tenant)
        }
        if isNew { return true }
        guard try self.decoded(stored) == policy else {
            throw .conflict("\(policy.version) is stored with another content; take another version")
        }
        return false
    }

    /// The policy of a version; nil where there is none.
    package func policy(_ version: String, tenant: Tenant.ID) async throws(ServingError) -> Policy? {
        if version == Policy.builtIn.version { return .builtIn }
        let stored = try await AdminService.mapped { () async throws(RepositoryError) in
            try await self.repository.policy(version, tenant: tenant)
        }
        guard let stored else { return nil }
        return try self.decoded(stored)
    }

    /// The versions, newest first, the built-in one last, and which is in force.
    package func versions(
        tenant: Tenant.ID
    ) async throws(ServingError) -> (versions: [PolicyVersion], standing: PolicyStanding) {
        let (versions, standing) = try await AdminService.mapped { () async throws(RepositoryError) in
            try await self.repository.versions(tenant: tenant)
        }
        return (versions + [PolicyVersion(version: Policy.builtIn.version, createdAt: nil)], standing)
    }

    /// Puts a version in force on every node; nil where there is no such version.
    ///
    /// - Parameter dryRun: Only says what would be in force.
    package func activate(
        _ version: String,
        dryRun: Bool,
        tenant: Tenant.ID
    ) async throws(ServingError) -> PolicyChange? {
        // What this node cannot read is not put in force by it.
        guard try await self.policy(version, tenant: tenant) != nil else { return nil }
        if dryRun { return .would(version) }
        return try await self.changed { () async throws(RepositoryError) in
            try await self.repository.activate(version, tenant: tenant)
        }
    }

    /// Takes a version out of force on every node, for the one before it.
    ///
    /// - Throws: `conflict` where another version is in force, or there was none before it.
    package func rollback(
        _ version: String,
        dryRun: Bool,
        tenant: Tenant.ID
    ) async throws(ServingError) -> PolicyChange {
        if dryRun {
            let standing = try await self.versions(tenant: tenant).standing
            guard standing.active == version else {
                throw .conflict("\(version) is not in force; \(standing.active) is")
            }
            guard let previous = standing.previous else { throw .conflict("no policy was in force before \(version)") }
            return .would(previous)
        }
        return try await self.changed { () async throws(RepositoryError) in
            try await self.repository.rollback(version, tenant: tenant)
        }
    }

    private func changed(
        _ change: () async throws(RepositoryError) -> PolicyStanding
    ) async throws(ServingError) -> PolicyChange {
        let standing = try await AdminService.mapped(change)
        // Also where nothing changed: who changed it may have died before it could say so.
        return .done(standing, await self.invalidator.announce(epoch: standing.epoch))
    }

    private func decoded(_ stored: StoredPolicy) throws(ServingError) -> Policy {
        do {
            return try self.codec.decode(stored)
        } catch {
            throw .conflict("\(stored.version) cannot be read by this node: \(error.reason)")
        }
    }
}

/// What an activation or a rollback came to.
package enum PolicyChange: Sendable, Equatable {
    case done(PolicyStanding, Announcement)
    /// A dry run: the version that would be in force.
    case would(String)
}
